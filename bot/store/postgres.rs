//! A database of PostgreSQL, of which several processes may hold themselves ready to take over.
//!
//! One process at a time writes: the one whose connection holds a lock that all of them know. The lock and the right to
//! write are the same connection, so a process that was cut off, stopped or killed cannot write any more once another
//! took over. The server ends a session from which nothing came for a while, within which a live process always speaks.

use std::time::Duration;

use sqlx::{
    ConnectOptions, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{
    Fault, FaultKind, Result, Server, Tx, Wake, migrations,
    tx::Connection,
    writer::{Job, run_all},
};

/// How many snapshots can be read at the same time.
const READERS: u32 = 4;
/// How long the server may take to let somebody in, or a pool to have a connection free.
const ENTRY: Duration = Duration::from_secs(5);
/// How long a transaction that writes may take from its beginning to its end, its wait for the lock included.
const LONGEST: Duration = Duration::from_secs(20);
/// How long the connection that writes is idle before it shows that its process lives.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(3);
/// What every session sets. A process that hangs must not keep another from taking over for longer than 15 s.
const SESSION: [(&str, &str); 6] = [
    ("statement_timeout", "15s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("synchronous_commit", "on"),
    ("client_min_messages", "warning"),
    ("default_transaction_isolation", "read committed"),
];
/// Ends the session of a process that shows no sign of life; PostgreSQL 14 is the first that knows it.
/// <https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT>
const SILENT: [(&str, &str); 1] = [("idle_session_timeout", "10s")];
/// The lock of the process that writes: any number that nobody else uses in this database.
const LOCK: i64 = 4_622_945_017_495_814_144;

fn options(server: &Server) -> PgConnectOptions {
    PgConnectOptions::clone(&server.options)
        .application_name("firewarden")
        .statement_cache_capacity(256)
        .options(SESSION)
        .disable_statement_logging()
}

/// Brings the schema up to this version, and opens a pool of readers.
pub(super) async fn open(server: &Server) -> Result<(Writer, PgPool)> {
    let mut writer = Writer { options: options(server).options(SILENT), tx: None };
    let mut connection = writer.connect().await?;
    migrations::postgres(&mut connection).await?;
    writer.tx = Some(Tx::over(Connection::Postgres(Box::new(connection))));
    Ok((writer, look(server).await?))
}

/// Opens a pool of readers.
pub(super) async fn look(server: &Server) -> Result<PgPool> {
    Ok(PgPoolOptions::new().max_connections(READERS).acquire_timeout(ENTRY).connect_with(options(server)).await?)
}

/// A snapshot, on a connection of the pool.
pub(super) async fn snapshot(readers: &PgPool) -> Result<Connection> {
    let begin = "begin isolation level repeatable read read only";
    Ok(Connection::PostgresSnapshot(readers.begin_with(begin).await?))
}

/// The connection that writes. It is made anew after trouble.
pub(super) struct Writer {
    options: PgConnectOptions,
    tx: Option<Tx>,
}

impl Writer {
    /// Connects and takes the lock.
    async fn connect(&self) -> Result<PgConnection> {
        let entered = timeout(ENTRY, async {
            let mut connection = self.options.connect().await?;
            let is_ours =
                sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut connection).await?;
            Ok::<_, sqlx::Error>((connection, is_ours))
        });
        match entered.await {
            Ok(Ok((connection, true))) => Ok(connection),
            Ok(Ok((_, false))) => Err(Fault::new(FaultKind::Locked, "")),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Fault::new(FaultKind::Unreachable, format!("no answer within {} s", ENTRY.as_secs()))),
        }
    }

    /// The connection that writes, made anew after trouble unless another process has taken over.
    async fn tx(&mut self) -> Result<&mut Tx> {
        if self.tx.is_none() {
            let connection = self.connect().await?;
            self.tx = Some(Tx::over(Connection::Postgres(Box::new(connection))));
        }
        self.tx.as_mut().ok_or_else(|| Fault::new(FaultKind::Unreachable, ""))
    }

    /// Shows the server that this process lives.
    pub(super) async fn show_life(&mut self) -> Result<()> {
        self.tx().await?.row("select 1 as here", &[]).await?;
        Ok(())
    }

    /// Runs the decisions in one transaction; gives the work to wake, which is due once this returns.
    pub(super) async fn run(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Wake>> {
        let tx = self.tx().await?;
        tx.begin("begin").await?;
        run_all(tx, jobs).await?;
        let wakes = tx.take_wakes();
        tx.commit().await?;
        Ok(wakes)
    }

    /// Gives up the transaction, and the connection too where it is not certain to be of use.
    pub(super) async fn give_up(&mut self, fault: &Fault) {
        let Some(mut tx) = self.tx.take().filter(|_| fault.kind != FaultKind::Unreachable) else { return };
        if timeout(ENTRY, tx.roll_back()).await.is_ok_and(|done| done.is_ok()) {
            self.tx = Some(tx);
        }
    }

    /// Lets another process take over at once.
    pub(super) async fn close(self) {
        let Some(Connection::Postgres(mut connection)) = self.tx.map(Tx::into_connection) else { return };
        let left = timeout(ENTRY, async {
            sqlx::query("select pg_advisory_unlock($1)").bind(LOCK).execute(&mut *connection).await?;
            connection.close().await
        });
        if !matches!(left.await, Ok(Ok(()))) {
            tracing::warn!("the server was not left cleanly: another process takes over once it notices");
        }
    }
}

/// Lets a transaction take no longer than it may.
pub(super) async fn bounded<T>(transaction: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Fault::new(FaultKind::Unreachable, format!("no answer within {} s", LONGEST.as_secs()));
    timeout(LONGEST, transaction).await.unwrap_or_else(|_| Err(late()))
}
