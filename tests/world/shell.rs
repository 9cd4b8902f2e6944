//! A shell in a folder of its own, where somebody runs the real program without a bot.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// What the program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: i32,
    /// What it wrote to standard output.
    pub(crate) out: String,
    /// What it wrote to standard error.
    pub(crate) err: String,
}

/// A folder, and a program that runs in it.
pub(crate) struct Shell {
    folder: TempDir,
}

impl Shell {
    /// A shell in an empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    /// Writes a file, and the folders that it is in.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs the program to its end.
    pub(crate) fn runs(&self, arguments: &[&str]) -> Ended {
        run_in(&self.folder(), arguments, &[])
    }

    /// Runs the program to its end with more variables in its environment.
    pub(crate) fn runs_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
        run_in(&self.folder(), arguments, environment)
    }
}

/// Runs the program in a folder to its end.
pub(crate) fn run_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firewarden"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for inherited in ["FIREWARDEN_CONFIG", "FIREWARDEN_URL", "FIREWARDEN_TOKEN", "FIREWARDEN_LOG"] {
        command.env_remove(inherited);
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}
