//! One connection, of either database: runs statements with their values.

use std::{
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};

use super::{Bind, Fault, FaultKind, Result, Row, dialect};

/// How long SQLite's thread is looked at before it is waited for.
const SOON: Duration = Duration::from_micros(60);
/// How long a server may take to answer a statement, which it lets take 15 s.
const ANSWER: Duration = Duration::from_secs(16);

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

/// Binds the values in their order.
macro_rules! bound {
    ($sql:expr, $binds:expr) => {
        $binds.iter().fold(sqlx::query(AssertSqlSafe($sql)), |query, bind| match bind {
            Bind::Int(value) => query.bind(*value),
            Bind::Text(value) => query.bind(value.map(|text| legible(text.to_owned()))),
        })
    };
}

/// Text without the one character that PostgreSQL does not keep; the same on both, so that a store can move.
pub(super) fn legible(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
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

impl Connection {
    fn own(&mut self) -> Own<'_> {
        match self {
            Connection::Sqlite(connection) => Own::Sqlite(connection),
            Connection::SqliteSnapshot(transaction) => Own::Sqlite(transaction),
            Connection::Postgres(connection) => Own::Postgres(connection),
            Connection::PostgresSnapshot(transaction) => Own::Postgres(transaction),
        }
    }

    /// Whether a server is at its other end.
    pub(super) fn is_of_server(&self) -> bool {
        matches!(self, Connection::Postgres(_) | Connection::PostgresSnapshot(_))
    }

    /// Runs a statement; the number is how many rows it changed.
    pub(super) async fn run(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<u64> {
        let changed = match self.own() {
            Own::Sqlite(own) => soon(bound!(sql, binds).execute(own)).await.map(|done| done.rows_affected()),
            Own::Postgres(own) => {
                answered(bound!(dialect::postgres(sql), binds).execute(own)).await.map(|done| done.rows_affected())
            }
        };
        changed.map_err(|error| explain(error, sql))
    }

    /// Writes so many rows by a statement whose `values (…)` stand for one.
    pub(super) async fn write(&mut self, sql: &'static str, count: usize, binds: &[Bind<'_>]) -> Result<()> {
        let done = match self.own() {
            Own::Sqlite(own) => soon(bound!(dialect::for_rows(sql, count, true), binds).execute(own)).await.map(drop),
            Own::Postgres(own) => {
                answered(bound!(dialect::for_rows(sql, count, false), binds).execute(own)).await.map(drop)
            }
        };
        done.map_err(|error| explain(error, sql))
    }

    /// All rows of a query.
    pub(super) async fn rows(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Vec<Row>> {
        let rows = match self.own() {
            Own::Sqlite(own) => {
                soon(bound!(sql, binds).fetch_all(own)).await.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Own::Postgres(own) => answered(bound!(dialect::postgres(sql), binds).fetch_all(own))
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
        };
        rows.map_err(|error| explain(error, sql))
    }

    /// The row of a query that has at most one.
    pub(super) async fn row(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Option<Row>> {
        let row = match self.own() {
            Own::Sqlite(own) => soon(bound!(sql, binds).fetch_optional(own)).await.map(|row| row.map(Row::Sqlite)),
            Own::Postgres(own) => answered(bound!(dialect::postgres(sql), binds).fetch_optional(own))
                .await
                .map(|row| row.map(Row::Postgres)),
        };
        row.map_err(|error| explain(error, sql))
    }

    /// The rows of a query one after the other, however many there are.
    pub(super) fn stream<'c>(&'c mut self, sql: &'static str, binds: &[Bind<'_>]) -> BoxStream<'c, Result<Row>> {
        let rows = match self.own() {
            Own::Sqlite(own) => bound!(sql, binds).fetch(own).map_ok(Row::Sqlite).boxed(),
            Own::Postgres(own) => bound!(dialect::postgres(sql), binds).fetch(own).map_ok(Row::Postgres).boxed(),
        };
        rows.map_err(move |error| explain(error, sql)).boxed()
    }

    /// Sends statements without values, all at once.
    pub(super) async fn send(&mut self, sql: &str) -> Result<()> {
        let sent = match self.own() {
            Own::Sqlite(own) => soon(sqlx::raw_sql(AssertSqlSafe(sql)).execute(own)).await.map(drop),
            Own::Postgres(own) => answered(sqlx::raw_sql(AssertSqlSafe(sql)).execute(own)).await.map(drop),
        };
        Ok(sent?)
    }

    /// Lets the database read a statement without running it.
    #[cfg(test)]
    pub(super) async fn prepare(&mut self, sql: &'static str) -> Result<()> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        let prepared = match self.own() {
            Own::Sqlite(own) => own.prepare(AssertSqlSafe(sql).into_sql_str()).await.map(drop),
            Own::Postgres(own) => own.prepare(AssertSqlSafe(dialect::postgres(sql)).into_sql_str()).await.map(drop),
        };
        prepared.map_err(|error| explain(error, sql))
    }
}

fn explain(error: sqlx::Error, sql: &'static str) -> Fault {
    let fault = Fault::from(error);
    if fault.kind == FaultKind::Defect { Fault::defect(format!("{fault} in `{sql}`")) } else { fault }
}
