//! A transaction as the layers above see it: rows, statements, and the work to wake after the commit.
//!
//! What is written again and again (entries, wishes for cards, timers) waits until the commit, or until a statement names
//! its table, and is then written with one statement for each table, whatever decided it.

use std::{
    ops::{Deref, DerefMut},
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use sqlx::{
    AssertSqlSafe, PgConnection, Postgres, Sqlite, SqliteConnection, Transaction, postgres::PgArguments,
    sqlite::SqliteArguments,
};

use super::{Bind, Fault, FaultKind, Result, Row, Wake, cards, dialect, timeline, timers};

/// How many rows a statement writes: few statements have to be known, and none has too many values for either database.
const AT_ONCE: [usize; 4] = [64, 16, 4, 1];
/// How long SQLite's thread is looked at before it is waited for.
const SOON: Duration = Duration::from_micros(60);
/// How long a server may take to answer a statement, which it lets take 15 s.
const ANSWER: Duration = Duration::from_secs(16);

/// Reads one consistent state.
pub struct Reader {
    connection: Connection,
    later: Later,
}

/// What is still to be written, by table. A transaction that only reads has nothing here.
#[derive(Default)]
pub(super) struct Later {
    pub(super) timeline: timeline::Later,
    pub(super) cards: cards::Later,
    pub(super) timers: timers::Later,
}

impl Later {
    /// Whether the statement has to come after what is still to be written.
    fn is_named_in(&self, sql: &str) -> bool {
        (!self.timeline.is_empty() && (sql.contains("timeline") || sql.contains("chains")))
            || (!self.cards.is_empty() && sql.contains("cards"))
            || (!self.timers.is_empty() && sql.contains("timers"))
    }
}

/// A connection in a transaction.
pub(super) enum Connection {
    /// The one that writes.
    Sqlite(Box<SqliteConnection>),
    /// One that reads a snapshot, and goes back to its pool.
    SqliteSnapshot(Transaction<'static, Sqlite>),
    /// One that writes.
    Postgres(Box<PgConnection>),
    /// One that reads a snapshot, and goes back to its pool.
    PostgresSnapshot(Transaction<'static, Postgres>),
}

/// Either database's own connection.
enum Own<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Connection {
    fn own(&mut self) -> Own<'_> {
        match self {
            Connection::Sqlite(connection) => Own::Sqlite(connection),
            Connection::SqliteSnapshot(transaction) => Own::Sqlite(transaction),
            Connection::Postgres(connection) => Own::Postgres(connection),
            Connection::PostgresSnapshot(transaction) => Own::Postgres(transaction),
        }
    }
}

/// Reads and writes inside one transaction. Everything that a [`Reader`] can be asked, it can be asked too.
pub struct Tx {
    reader: Reader,
    wakes: Vec<Wake>,
}

/// Binds the values in their order.
macro_rules! bound {
    ($sql:expr, $binds:expr) => {
        $binds.iter().fold(sqlx::query(AssertSqlSafe($sql)), |query, bind| match bind {
            Bind::Int(value) => query.bind(*value),
            Bind::Text(value) => query.bind(value.map(|text| legible(text.to_owned()))),
        })
    };
}

fn sqlite(sql: &'static str, binds: &[Bind<'_>]) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    bound!(sql, binds)
}

fn postgres(sql: &'static str, binds: &[Bind<'_>]) -> sqlx::query::Query<'static, Postgres, PgArguments> {
    bound!(dialect::postgres(sql), binds)
}

