//! Where everything is kept.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

use super::{Fault, FaultKind, Result};

/// Where everything is kept. Nothing but the program's wiring has to know which of them it is.
#[derive(Debug, Clone)]
pub enum Address {
    /// In a file of SQLite, for one machine.
    File(PathBuf),
    /// In a database of PostgreSQL, for several processes on several machines.
    Server(Server),
}

/// A database of PostgreSQL.
#[derive(Debug, Clone)]
pub struct Server {
    pub(super) options: Box<PgConnectOptions>,
    /// Without its password: `postgres://firewarden@db.example.org:5432/firewarden`.
    shown: String,
}

impl Server {
    /// Reads a URL such as `postgres://user:password@host/database`; what it leaves out is taken from the variables that
    /// PostgreSQL's own programs read.
    ///
    /// # Errors
    /// When it is no URL of PostgreSQL. The message does not show it: there may be a password in it.
    pub fn read(url: &SecretString) -> Result<Self> {
        let unreadable = || Fault::new(FaultKind::Denied, "it is no URL such as `postgres://user@host/database`");
        let url = url.expose_secret();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(unreadable());
        }
        let options: PgConnectOptions = url.parse().map_err(|_| unreadable())?;
        let shown = format!(
            "postgres://{}@{}:{}/{}",
            options.get_username(),
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_else(|| options.get_username()),
        );
        Ok(Self { options: Box::new(options), shown })
    }
}

impl Address {
    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Address::File(path) => Some(path),
            Address::Server(_) => None,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::File(path) => path.display().fmt(f),
            Address::Server(server) => f.write_str(&server.shown),
        }
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Address::File(path.to_owned())
    }
}

impl From<&PathBuf> for Address {
    fn from(path: &PathBuf) -> Self {
        Address::File(path.clone())
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}
