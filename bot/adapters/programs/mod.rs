//! Runs programs, each in a process group of its own, and leaves nothing of them behind.
//!
//! When the time is over, or nobody waits for the outcome any more, the whole group is killed: what a script started
//! in the background must not go on changing things after the step that it belonged to. What outlived the bot itself is
//! found by the key of its effect.

mod leftover;

use std::{collections::VecDeque, pin::pin, process::Stdio, time::Duration};

use async_trait::async_trait;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    domain::duration,
    engine::ports::{Program, ProgramOutcome, Programs},
};

/// What a program gets of the bot's own environment.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// How long the outputs are still read after the program has ended: something that it left may hold them open.
const REST: Duration = Duration::from_millis(500);

/// The processes of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processes;

#[async_trait]
impl Programs for Processes {
    async fn run(&self, program: Program) -> ProgramOutcome {
        let mut group = match start(&program) {
            Ok(group) => group,
            Err(why) => return ProgramOutcome::NotStarted(why),
        };
        let (mut stdout, mut stderr) = (Kept::up_to(program.limit), Kept::up_to(program.limit));
        let ended = follow(&mut group, program.stdin, program.timeout, (&mut stdout, &mut stderr)).await;
        let (stdout, stderr) = (stdout.text(), stderr.text());
        let why = match ended {
            Ended::Exited(code) => return ProgramOutcome::Exited { code, stdout, stderr },
            Ended::Signaled(text) => text,
            Ended::TimedOut => format!("it took longer than `{}`", duration::compact(program.timeout)),
        };
        ProgramOutcome::Killed { why, stdout, stderr }
    }

    async fn end(&self, key: &str) {
        let key = key.to_owned();
        if let Err(error) = tokio::task::spawn_blocking(move || leftover::end(&key)).await {
            tracing::error!(%error, "what an earlier life of the bot left running cannot be looked for");
        }
    }
}

enum Ended {
    Exited(i32),
    Signaled(String),
    TimedOut,
}

/// A running group, killed when it is dropped.
struct Group(Box<dyn ChildWrapper>);

