//! What can be wrong with the store itself, in words that say what to do.

use std::fmt;

use super::Address;

/// Something is wrong with the store: nothing of the transaction was kept.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What kind of trouble it is.
    pub kind: FaultKind,
    /// Where the store is, as people are told.
    address: Option<String>,
    is_server: bool,
    detail: String,
}

/// The kinds of trouble that want different answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No space is left where it is kept.
    Full,
    /// Another process writes to the store.
    Locked,
    /// The file is damaged, or is not a database; the database is not the program's.
    Corrupt,
    /// A newer version of the program has written it.
    Newer,
    /// An older version of the program has written it, and it is only read.
    Older,
    /// The file or its folder may not be written, or the server takes no writes.
    ReadOnly,
    /// The device reported an error.
    Device,
    /// The server that keeps it does not answer, or ended the conversation.
    Unreachable,
    /// The server does not let the program in.
    Denied,
    /// The program is stopping and takes nothing any more.
    Stopping,
    /// A mistake of the program: a statement that the database refuses, or a row that is not what it should be.
    Defect,
}

impl FaultKind {
    /// What is wrong and what to do, where it is another thing with a server than with a file.
    fn advice_on_server(self) -> (&'static str, &'static str) {
        match self {
            FaultKind::Locked => (
                "another process is at work on it",
                "stop the other `firewarden` that uses it, or give this one a database of its own",
            ),
            FaultKind::Corrupt => (
                "the database is damaged or is not the program's",
                "keep a copy of it, then start from a backup or with another database in `store.url`",
            ),
            FaultKind::ReadOnly => (
                "it cannot be written",
                "name the server that takes writes in `store.url`, and not a copy that follows it",
            ),
            FaultKind::Device => (
                "its server reported an error of its device",
                "look at the server's own log for disk errors; writing is tried again",
            ),
            FaultKind::Full
            | FaultKind::Newer
            | FaultKind::Older
            | FaultKind::Unreachable
            | FaultKind::Denied
            | FaultKind::Stopping
            | FaultKind::Defect => self.advice(),
        }
    }

    fn advice(self) -> (&'static str, &'static str) {
        match self {
            FaultKind::Full => {
                ("no space is left", "free some space: writing goes on by itself; nothing acknowledged is lost")
            }
            FaultKind::Locked => (
                "another process has it open",
                "stop the other `firewarden` that uses it, or give this one a store of its own",
            ),
            FaultKind::Corrupt => (
                "the file is damaged or is not a database",
                "keep a copy of it with its `-wal` file, then start from a backup or with another `store.path`",
            ),
            FaultKind::Newer => {
                ("a newer version wrote it", "run the newer `firewarden`; a store is never converted back")
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
            FaultKind::Unreachable => (
                "its server does not answer",
                "start the server, or mend the way to it: writing goes on by itself; nothing acknowledged is lost",
            ),
            FaultKind::Denied => (
                "its server does not let the program in",
                "check the user, the password and the database in `store.url`",
            ),
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
        Self { kind, address: None, is_server: false, detail: detail.into() }
    }

    /// A mistake of the program itself.
    pub fn defect(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Defect, detail)
    }

    /// What the database said.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// Adds which store it is about.
    #[must_use]
    pub fn about(mut self, address: &Address) -> Self {
        self.is_server = address.file().is_none();
        self.address.get_or_insert_with(|| address.to_string());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, hint) = if self.is_server { self.kind.advice_on_server() } else { self.kind.advice() };
        match &self.address {
            Some(address) => write!(f, "Cannot use the store `{address}`: {what}")?,
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
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library may add kinds; each is a mistake of the program")]
    fn from(error: sqlx::Error) -> Self {
        let kind = match &error {
            sqlx::Error::Database(database) => match database.code() {
                Some(code) if database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() => {
                    of_postgres(&code)
                }
                Some(code) => of_sqlite(&code),
                None => FaultKind::Defect,
            },
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut => {
                FaultKind::Unreachable
            }
            sqlx::Error::PoolClosed => FaultKind::Stopping,
            _ => FaultKind::Defect,
        };
        Fault::new(kind, error.to_string())
    }
}

/// Primary result codes, the low byte of an extended one: <https://sqlite.org/rescode.html>
fn of_sqlite(code: &str) -> FaultKind {
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(13) => FaultKind::Full,
        Ok(5 | 6) => FaultKind::Locked,
        Ok(11 | 26) => FaultKind::Corrupt,
        Ok(8 | 14) => FaultKind::ReadOnly,
        Ok(10) => FaultKind::Device,
        Ok(_) | Err(_) => FaultKind::Defect,
    }
}

/// Codes and classes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn of_postgres(code: &str) -> FaultKind {
    match code {
        "53100" => FaultKind::Full,
        "25006" => FaultKind::ReadOnly,
        "3D000" | "42501" => FaultKind::Denied,
        "XX001" | "XX002" => FaultKind::Corrupt,
        // Another decision was in the way for too long, or the server ended what took too long.
        "40001" | "40P01" | "55P03" | "25P03" => FaultKind::Unreachable,
        _ => match code.get(..2) {
            // No connection, no resources, or an operator has stopped the server.
            Some("08" | "53" | "57") => FaultKind::Unreachable,
            Some("28") => FaultKind::Denied,
            Some("58") => FaultKind::Device,
            Some(_) | None => FaultKind::Defect,
        },
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Fault::defect(format!("a stored document does not read back: {error}"))
    }
}
