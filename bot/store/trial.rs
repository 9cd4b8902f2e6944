//! Where the stores of tests are: each in a file of its own, or in a database of its own.
//!
//! `FIREWARDEN_TEST_POSTGRES` names a server on which databases may be made; `tests/run` starts one and runs everything
//! a second time on it.

use secrecy::SecretString;
use sqlx::Connection as _;
use tempfile::TempDir;

use super::{Address, Server};

/// A home for one store, gone with the test.
pub(crate) struct Home {
    _folder: TempDir,
    address: Address,
}

impl Home {
    /// A home with no store yet, of the kind that is tried.
    pub(crate) async fn new() -> Self {
        let home = Self::file();
        match std::env::var("FIREWARDEN_TEST_POSTGRES") {
            Ok(server) => Self { address: database(&server).await, ..home },
            Err(_) => home,
        }
    }

    /// A file, whatever is tried.
    pub(crate) fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::File(folder.path().join("firewarden.db"));
        Self { _folder: folder, address }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }
}

async fn database(server: &str) -> Address {
    let name = format!("trial_{}", uuid::Uuid::now_v7().simple());
    let mut admin = sqlx::PgConnection::connect(server).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    let (base, options) =
        server.split_once('?').map_or((server, String::new()), |(base, rest)| (base, format!("?{rest}")));
    let base = base.rsplit_once('/').map_or(base, |(base, _)| base);
    Address::Server(Server::read(&SecretString::from(format!("{base}/{name}{options}"))).unwrap())
}
