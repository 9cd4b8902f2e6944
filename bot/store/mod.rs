//! What is durable, and the only place that speaks SQL.
//!
//! A change is a [`Decision`], run inside one transaction and answered after its commit: whoever holds the answer may
//! act on it, because a kill at any instant finds it on disk. Reads use snapshots of their own and never wait for the
//! writer. Nothing above this module can tell which database is behind it.

pub mod alerts;
pub mod approvals;
pub mod cards;
pub mod fault;
pub mod halts;
pub mod incidents;
pub mod inputs;
pub mod locks;
pub mod migrations;
pub mod posts;
pub mod row;
pub mod runs;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod timers;
pub mod tx;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Notify, futures::Notified};

pub use self::{
    fault::{Fault, FaultKind},
    row::{Bind, Row},
    tx::{Reader, Tx},
};
use crate::domain::time::Time;

/// The result of anything that touches the store.
pub type Result<T> = std::result::Result<T, Fault>;

/// A change of state, run inside a transaction.
///
/// It owns its input, with the time and any random number it needs, and touches the world only through the
/// transaction: it may be run again when its first transaction did not commit. What is refused to a person is part of
/// the answer; a fault is for what is wrong with the store itself.
pub trait Decision: Send + Sync + 'static {
    /// What the caller gets once the change is durable.
    type Answer: Send + 'static;

    /// Reads, decides and writes. Check everything before the first write: an answer does not undo writes.
    fn decide(&self, tx: &mut Tx) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// Work that a commit may have made due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wake {
    /// Messages wait to be sent.
    Delivery,
    /// Pages wait to be sent.
    Pages,
    /// A run can go on.
    Runs,
    /// A timer was set, perhaps an earlier one than all before.
    Timers,
}

/// The open store. Cloning it is cheap; all clones share one writer.
#[derive(Clone)]
pub struct Store {
    path: Arc<PathBuf>,
    readers: SqlitePool,
    writer: writer::Writer,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
pub(crate) struct Wakes {
    delivery: Notify,
    pages: Notify,
    runs: Notify,
    timers: Notify,
}

impl Wakes {
    fn of(&self, wake: Wake) -> &Notify {
        match wake {
            Wake::Delivery => &self.delivery,
            Wake::Pages => &self.pages,
            Wake::Runs => &self.runs,
            Wake::Timers => &self.timers,
        }
    }
}

/// How many snapshots can be read at the same time.
const READERS: u32 = 4;

impl Store {
    /// Opens the file, made if it is missing, and brings its schema up to this version.
    ///
    /// # Errors
    /// When another process has it open, when a newer version wrote it, when it is damaged, or cannot be written. Each
    /// fault says what to do.
    pub async fn open(path: &Path) -> Result<Self> {
        let lock = writer::lock(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(256);
        let mut connection =
            sqlx::ConnectOptions::connect(&options).await.map_err(|error| Fault::from(error).about(path))?;
        migrations::migrate(&mut connection).await.map_err(|fault| fault.about(path))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(|error| Fault::from(error).about(path))?;
        let wakes = Arc::new(Wakes::default());
        let writer = writer::Writer::start(connection, lock, Arc::clone(&wakes));
        Ok(Self { path: Arc::new(path.to_owned()), readers, writer, wakes })
    }

    /// Runs the decision and answers once it is durable. Many callers share one commit.
    pub async fn decide<D: Decision>(&self, decision: D) -> Result<D::Answer> {
        self.writer.decide(decision).await.map_err(|fault| fault.about(&self.path))
    }

    /// A snapshot to read from; it sees everything that was answered before.
    pub async fn read(&self) -> Result<Reader> {
        let transaction = self.readers.begin().await.map_err(|error| Fault::from(error).about(&self.path))?;
        Ok(Reader::snapshot(transaction))
    }

    /// Completes after the next commit that wakes this kind of work. One wake that nobody waited for is kept.
    pub fn woken(&self, wake: Wake) -> Notified<'_> {
        self.wakes.of(wake).notified()
    }

    /// Since when no commit has succeeded although one was tried, by the process's own clock; `None` while all is well.
    pub fn failing_for(&self) -> Option<Duration> {
        self.writer.failing_for()
    }

    /// How many decisions wait for the writer.
    pub fn backlog(&self) -> usize {
        self.writer.backlog()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for what is queued to be committed and closes the file.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }
}

/// A store that is only read, perhaps beside the program that writes it.
pub struct ReadOnly {
    path: PathBuf,
    readers: SqlitePool,
}

impl ReadOnly {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// When another version wrote it, when it is damaged, or cannot be read.
    pub async fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(5));
        let readers = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|error| Fault::from(error).about(path))?;
        migrations::fits(&readers).await.map_err(|fault| fault.about(path))?;
        Ok(Self { path: path.to_owned(), readers })
    }

    /// A snapshot to read from.
    pub async fn read(&self) -> Result<Reader> {
        let transaction = self.readers.begin().await.map_err(|error| Fault::from(error).about(&self.path))?;
        Ok(Reader::snapshot(transaction))
    }
}

/// When the bot certainly could hear last: it wrote that the store is alive, or an entry.
pub async fn last_heard(reader: &mut Reader) -> Result<Option<Time>> {
    let row = reader
        .row(
            "select nullif(max(coalesce(beat_at, 0), coalesce((select at from timeline order by rowid desc limit 1), 0)), 0) \
             as at from instance",
            &[],
        )
        .await?;
    row.map_or(Ok(None), |row| row.opt_time("at"))
}

/// When the store was found writable last.
pub async fn last_beat(reader: &mut Reader) -> Result<Option<Time>> {
    let row = reader.row("select beat_at from instance", &[]).await?;
    row.map_or(Ok(None), |row| row.opt_time("beat_at"))
}

/// Writes that the store is alive; the answer says that a commit is possible.
#[derive(Debug, Clone, Copy)]
pub struct Beat(pub Time);

impl Decision for Beat {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> Result<()> {
        tx.execute("update instance set beat_at = $1", &[self.0.into()]).await?;
        Ok(())
    }
}
