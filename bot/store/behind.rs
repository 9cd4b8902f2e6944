//! SQLite's connection, which writes rows while the decision that they come from goes on.
//!
//! Rows are written in the order in which they were handed over, and before anything else that is asked of the connection.
//! The first write that fails is told to whoever asks next, and what was handed over after it is not written.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use sqlx::{Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Fault, FaultKind, Result, connection::explain};

/// The connection.
pub(super) struct Behind(Where);

enum Where {
    /// Nothing is being written.
    Here(Box<SqliteConnection>),
    /// A task writes with it.
    Away { rows: mpsc::UnboundedSender<Rows>, back: JoinHandle<(Box<SqliteConnection>, Result<()>)> },
    /// It did not come back, which happens only where the runtime ends.
    Gone,
}

/// Rows that are to be written by one statement.
struct Rows {
    statement: Query<'static, Sqlite, SqliteArguments>,
    /// How it is written for one row.
    sql: &'static str,
}

impl Behind {
    pub(super) fn of(connection: SqliteConnection) -> Self {
        Self(Where::Here(Box::new(connection)))
    }

    /// Whether rows are being written.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.0, Where::Away { .. })
    }

    /// Hands rows over to be written.
    pub(super) async fn write(&mut self, sql: &'static str, statement: Query<'static, Sqlite, SqliteArguments>) {
        if let Where::Here(_) = self.0
            && let Where::Here(connection) = std::mem::replace(&mut self.0, Where::Gone)
        {
            let (rows, handed_over) = mpsc::unbounded_channel();
            self.0 = Where::Away { rows, back: tokio::spawn(write(connection, handed_over)) };
        }
        if let Where::Away { rows, .. } = &self.0 {
            // Where nobody takes them any more, the one who asks for the connection is told.
            drop(rows.send(Rows { statement, sql }));
            // No other thread of the runtime takes what was woken by this one, until it pauses.
            tokio::task::yield_now().await;
        }
    }

    /// The connection, once everything that was handed over is written.
    pub(super) async fn done(&mut self) -> Result<&mut SqliteConnection> {
        let mut written = Ok(());
        if self.is_busy()
            && let Where::Away { rows, back } = std::mem::replace(&mut self.0, Where::Gone)
        {
            drop(rows);
            let (connection, outcome) = back.await.map_err(|_| gone())?;
            self.0 = Where::Here(connection);
            written = outcome;
        }
        match &mut self.0 {
            Where::Here(connection) => written.map(|()| &mut **connection),
            Where::Away { .. } | Where::Gone => Err(gone()),
        }
    }

    /// The connection, to be closed.
    pub(super) async fn into_connection(mut self) -> Option<SqliteConnection> {
        drop(self.done().await);
        match self.0 {
            Where::Here(connection) => Some(*connection),
            Where::Away { .. } | Where::Gone => None,
        }
    }
}

fn gone() -> Fault {
    Fault::new(FaultKind::Stopping, "")
}

async fn write(
    mut connection: Box<SqliteConnection>,
    mut handed_over: mpsc::UnboundedReceiver<Rows>,
) -> (Box<SqliteConnection>, Result<()>) {
    while let Some(Rows { statement, sql }) = handed_over.recv().await {
        let writing = statement.execute(&mut *connection);
        let fault = match AssertUnwindSafe(writing).catch_unwind().await {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => explain(error, sql),
            Err(_) => Fault::defect(format!("writing broke in `{sql}`")),
        };
        return (connection, Err(fault));
    }
    (connection, Ok(()))
}
