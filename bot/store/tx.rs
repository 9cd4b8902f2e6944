//! A transaction as the layers above see it: rows, statements, and the work to wake after the commit.

use std::ops::{Deref, DerefMut};

use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, Transaction, sqlite::SqliteArguments};

use super::{Bind, Fault, FaultKind, Result, Row, Wake};

/// Reads one consistent state.
pub struct Reader {
    connection: Connection,
}

enum Connection {
    Writer(Box<SqliteConnection>),
    Snapshot(Transaction<'static, Sqlite>),
}

/// Reads and writes inside one transaction. Everything that a [`Reader`] can be asked, it can be asked too.
pub struct Tx {
    reader: Reader,
    wakes: Vec<Wake>,
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

fn query(sql: &'static str, binds: &[Bind<'_>]) -> Query {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for bind in binds {
        query = match bind {
            Bind::Int(value) => query.bind(*value),
            Bind::Text(value) => query.bind(value.map(str::to_owned)),
        };
    }
    query
}

impl Reader {
    pub(super) fn snapshot(transaction: Transaction<'static, Sqlite>) -> Self {
        Self { connection: Connection::Snapshot(transaction) }
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        match &mut self.connection {
            Connection::Writer(connection) => connection,
            Connection::Snapshot(transaction) => transaction,
        }
    }

    /// All rows of a query.
    pub async fn rows(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Vec<Row>> {
        let rows = query(sql, binds).fetch_all(self.connection()).await.map_err(|error| explain(error, sql))?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// The row of a query that has at most one.
    pub async fn row(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Option<Row>> {
        let row = query(sql, binds).fetch_optional(self.connection()).await.map_err(|error| explain(error, sql))?;
        Ok(row.map(Row))
    }
}

impl Tx {
    pub(super) fn over(connection: SqliteConnection) -> Self {
        Self { reader: Reader { connection: Connection::Writer(Box::new(connection)) }, wakes: Vec::new() }
    }

    /// Runs a statement; the number is how many rows it changed.
    pub async fn execute(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<u64> {
        let done = query(sql, binds).execute(self.connection()).await.map_err(|error| explain(error, sql))?;
        Ok(done.rows_affected())
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

    pub(super) async fn close(self) {
        match self.reader.connection {
            Connection::Writer(connection) => {
                if let Err(error) = sqlx::Connection::close(*connection).await {
                    tracing::warn!(%error, "the store did not close cleanly");
                }
            }
            Connection::Snapshot(_) => {}
        }
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
