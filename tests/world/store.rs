//! Where the bot keeps everything, and what the story may know of it: a file in its folder or, where
//! `FIREWARDEN_TEST_POSTGRES` names a server, a database of its own there, which is gone with the story.
//!
//! On a server nobody can prove that whoever drove a run is gone before the lease of it is over. So there, leases pass
//! between a death and a restart.

use std::{path::PathBuf, sync::Once, time::Duration};

use firewarden::{
    domain::{
        ids::IncidentId,
        incidents::Incident,
        runs::RunState,
        timeline::{Chain, Entry},
    },
    store::{Address, FaultKind, ReadOnly, Store, runs},
};
use sqlx::Connection as _;

use super::{World, left_out, postgres, until};

/// Whether stories are told on PostgreSQL.
pub(crate) fn is_on_postgres() -> bool {
    std::env::var_os("FIREWARDEN_TEST_POSTGRES").is_some()
}

/// A database for one story, if there is a server. Where there is none, that is said once.
pub(super) async fn database() -> Option<postgres::Database> {
    static SAID: Once = Once::new();
    let database = postgres::database().await;
    if database.is_none() {
        SAID.call_once(|| left_out("every story on PostgreSQL", "`FIREWARDEN_TEST_POSTGRES`"));
    }
    database
}

/// A server as the story sees it. What uses it blocks its thread.
pub(crate) struct Server {
    url: String,
    connection: Option<sqlx::PgConnection>,
}

impl Server {
    /// The server of this URL, with the database in it.
    pub(crate) fn new(url: String) -> Self {
        Self { url, connection: None }
    }

    /// Whether somebody waits there for an answer, or is in the middle of a transaction. One that is gone does not work.
    pub(crate) fn is_at_work(&mut self) -> bool {
        tokio::runtime::Handle::current().block_on(self.count()).is_ok_and(|count| count > 0)
    }

    async fn count(&mut self) -> sqlx::Result<i64> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => sqlx::PgConnection::connect(&self.url).await?,
        };
        let count = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
             and state <> 'idle'",
        );
        let count = count.fetch_one(&mut connection).await?;
        self.connection = Some(connection);
        Ok(count)
    }
}

/// Keeps whoever writes to the store waiting, as long as it lives; readers go on.
pub(crate) enum Busy {
    File(sqlx::SqliteConnection),
    Server(sqlx::PgConnection),
}

impl Busy {
    /// Lets them go on.
    pub(crate) async fn ends(self) {
        match self {
            Busy::File(connection) => connection.close().await.unwrap(),
            Busy::Server(connection) => connection.close().await.unwrap(),
        }
    }
}

impl World {
    /// The address of the store as the program says it to somebody in its folder.
    pub(crate) fn shown_address(&self) -> String {
        match self.address.file() {
            Some(file) => file.file_name().unwrap().to_string_lossy().into_owned(),
            None => self.address.to_string(),
        }
    }

    /// The store of a bot that does not run.
    pub(crate) async fn store(&self) -> Store {
        assert!(!self.bot.is_alive(), "the store is read once the bot has ended");
        let mut opened = None;
        // A process that another story is starting bears the lock of a store that was just read, until it is its program.
        until(5, async || {
            let store = Store::open(&self.address).await;
            let is_locked = store.as_ref().is_err_and(|fault| fault.kind == FaultKind::Locked);
            opened = Some(store);
            !is_locked
        })
        .await;
        opened.unwrap().unwrap()
    }

    /// An incident, once the bot has ended.
    pub(crate) async fn incident(&self, incident: i64) -> Incident {
        let store = self.store().await;
        let mut reader = store.read().await.unwrap();
        let found = firewarden::store::incidents::by_id(&mut reader, IncidentId(incident)).await.unwrap();
        drop(reader);
        store.close().await;
        found.unwrap()
    }

    /// The timeline of an incident, once the bot has ended.
    pub(crate) async fn timeline(&self, incident: i64) -> Vec<Entry> {
        let store = self.store().await;
        let mut reader = store.read().await.unwrap();
        let chain = Chain::Incident(IncidentId(incident));
        let entries = firewarden::store::timeline::entries(&mut reader, chain).await.unwrap();
        drop(reader);
        store.close().await;
        entries
    }

    /// The file that halts everything while it is there.
    pub(crate) fn halt_file(&self) -> PathBuf {
        let name = if self.address.file().is_some() { "firewarden.db.halt" } else { "firewarden.halt" };
        self.folder().join(name)
    }

    /// Writes into the store behind the bot's back, as no version of it would.
    pub(crate) async fn spoil(&self, sql: &'static str) {
        match (&self.address, &self.server) {
            (Address::File(file), _) => {
                let url = format!("sqlite://{}", file.display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            (Address::Server(_), server) => {
                let mut connection = sqlx::PgConnection::connect(server.as_ref().unwrap()).await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Keeps the bot from writing until the answer is told to end.
    pub(crate) async fn is_busy(&self) -> Busy {
        match (&self.address, &self.server) {
            (Address::File(file), _) => {
                let url = format!("sqlite://{}", file.display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                sqlx::query("begin immediate").execute(&mut connection).await.unwrap();
                Busy::File(connection)
            }
            (Address::Server(_), server) => {
                let mut connection = sqlx::PgConnection::connect(server.as_ref().unwrap()).await.unwrap();
                sqlx::query("begin").execute(&mut connection).await.unwrap();
                sqlx::query("lock table timeline in exclusive mode").execute(&mut connection).await.unwrap();
                Busy::Server(connection)
            }
        }
    }

    /// Lets time pass, on a server, until every lease that a bot which is gone has left is over.
    pub(super) async fn leases_pass(&self) {
        let (Address::Server(_), Some(hand)) = (&self.address, &self.hand) else { return };
        // One that was killed at its first commit has left nothing that could be read.
        let Ok(store) = ReadOnly::open(&self.address).await else { return };
        let open = runs::open(&mut store.read().await.unwrap()).await.unwrap();
        let driven = open.iter().filter(|run| run.owner.is_some() && run.state == RunState::Running);
        let Some(last) = driven.filter_map(|run| run.lease_until).max().filter(|last| *last >= self.now()) else {
            return;
        };
        self.note("the leases of what was at work pass");
        hand.advance_to(last + Duration::from_millis(1)).await;
    }
}
