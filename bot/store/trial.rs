//! Where the stores of tests are: each in a file of its own, or in a database of its own.
//!
//! `FIREWARDEN_TEST_POSTGRES` names a server on which databases may be made; `tests/run` starts one and runs the tests of
//! this layer and of the engine a second time on it.

use secrecy::SecretString;
use tempfile::TempDir;

use super::{Address, Server};

#[path = "../../tests/world/postgres.rs"]
mod postgres;

/// A home for one store, gone with the test.
pub(crate) struct Home {
    _folder: TempDir,
    _database: Option<postgres::Database>,
    address: Address,
}

impl Home {
    /// A home with no store yet, of the kind that is tried.
    pub(crate) async fn new() -> Self {
        let home = Self::file();
        match postgres::database().await {
            Some(database) => {
                let server = Server::read(&SecretString::from(database.to_owned())).unwrap();
                Self { address: Address::Server(server), _database: Some(database), ..home }
            }
            None => home,
        }
    }

    /// A file, whatever is tried.
    pub(crate) fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::File(folder.path().join("firewarden.db"));
        Self { _folder: folder, _database: None, address }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }
}
