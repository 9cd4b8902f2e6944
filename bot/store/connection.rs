//! One connection, of either database: runs statements with their values.

use std::{
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use sqlx::{
    Arguments, AssertSqlSafe, Database, Encode, IntoArguments, PgConnection, Postgres, Sqlite, SqliteConnection,
    Transaction, Type, query::Query,
};

use super::{Bind, Fault, FaultKind, Result, Row, behind::Behind, dialect};

/// How long SQLite's thread is looked at before it is waited for.
const SOON: Duration = Duration::from_micros(60);
/// From how many rows on a statement is written while the decision goes on: fewer are written before it could be told.
const MANY: usize = 64;
/// How long a server may take to answer a statement, which it lets take 15 s.
const ANSWER: Duration = Duration::from_secs(16);

/// A connection in a transaction.
pub(super) enum Connection {
    /// The one that writes.
    Sqlite(Behind),
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

/// A statement with its values, in their order.
fn bound<DB>(sql: &'static str, binds: &[Bind<'_>]) -> Result<Query<'static, DB, DB::Arguments>>
where
    DB: Database<Arguments: IntoArguments<DB>>,
    i64: Encode<'static, DB> + Type<DB>,
    Option<i64>: Encode<'static, DB>,
    String: Encode<'static, DB> + Type<DB>,
    Option<String>: Encode<'static, DB>,
{
    let mut values = DB::Arguments::default();
    values.reserve(binds.len(), 0);
    for bind in binds {
        let added = match bind {
            Bind::Int(value) => values.add(*value),
            Bind::Text(value) => values.add(value.map(|text| legible(text.to_owned()))),
        };
        added.map_err(|error| Fault::defect(format!("a value cannot be bound: {error}")))?;
    }
    Ok(sqlx::query_with(AssertSqlSafe(sql), values))
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
    /// The connection, once it is done with what it was given to write.
    async fn own(&mut self) -> Result<Own<'_>> {
        Ok(match self {
            Connection::Sqlite(behind) => Own::Sqlite(behind.done().await?),
            Connection::SqliteSnapshot(transaction) => Own::Sqlite(transaction),
            Connection::Postgres(connection) => Own::Postgres(connection),
            Connection::PostgresSnapshot(transaction) => Own::Postgres(transaction),
        })
    }

    /// Waits for what is being written, whatever comes of it.
    pub(super) async fn settle(&mut self) {
        if let Connection::Sqlite(behind) = self {
            drop(behind.done().await);
        }
    }

    /// Whether a server is at its other end.
    pub(super) fn is_of_server(&self) -> bool {
        matches!(self, Connection::Postgres(_) | Connection::PostgresSnapshot(_))
    }

    /// Runs a statement; the number is how many rows it changed.
    pub(super) async fn run(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<u64> {
        let changed = match self.own().await? {
            Own::Sqlite(own) => soon(bound(sql, binds)?.execute(own)).await.map(|done| done.rows_affected()),
            Own::Postgres(own) => {
                answered(bound(dialect::postgres(sql), binds)?.execute(own)).await.map(|done| done.rows_affected())
            }
        };
        changed.map_err(|error| explain(error, sql))
    }

    /// Writes so many rows by a statement whose `values (…)` stand for one. Where there are many, it does so while the caller
    /// goes on; what is asked next waits for it, and is told if it failed.
    pub(super) async fn write(&mut self, sql: &'static str, count: usize, binds: &[Bind<'_>]) -> Result<()> {
        if let Connection::Sqlite(behind) = self
            && (count >= MANY || behind.is_busy())
        {
            behind.write(sql, bound(dialect::for_rows(sql, count, true), binds)?).await;
            return Ok(());
        }
        let done = match self.own().await? {
            Own::Sqlite(own) => soon(bound(dialect::for_rows(sql, count, true), binds)?.execute(own)).await.map(drop),
            Own::Postgres(own) => {
                answered(bound(dialect::for_rows(sql, count, false), binds)?.execute(own)).await.map(drop)
            }
        };
        done.map_err(|error| explain(error, sql))
    }

    /// All rows of a query.
    pub(super) async fn rows(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Vec<Row>> {
        let rows = match self.own().await? {
            Own::Sqlite(own) => {
                soon(bound(sql, binds)?.fetch_all(own)).await.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Own::Postgres(own) => answered(bound(dialect::postgres(sql), binds)?.fetch_all(own))
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
        };
        rows.map_err(|error| explain(error, sql))
    }

    /// The row of a query that has at most one.
    pub(super) async fn row(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Option<Row>> {
        let row = match self.own().await? {
            Own::Sqlite(own) => soon(bound(sql, binds)?.fetch_optional(own)).await.map(|row| row.map(Row::Sqlite)),
            Own::Postgres(own) => answered(bound(dialect::postgres(sql), binds)?.fetch_optional(own))
                .await
                .map(|row| row.map(Row::Postgres)),
        };
        row.map_err(|error| explain(error, sql))
    }

    /// The rows of a query one after the other, however many there are.
    pub(super) async fn stream<'c>(
        &'c mut self,
        sql: &'static str,
        binds: &[Bind<'_>],
    ) -> Result<BoxStream<'c, Result<Row>>> {
        let rows = match self.own().await? {
            Own::Sqlite(own) => bound(sql, binds)?.fetch(own).map_ok(Row::Sqlite).boxed(),
            Own::Postgres(own) => bound(dialect::postgres(sql), binds)?.fetch(own).map_ok(Row::Postgres).boxed(),
        };
        Ok(rows.map_err(move |error| explain(error, sql)).boxed())
    }

    /// Sends statements without values, all at once.
    pub(super) async fn send(&mut self, sql: &str) -> Result<()> {
        let sent = match self.own().await? {
            Own::Sqlite(own) => soon(sqlx::raw_sql(AssertSqlSafe(sql)).execute(own)).await.map(drop),
            Own::Postgres(own) => answered(sqlx::raw_sql(AssertSqlSafe(sql)).execute(own)).await.map(drop),
        };
        Ok(sent?)
    }

    /// Lets the database read a statement without running it.
    #[cfg(test)]
    pub(super) async fn prepare(&mut self, sql: &'static str) -> Result<()> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        let prepared = match self.own().await? {
            Own::Sqlite(own) => own.prepare(AssertSqlSafe(sql).into_sql_str()).await.map(drop),
            Own::Postgres(own) => own.prepare(AssertSqlSafe(dialect::postgres(sql)).into_sql_str()).await.map(drop),
        };
        prepared.map_err(|error| explain(error, sql))
    }
}

pub(super) fn explain(error: sqlx::Error, sql: &'static str) -> Fault {
    let fault = Fault::from(error);
    if fault.kind == FaultKind::Defect { Fault::defect(format!("{fault} in `{sql}`")) } else { fault }
}
