//! The tutorial works as it stands there: each file, each line that is typed, and what is shown under it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::world::{free_address, is_installed, left_out, shell::Shell, until};

/// Where the tutorial lets the bot listen.
const ADDRESS: &str = "127.0.0.1:8080";
/// What the bot's log says when it has read a file again, for better or worse.
const READ_AGAIN: [&str; 2] = ["an edit was taken up", "an edit was not taken up"];

/// A part of the tutorial that is not prose.
enum Part {
    /// A file with its text, and whether that is added to what it holds.
    File { name: String, text: String, is_added: bool },
    /// A line that is typed, and what is shown then.
    Typed { line: String, shown: String },
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut fence: Option<(&str, Vec<&str>)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut fence) {
            (Some(kind), None) => fence = Some((kind, Vec::new())),
            (Some(_), Some((kind, lines))) => {
                parts.extend(if *kind == "console" { typed(lines) } else { vec![file(lines)] });
                fence = None;
            }
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    parts
}

/// A file says in its first comment what it is called.
fn file(lines: &[&str]) -> Part {
    let title = lines.iter().find_map(|line| line.strip_prefix("# ")).unwrap();
    let (name, is_added) = title.strip_suffix(", at its end").map_or((title, false), |name| (name, true));
    Part::File { name: name.to_owned(), text: format!("{}\n", lines.join("\n")), is_added }
}

fn typed(lines: &[&str]) -> Vec<Part> {
    let mut parts = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), parts.last_mut()) {
            (Some(line), _) => parts.push(Part::Typed { line: line.to_owned(), shown: String::new() }),
            (None, Some(Part::Typed { shown, .. })) => shown.push_str(&format!("{line}\n")),
            (None, _) => panic!("nobody typed what shows `{line}`"),
        }
    }
    parts
}

/// The same text with `#` for what no two people see alike: moments, lengths of time, digests.
fn plain(text: &str) -> String {
    let is_time = |word: &str| {
        let word = word.trim_matches(|letter: char| "`():,;".contains(letter));
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        digits > 0 && word.bytes().all(|byte| byte.is_ascii_digit() || b"-:.".contains(&byte)) && digits < word.len()
    };
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let is_length = |at: usize| {
            let units = ["ms", "s", "min", "m", "h", "s:", "min:"];
            let is_number = !words[at].is_empty() && words[at].bytes().all(|byte| byte.is_ascii_digit());
            is_number && words.get(at + 1).is_some_and(|unit| units.contains(unit))
        };
        let is_digest = |at: usize| at > 0 && words[at - 1] == "plan";
        let shown = words.iter().enumerate().map(|(at, word)| {
            let is_marker = at == 0 && word.ends_with('.');
            let varies = !is_marker && (is_time(word) || is_length(at) || is_digest(at));
            if varies { "#" } else { *word }
        });
        lines.push(shown.collect::<Vec<_>>().join(" ").trim_end().to_owned());
    }
    lines.join("\n").trim_end().to_owned()
}

/// Somebody who types along in a folder of their own.
struct Newcomer {
    shell: Shell,
    address: String,
    environment: BTreeMap<String, String>,
    bot: Option<Child>,
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if let Some(mut bot) = self.bot.take() {
            let _gone = bot.kill();
            let _gone = bot.wait();
        }
    }
}

impl Newcomer {
    fn new() -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_firewarden")).parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(program).chain(std::env::split_paths(&path))).unwrap();
        let environment = BTreeMap::from([
            ("PATH".to_owned(), path.into_string().unwrap()),
            ("LANG".to_owned(), "C".to_owned()),
            ("LC_ALL".to_owned(), "C".to_owned()),
        ]);
        Self { shell: Shell::new(), address: free_address().to_string(), environment, bot: None }
    }

    fn folder(&self) -> PathBuf {
        self.shell.folder()
    }

    fn bash(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command.arg("-c").arg(line.replace(ADDRESS, &self.address)).current_dir(self.folder()).stdin(Stdio::null());
        for inherited in ["FIREWARDEN_CONFIG", "FIREWARDEN_URL", "FIREWARDEN_TOKEN", "FIREWARDEN_LOG"] {
            command.env_remove(inherited);
        }
        command.envs(&self.environment);
        command
    }

    /// What a line shows, as the tutorial would write it, and whether it succeeded.
    fn runs(&self, line: &str) -> (bool, String) {
        let output = self.bash(line).output().unwrap();
        let shown = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.success(), shown.replace(&self.address, ADDRESS))
    }

    fn read_again(&self) -> usize {
        let log = fs::read_to_string(self.folder().join("firewarden.log")).unwrap_or_default();
        READ_AGAIN.iter().map(|words| log.matches(words).count()).sum()
    }

    /// Writes a file and, where a bot runs that reads it again by itself, waits until it has.
    async fn writes(&self, name: &str, text: &str, is_added: bool) {
        let before = self.read_again();
        let text = text.replace(ADDRESS, &self.address);
        let held = if is_added { fs::read_to_string(self.folder().join(name)).unwrap() } else { String::new() };
        self.shell.write(name, &format!("{held}{text}"));
        let is_read = [".yaml", ".toml"].iter().any(|ending| name.ends_with(ending));
        if self.bot.is_some() && is_read {
            assert!(until(20, async || self.read_again() > before).await, "the bot does not read {name} again");
        }
    }

    async fn types(&mut self, line: &str, shown: &str) {
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            let (is_done, value) = self.runs(&format!("echo {value}"));
            assert!(is_done, "{line}: {value}");
            self.environment.insert(name.to_owned(), value.trim().to_owned());
            return;
        }
        if let Some(line) = line.strip_suffix(" &") {
            self.bot = Some(self.bash(&format!("exec {line}")).spawn().unwrap());
            return;
        }
        // Whoever looks a moment too early looks again.
        let only_looks =
            line.contains(" show ") || ["/why", "/incident list", "cat "].iter().any(|it| line.contains(it));
        let (mut is_done, mut seen) = (false, String::new());
        until(if only_looks { 20 } else { 0 }, async || {
            (is_done, seen) = self.runs(line);
            shown.is_empty() || plain(&seen) == plain(shown)
        })
        .await;
        if !shown.is_empty() {
            assert_eq!(plain(&seen), plain(shown), "the tutorial says that this is shown by\n$ {line}\n{seen}");
        }
        assert_eq!(is_done, !shown.contains("hint: "), "$ {line}\n{seen}");
    }
}

/// A tutorial that breaks in the middle teaches that the program is broken.
#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_works_as_it_stands_there() {
    let missing: Vec<_> = ["bash", "curl", "openssl"].into_iter().filter(|program| !is_installed(program)).collect();
    if !missing.is_empty() {
        left_out("the tutorial", &format!("`{}`", missing.join("`, `")));
        return;
    }
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md")).unwrap();
    let mut newcomer = Newcomer::new();
    let (mut files, mut lines, mut shown_by) = (0, 0, 0);
    for part in parts(&text) {
        match part {
            Part::File { name, text, is_added } => {
                newcomer.writes(&name, &text, is_added).await;
                files += 1;
            }
            Part::Typed { line, shown } => {
                newcomer.types(&line, &shown).await;
                lines += 1;
                shown_by += usize::from(!shown.is_empty());
            }
        }
    }
    assert!(files > 10 && lines > 40 && shown_by > 30, "{files} files, {lines} lines, {shown_by} with what they show");
}
