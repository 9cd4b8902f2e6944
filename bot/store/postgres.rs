//! A database of PostgreSQL, on which several processes are at work.
//!
//! Each has a connection that writes. A transaction that writes begins by taking a lock that all of them know, and holds it
//! until it ends: the decisions of all processes happen one after the other, and each sees everything that was decided
//! before. The server ends a transaction whose process hangs, within a time that the others can wait.

use std::{sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{
    Fault, FaultKind, Result, Server, Tx, Wake, Wakes,
    connection::Connection,
    election::{CHANNEL, Election, Voice},
    migrations,
    writer::Together,
};

/// By what name the server knows the program's sessions.
pub(super) const PROGRAM: &str = "firewarden";
/// The name of a program that only reads, perhaps beside one at work.
pub(super) const BESIDE: &str = "firewarden beside";
/// How many snapshots can be read at the same time.
const READERS: u32 = 4;
/// How long the server may take to let somebody in, or a pool to have a connection free.
const ENTRY: Duration = Duration::from_secs(5);
/// How long a connection that was not used may take to show that it is still one.
const PING: Duration = Duration::from_secs(2);
/// How long a transaction that writes may take from its beginning to its end, its wait for the lock included.
const LONGEST: Duration = Duration::from_secs(20);
/// What every session sets. A process that hangs in a transaction, or takes no answer, keeps the others from writing until
/// the server ends its session.
const SESSION: [(&str, &str); 7] = [
    ("statement_timeout", "15s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("tcp_user_timeout", "10s"),
    ("synchronous_commit", "on"),
    ("client_min_messages", "warning"),
    ("default_transaction_isolation", "read committed"),
];
/// The lock of the process that writes at the moment: any number that nobody else uses in this database.
pub(super) const LOCK: i64 = 4_622_945_017_495_814_144;

fn options(server: &Server) -> PgConnectOptions {
    PgConnectOptions::clone(&server.options)
        .application_name(PROGRAM)
        .statement_cache_capacity(256)
        .options(SESSION)
        .disable_statement_logging()
}

/// Brings the schema up to this version, opens a pool of readers and joins the other processes.
pub(super) async fn open(server: &Server, wakes: Arc<Wakes>) -> Result<(Writer, PgPool, Election)> {
    let voice = Voice::new();
    let mut writer = Writer { options: options(server), voice: voice.clone(), tx: None };
    let mut connection = writer.connect().await?;
    migrations::postgres(&mut connection).await?;
    writer.tx = Some(Tx::over(Connection::Postgres(Box::new(connection))));
    let readers = look(server, PROGRAM).await?;
    let election = Election::join(options(server), voice, wakes).await?;
    Ok((writer, readers, election))
}

/// Opens a pool of readers that connect under this name.
pub(super) async fn look(server: &Server, name: &str) -> Result<PgPool> {
    let pool = PgPoolOptions::new().max_connections(READERS).acquire_timeout(ENTRY);
    // The library would wait for an answer for as long as the network takes to give up.
    let pool = pool.test_before_acquire(false).before_acquire(|connection, _| Box::pin(shows_life(connection)));
    let pool = pool.after_release(|connection, _| Box::pin(shows_life(connection)));
    Ok(pool.connect_with(options(server).application_name(name)).await?)
}

async fn shows_life(connection: &mut PgConnection) -> std::result::Result<bool, sqlx::Error> {
    Ok(timeout(PING, connection.ping()).await.is_ok_and(|answer| answer.is_ok()))
}

/// A snapshot, on a connection of the pool.
pub(super) async fn snapshot(readers: &PgPool) -> Result<Connection> {
    let begin = "begin isolation level repeatable read read only";
    Ok(Connection::PostgresSnapshot(readers.begin_with(begin).await?))
}

/// The connection that writes. It is made anew after trouble.
pub(super) struct Writer {
    options: PgConnectOptions,
    voice: Voice,
    tx: Option<Tx>,
}

impl Writer {
    async fn connect(&self) -> Result<PgConnection> {
        match timeout(ENTRY, self.options.connect()).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(Fault::new(FaultKind::Unreachable, format!("no answer within {} s", ENTRY.as_secs()))),
        }
    }

    /// Begins a transaction, on a new connection if the one that there was has ended: nothing was done on it yet.
    async fn begin(&mut self) -> Result<&mut Tx> {
        // The order of the statements matters: each after the lock sees what was committed before it was taken.
        let begin = format!("begin; select pg_advisory_xact_lock({LOCK})");
        if let Some(mut tx) = self.tx.take() {
            match tx.begin(&begin).await {
                Ok(()) => return Ok(self.tx.insert(tx)),
                Err(fault) if fault.kind == FaultKind::Unreachable => tracing::debug!(%fault, "connecting anew"),
                Err(fault) => return Err(fault),
            }
        }
        let connection = self.connect().await?;
        let tx = self.tx.insert(Tx::over(Connection::Postgres(Box::new(connection))));
        tx.begin(&begin).await?;
        Ok(tx)
    }

    /// Runs the decisions in one transaction; gives the work to wake, which is due once this returns.
    pub(super) async fn run(&mut self, together: &mut Together<'_>) -> Result<Vec<Wake>> {
        let voice = self.voice.clone();
        let tx = self.begin().await?;
        together.run(tx).await?;
        let wakes = tx.take_wakes();
        if wakes.is_empty() {
            tx.commit("commit").await?;
        } else {
            // The server passes it on if, and once, the transaction is committed.
            tx.commit(&format!("notify {CHANNEL}, '{}'; commit", voice.says(&wakes))).await?;
        }
        Ok(wakes)
    }

    /// Gives up the transaction, and the connection too where it is not certain to be of use.
    pub(super) async fn give_up(&mut self, fault: &Fault) {
        let Some(mut tx) = self.tx.take().filter(|_| fault.kind != FaultKind::Unreachable) else { return };
        if timeout(ENTRY, tx.roll_back()).await.is_ok_and(|done| done.is_ok()) {
            self.tx = Some(tx);
        }
    }

    /// Ends the connection in order.
    pub(super) async fn close(self) {
        let Some(Connection::Postgres(connection)) = self.tx.map(Tx::into_connection) else { return };
        if !timeout(ENTRY, connection.close()).await.is_ok_and(|closed| closed.is_ok()) {
            tracing::debug!("the connection that writes did not end in order");
        }
    }
}

/// Lets a transaction take no longer than it may.
pub(super) async fn bounded<T>(transaction: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Fault::new(FaultKind::Unreachable, format!("no answer within {} s", LONGEST.as_secs()));
    timeout(LONGEST, transaction).await.unwrap_or_else(|_| Err(late()))
}