/// Waits for an answer for as long as the server lets a statement take, and a little: a network that is cut off says
/// nothing for many minutes.
async fn answered<T>(
    query: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> std::result::Result<T, sqlx::Error> {
    let late = || sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer"));
    tokio::time::timeout(ANSWER, query).await.unwrap_or_else(|_| Err(late()))
}

/// Waits for SQLite's thread, which answers most statements within microseconds: to sleep until then, and be woken, takes
/// longer than to look again.
async fn soon<T>(query: impl Future<Output = T>) -> T {
    let mut query = pin!(query);
    let begun = Instant::now();
    loop {
        if let Poll::Ready(answer) = futures::poll!(query.as_mut()) {
            return answer;
        }
        if begun.elapsed() > SOON {
            return query.await;
        }
        std::thread::yield_now();
    }
}

/// Text without the one character that PostgreSQL does not keep; the same on both, so that a store can move.
pub(super) fn legible(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

impl Reader {
    pub(super) fn of(connection: Connection) -> Self {
        Self { connection, later: Later::default() }
    }

    /// What is still to be written.
    pub(super) fn later(&mut self) -> &mut Later {
        &mut self.later
    }

    /// Writes what has waited, if the statement is about it.
    async fn catch_up(&mut self, sql: &'static str) -> Result<()> {
        if self.later.is_named_in(sql) { self.write_later().await } else { Ok(()) }
    }

    /// Writes what has waited.
    async fn write_later(&mut self) -> Result<()> {
        let Later { timeline, cards, timers } = &mut self.later;
        let (entries, ends) = timeline.take();
        let cards = cards.take();
        let (set, cleared) = timers.take()?;
        self.insert(timeline::ADD, entries.iter().map(timeline::New::row)).await?;
        self.insert(timeline::END, ends.iter().map(timeline::End::row)).await?;
        self.insert(cards::WANT, cards.iter().map(cards::Wish::row)).await?;
        self.insert(timers::SET, set.iter().map(timers::Due::row)).await?;
        if let Some(cleared) = cleared {
            self.run(timers::CLEAR, &[(&cleared).into()]).await?;
        }
        Ok(())
    }

    /// Writes rows by a statement whose `values (…)` stand for one.
    async fn insert<'a, const N: usize>(
        &mut self,
        sql: &'static str,
        rows: impl Iterator<Item = [Bind<'a>; N]>,
    ) -> Result<()> {
        let rows: Vec<[Bind<'_>; N]> = rows.collect();
        let mut left = rows.as_slice();
        while let Some(count) = AT_ONCE.iter().find(|count| **count <= left.len()) {
            let (rows, rest) = left.split_at(*count);
            self.run_rows(sql, *count, rows.as_flattened()).await?;
            left = rest;
        }
        Ok(())
    }

    async fn run(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<u64> {
        let changed = match self.connection.own() {
            Own::Sqlite(own) => soon(sqlite(sql, binds).execute(own)).await.map(|done| done.rows_affected()),
            Own::Postgres(own) => answered(postgres(sql, binds).execute(own)).await.map(|done| done.rows_affected()),
        };
        changed.map_err(|error| explain(error, sql))
    }

    async fn run_rows(&mut self, sql: &'static str, count: usize, binds: &[Bind<'_>]) -> Result<()> {
        let done = match self.connection.own() {
            Own::Sqlite(own) => soon(sqlite(dialect::for_rows(sql, count, true), binds).execute(own)).await.map(drop),
            Own::Postgres(own) => bound!(dialect::for_rows(sql, count, false), binds).execute(own).await.map(drop),
        };
        done.map_err(|error| explain(error, sql))
    }

    /// All rows of a query.
    pub async fn rows(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Vec<Row>> {
        self.catch_up(sql).await?;
        let rows = match self.connection.own() {
            Own::Sqlite(own) => {
                soon(sqlite(sql, binds).fetch_all(own)).await.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Own::Postgres(own) => answered(postgres(sql, binds).fetch_all(own))
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
        };
        rows.map_err(|error| explain(error, sql))
    }

    /// Shows the rows of a query one after the other, so that they are not all in memory at once.
    pub async fn each(
        &mut self,
        sql: &'static str,
        binds: &[Bind<'_>],
        mut see: impl FnMut(&Row) -> Result<()> + Send,
    ) -> Result<()> {
        self.catch_up(sql).await?;
        let mut rows = self.stream(sql, binds);
        while let Some(row) = rows.try_next().await? {
            see(&row)?;
        }
        Ok(())
    }

    /// The rows of a query one after the other, however many there are.
    pub(super) fn stream<'r>(&'r mut self, sql: &'static str, binds: &[Bind<'_>]) -> BoxStream<'r, Result<Row>> {
        let rows = match self.connection.own() {
            Own::Sqlite(own) => sqlite(sql, binds).fetch(own).map_ok(Row::Sqlite).boxed(),
            Own::Postgres(own) => postgres(sql, binds).fetch(own).map_ok(Row::Postgres).boxed(),
        };
        rows.map_err(move |error| explain(error, sql)).boxed()
    }

    /// Whether a server keeps the store.
    pub(super) fn is_of_server(&mut self) -> bool {
        matches!(self.connection.own(), Own::Postgres(_))
    }

    /// Lets the database read a statement without running it.
    #[cfg(test)]
    pub(crate) async fn prepare(&mut self, sql: &'static str) -> Result<()> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        let prepared = match self.connection.own() {
            Own::Sqlite(own) => own.prepare(AssertSqlSafe(sql).into_sql_str()).await.map(drop),
            Own::Postgres(own) => own.prepare(AssertSqlSafe(dialect::postgres(sql)).into_sql_str()).await.map(drop),
        };
        prepared.map_err(|error| explain(error, sql))
    }

    /// The row of a query that has at most one.
    pub async fn row(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Option<Row>> {
        self.catch_up(sql).await?;
        let row = match self.connection.own() {
            Own::Sqlite(own) => soon(sqlite(sql, binds).fetch_optional(own)).await.map(|row| row.map(Row::Sqlite)),
            Own::Postgres(own) => {
                answered(postgres(sql, binds).fetch_optional(own)).await.map(|row| row.map(Row::Postgres))
            }
        };
        row.map_err(|error| explain(error, sql))
    }
}

impl Tx {
    pub(super) fn over(connection: Connection) -> Self {
        Self { reader: Reader::of(connection), wakes: Vec::new() }
    }

    /// Runs a statement; the number is how many rows it changed.
    pub async fn execute(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<u64> {
        self.reader.catch_up(sql).await?;
        self.reader.run(sql, binds).await
    }

    /// Writes rows by a statement whose `values (…)` stand for one.
    pub(super) async fn insert<'a, const N: usize>(
        &mut self,
        sql: &'static str,
        rows: impl Iterator<Item = [Bind<'a>; N]>,
    ) -> Result<()> {
        self.reader.catch_up(sql).await?;
        self.reader.insert(sql, rows).await
    }

    /// Begins a transaction, by these statements.
    pub(super) async fn begin(&mut self, sql: &str) -> Result<()> {
        self.reader.later = Later::default();
        self.send(sql).await
    }

    /// Writes everything that was decided, and makes it durable by these statements.
    pub(super) async fn commit(&mut self, sql: &str) -> Result<()> {
        self.reader.write_later().await?;
        self.send(sql).await
    }

    /// Takes back everything since the beginning.
    pub(super) async fn roll_back(&mut self) -> Result<()> {
        self.wakes.clear();
        self.reader.later = Later::default();
        self.reader.run("rollback", &[]).await.map(drop)
    }

    /// Sends statements without values, all at once.
    async fn send(&mut self, sql: &str) -> Result<()> {
        let sent = match self.reader.connection.own() {
            Own::Sqlite(own) => soon(sqlx::raw_sql(AssertSqlSafe(sql)).execute(own)).await.map(drop),
            Own::Postgres(own) => answered(sqlx::raw_sql(AssertSqlSafe(sql)).execute(own)).await.map(drop),
        };
        Ok(sent?)
    }

    /// Wakes this kind of work after the commit.
    pub fn wake(&mut self, wake: Wake) {
        if !self.wakes.contains(&wake) {
            self.wakes.push(wake);
        }
    }

    pub(super) fn take_wakes(&mut self) -> Vec<Wake> {
        std::mem::take(&mut self.wakes)
    }

    pub(super) fn into_connection(self) -> Connection {
        self.reader.connection
    }
}

fn explain(error: sqlx::Error, sql: &'static str) -> Fault {
    let fault = Fault::from(error);
    if fault.kind == FaultKind::Defect { Fault::defect(format!("{fault} in `{sql}`")) } else { fault }
}

impl Deref for Tx {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}
