//! What can be wrong with the store itself, in words that say what to do.

use std::{fmt, path::Path, path::PathBuf};

/// Something is wrong with the store: nothing of the transaction was kept.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What kind of trouble it is.
    pub kind: FaultKind,
    file: Option<PathBuf>,
    detail: String,
}

/// The kinds of trouble that want different answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No space is left where the file is.
    Full,
    /// Another process holds the file.
    Locked,
    /// The file is damaged, or is not a database.
    Corrupt,
    /// A newer version of the program has written the file.
    Newer,
    /// An older version of the program has written the file, and it is only read.
    Older,
    /// The file or its folder may not be written.
    ReadOnly,
    /// The device reported an error.
    Device,
    /// The program is stopping and takes nothing any more.
    Stopping,
    /// A mistake of the program: a statement that the database refuses, or a row that is not what it should be.
    Defect,
}

impl FaultKind {
    fn advice(self) -> (&'static str, &'static str) {
        match self {
            FaultKind::Full => {
                ("no space is left", "free some space: writing goes on by itself; nothing acknowledged is lost")
            }
            FaultKind::Locked => (
                "another process has it open",
                "stop the other `firewarden` that uses this file, or give this one another `store.path`",
            ),
            FaultKind::Corrupt => (
                "the file is damaged or is not a database",
                "keep a copy of it with its `-wal` file, then start from a backup or with another `store.path`",
            ),
            FaultKind::Newer => {
                ("a newer version wrote it", "run the newer `firewarden`; files are never converted back")
            }
            FaultKind::Older => {
                ("an older version wrote it", "run `firewarden serve` once with it, which brings it forward")
            }
            FaultKind::ReadOnly => {
                ("it cannot be written", "give the user that runs `firewarden` write access to the file and its folder")
            }
            FaultKind::Device => {
                ("the device reported an error", "look at the system log for disk errors; writing is tried again")
            }
            FaultKind::Stopping => ("the program is stopping", "send it again: nothing of it was kept"),
            FaultKind::Defect => {
                ("a statement failed", "this is a defect of the program: please report it with this message")
            }
        }
    }
}

impl Fault {
    /// A fault of this kind, with what the database said.
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self { kind, file: None, detail: detail.into() }
    }

    /// A mistake of the program itself.
    pub fn defect(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Defect, detail)
    }

    /// Adds which file it is about.
    #[must_use]
    pub fn about(mut self, file: &Path) -> Self {
        self.file.get_or_insert_with(|| file.to_owned());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, hint) = self.kind.advice();
        match &self.file {
            Some(file) => write!(f, "Cannot use the store `{}`: {what}", file.display())?,
            None => write!(f, "Cannot use the store: {what}")?,
        }
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        write!(f, "\nhint: {hint}")
    }
}

impl std::error::Error for Fault {}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        // Primary result codes: https://sqlite.org/rescode.html (the low byte of an extended code).
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .and_then(|code| code.parse::<u32>().ok())
            .map(|code| code & 0xff);
        let kind = match code {
            Some(13) => FaultKind::Full,
            Some(5 | 6) => FaultKind::Locked,
            Some(11 | 26) => FaultKind::Corrupt,
            Some(8 | 14) => FaultKind::ReadOnly,
            Some(10) => FaultKind::Device,
            Some(_) | None => FaultKind::Defect,
        };
        Fault::new(kind, error.to_string())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Fault::defect(format!("a stored document does not read back: {error}"))
    }
}