impl Group {
    fn kill(&mut self) {
        // It fails when nothing of the group is left, which is what is wanted.
        if let Err(error) = self.0.start_kill() {
            tracing::trace!(%error, "there is nothing left to kill");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start(program: &Program) -> Result<Group, String> {
    let (name, arguments) = program.argv.split_first().ok_or("no program is named")?;
    let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let mut command = CommandWrap::with_new(name, |command| {
        command.args(arguments).env_clear().envs(inherited);
        command.envs(program.environment.iter().map(|(name, value)| (name, value.expose_secret())));
        if let Some(directory) = &program.directory {
            command.current_dir(directory);
        }
        command.stdin(if program.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    });
    command.wrap(ProcessGroup::leader());
    command.spawn().map(Group).map_err(|error| format!("`{name}` cannot be started: {error}"))
}

async fn follow(
    group: &mut Group,
    input: Option<Vec<u8>>,
    longest: Duration,
    (stdout, stderr): (&mut Kept, &mut Kept),
) -> Ended {
    let (stdin, out, err) = (group.0.stdin().take(), group.0.stdout().take(), group.0.stderr().take());
    let feeding = async move {
        if let (Some(mut stdin), Some(input)) = (stdin, input)
            && let Err(error) = stdin.write_all(&input).await
        {
            tracing::debug!(%error, "the program does not read all of its input");
        }
    };
    let mut piping = pin!(async { tokio::join!(feeding, stdout.fill(out), stderr.fill(err)) });
    let mut is_read = false;
    let waited = timeout(longest, async {
        loop {
            tokio::select! {
                ended = group.0.wait() => return ended,
                _ = &mut piping, if !is_read => is_read = true,
            }
        }
    });
    let ended = match waited.await {
        Ok(Ok(status)) => match status.code() {
            Some(code) => Ended::Exited(code),
            None => Ended::Signaled(format!("it ended by a signal: {status}")),
        },
        Ok(Err(error)) => Ended::Signaled(format!("it cannot be watched: {error}")),
        Err(_) => Ended::TimedOut,
    };
    if !is_read && !matches!(ended, Ended::TimedOut) {
        is_read = timeout(REST, &mut piping).await.is_ok();
    }
    group.kill();
    if matches!(ended, Ended::TimedOut) && timeout(REST, group.0.wait()).await.is_err() {
        tracing::warn!("a program that was killed has not ended yet");
    }
    if !is_read && timeout(REST, &mut piping).await.is_err() {
        tracing::debug!("something outside the program's group still holds its outputs open");
    }
    ended
}

/// The first and the last part of an output.
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    left_out: usize,
}

impl Kept {
    fn up_to(limit: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), half: limit / 2, left_out: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let surplus = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..surplus);
        self.left_out += surplus;
    }

    async fn fill(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut part = vec![0; 8 * 1024];
        while let Ok(length @ 1..) = from.read(&mut part).await {
            self.add(&part[..length]);
        }
    }

    fn text(self) -> String {
        let Self { mut head, tail, left_out, .. } = self;
        if left_out > 0 {
            head.extend_from_slice(format!("\n… {left_out} bytes are left out …\n").as_bytes());
        }
        head.extend(tail);
        String::from_utf8_lossy(&head).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;

    fn script(text: &str) -> Program {
        Program {
            argv: ["sh", "-c", text].map(str::to_owned).to_vec(),
            environment: vec![("TARGET".to_owned(), SecretString::from("checkout; rm -rf /"))],
            directory: None,
            stdin: None,
            timeout: Duration::from_secs(20),
            limit: 64,
        }
    }

    fn is_alive(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    /// Waits until the file holds the number of a process.
    async fn number_in(file: &Path) -> String {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if text.ends_with('\n') {
                return text.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn gone(pid: &str) {
        let waiting = async {
            while is_alive(pid) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), waiting).await.expect("the grandchild is killed");
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_only_the_environment_that_is_meant_for_it() {
        let mut program = script("cat; printf ' %s|%s' \"$TARGET\" \"$CARGO_MANIFEST_DIR\"; echo bad >&2; exit 3");
        program.stdin = Some(b"input".to_vec());
        assert_eq!(
            Processes.run(program).await,
            ProgramOutcome::Exited {
                code: 3,
                stdout: "input checkout; rm -rf /|".to_owned(),
                stderr: "bad\n".to_owned()
            }
        );
    }

    #[tokio::test]
    async fn what_cannot_be_started_says_so() {
        let mut program = script("");
        program.argv = vec!["/nonexistent/program".to_owned()];
        let outcome = Processes.run(program).await;
        assert!(
            matches!(&outcome, ProgramOutcome::NotStarted(why) if why.contains("/nonexistent/program")),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn a_long_output_keeps_its_two_ends() {
        let ProgramOutcome::Exited { stdout, .. } = Processes.run(script("seq 1 100000")).await else { panic!() };
        assert!(stdout.starts_with("1\n2\n3\n") && stdout.ends_with("99999\n100000\n"), "{stdout}");
        assert!(stdout.contains("bytes are left out"), "{stdout}");
    }

    #[tokio::test]
    async fn the_timeout_kills_the_grandchild_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let mut program = script(&format!("echo first; sleep 600 & echo $! > {}; wait", file.display()));
        program.timeout = Duration::from_millis(500);
        let outcome = Processes.run(program).await;
        let ProgramOutcome::Killed { why, stdout, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!((why.as_str(), stdout.as_str()), ("it took longer than `500ms`", "first\n"));
        gone(&number_in(&file).await).await;
    }

    #[tokio::test]
    async fn nobody_waiting_kills_the_grandchild_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let program = script(&format!("sleep 600 & echo $! > {}; wait", file.display()));
        let pid = tokio::select! {
            outcome = Processes.run(program) => panic!("{outcome:?}"),
            pid = number_in(&file) => pid,
        };
        gone(&pid).await;
    }

    #[tokio::test]
    async fn what_a_program_leaves_in_the_background_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let program = script(&format!("sleep 600 & echo $! > {}; echo done", file.display()));
        let outcome = Processes.run(program).await;
        assert_eq!(outcome, ProgramOutcome::Exited { code: 0, stdout: "done\n".to_owned(), stderr: String::new() });
        gone(&number_in(&file).await).await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_outlived_the_bot_is_found_by_its_key_and_ended_with_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        // The sleeper has another environment, but is in the group.
        let text = format!("env -i PATH=\"$PATH\" sleep 600 & echo $! > {}; wait", file.display());
        let start = |key: &str| {
            let mut command = std::process::Command::new("sh");
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            command.args(["-c", &text]).env(crate::engine::ports::KEY, key).spawn().unwrap()
        };
        let mut child = start("one-effect");
        let sleeper = number_in(&file).await;
        Processes.end("another-effect").await;
        assert!(is_alive(&sleeper));
        Processes.end("one-effect").await;
        gone(&sleeper).await;
        assert!(!child.wait().unwrap().success());
    }

    proptest! {
        #[test]
        fn an_output_is_bounded_however_it_comes(parts in proptest::collection::vec(".{0,60}", 0..20), limit in 0_usize..200) {
            let mut kept = Kept::up_to(limit);
            for part in &parts {
                kept.add(part.as_bytes());
            }
            let all = parts.concat();
            prop_assert!(kept.head.len() + kept.tail.len() <= limit);
            prop_assert_eq!(kept.head.len() + kept.tail.len() + kept.left_out, all.len());
            if kept.left_out == 0 {
                prop_assert_eq!(kept.text(), all);
            }
        }
    }
}
