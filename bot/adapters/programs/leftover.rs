//! Finds what an earlier life of the bot started and left running when it was killed, and ends it.
//!
//! A process tells under `/proc` what it was started with, and there stands the key of the effect that it belongs to.
//! Only Linux has this. A program that leaves its group and also drops the variable is not found.

#[cfg(target_os = "linux")]
pub(super) use self::linux::end;

/// Nothing can be found here.
#[cfg(not(target_os = "linux"))]
pub(super) fn end(_key: &str) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        collections::BTreeSet,
        fs,
        process::{Command, Stdio},
        thread,
        time::{Duration, Instant},
    };

    use crate::engine::ports::KEY;

    /// How long the processes may take to be gone.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// The pause between two looks.
    const PAUSE: Duration = Duration::from_millis(10);

    /// Kills the groups of all processes with this key, until there is none.
    pub(in super::super) fn end(key: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let groups = groups(key);
            if groups.is_empty() {
                return;
            }
            if Instant::now() > deadline {
                tracing::error!(key, "what an earlier life of the bot left running does not end");
                return;
            }
            tracing::warn!(key, ?groups, "ending what an earlier life of the bot left running");
            let names = groups.iter().map(|group| format!("-{group}"));
            let mut kill = Command::new("sh");
            kill.args(["-c", "kill -s KILL -- \"$@\"", "sh"]).args(names).stderr(Stdio::null());
            if let Err(error) = kill.status() {
                tracing::error!(%error, "nothing can be killed: there is no `sh`");
                return;
            }
            thread::sleep(PAUSE);
        }
    }

    /// The groups of the processes that were started with this key, but not the bot's own.
    fn groups(key: &str) -> BTreeSet<u32> {
        let own = group("self");
        let wanted = format!("{KEY}={key}");
        let Ok(processes) = fs::read_dir("/proc") else { return BTreeSet::new() };
        let names = processes.flatten().filter_map(|process| process.file_name().into_string().ok());
        names
            .filter(|name| name.bytes().all(|letter| letter.is_ascii_digit()))
            .filter(|name| {
                let environment = fs::read(format!("/proc/{name}/environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
            })
            .filter_map(|name| group(&name))
            .filter(|group| *group > 1 && Some(*group) != own)
            .collect()
    }

    /// The group of a process: the third field after its name, which stands in brackets and may hold any character.
    fn group(process: &str) -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(2)?.parse().ok()
    }
}
