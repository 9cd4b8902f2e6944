//! A file of SQLite: one connection writes, others read snapshots beside it, and one process has it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    sync::Arc,
    time::Duration,
};

use sqlx::{
    SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{sync::Notify, task::JoinHandle};

use super::{Fault, FaultKind, Result, migrations};

/// How many snapshots can be read at the same time.
const READERS: u32 = 4;
/// How much of the file the writer keeps at hand, in KiB. What a storm of alerts writes is spread over the whole of the
/// indexes: with SQLite's own 2 MiB, most of the time goes into reading them again.
const AT_HAND: &str = "-32768";
/// How many pages are written beside the file before a commit has to move them into it.
const BESIDE: &str = "16000";
/// From how many bytes beside the file on they are moved into it meanwhile.
const MUCH: u64 = 4 * 1024 * 1024;
/// How long after a commit that is done.
const MEANWHILE: Duration = Duration::from_millis(100);
/// How long a lock of the file is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// An open file.
pub(super) struct Opened {
    pub(super) writer: SqliteConnection,
    pub(super) mover: Mover,
    pub(super) readers: SqlitePool,
    /// Keeps other processes away as long as it lives.
    pub(super) lock: File,
}

/// Opens the file, made if it is missing, and brings its schema up to this version.
pub(super) async fn open(path: &Path) -> Result<Opened> {
    let lock = lock(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .statement_cache_capacity(256);
    // What a statement may have to take back is kept in memory: in a temporary file it doubles what a storm writes.
    let writing = options.clone().pragma("cache_size", AT_HAND).pragma("wal_autocheckpoint", BESIDE);
    let writing = writing.pragma("temp_store", "memory");
    let mut writer = sqlx::ConnectOptions::connect(&writing).await?;
    migrations::sqlite(&mut writer).await?;
    let mover = Mover::start(path, &options).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options.read_only(true).create_if_missing(false))
        .await?;
    Ok(Opened { writer, mover, readers, lock })
}

/// Moves into the file what commits have written beside it, while nobody waits: the commit that has to do it takes many
/// times longer than others.
pub(super) struct Mover {
    written: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Mover {
    async fn start(path: &Path, options: &SqliteConnectOptions) -> Result<Self> {
        let mut beside = path.as_os_str().to_owned();
        beside.push("-wal");
        let mut connection = sqlx::ConnectOptions::connect(options).await?;
        let written = Arc::new(Notify::new());
        let is_written = Arc::clone(&written);
        let task = tokio::spawn(async move {
            loop {
                is_written.notified().await;
                tokio::time::sleep(MEANWHILE).await;
                if std::fs::metadata(&beside).is_ok_and(|beside| beside.len() >= MUCH)
                    && let Err(error) = sqlx::query("pragma wal_checkpoint(passive)").execute(&mut connection).await
                {
                    tracing::debug!(%error, "what is beside the file was not moved into it");
                }
            }
        });
        Ok(Self { written, task })
    }

    /// Something was committed.
    pub(super) fn written(&self) {
        self.written.notify_one();
    }

    /// Ends it, so that the last connection to close is the one that writes.
    pub(super) async fn close(mut self) {
        self.task.abort();
        let _aborted = (&mut self.task).await;
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens a file that is there, only to read, perhaps beside the program that writes it.
pub(super) async fn look(path: &Path) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY);
    Ok(SqlitePoolOptions::new().max_connections(1).connect_with(options).await?)
}

/// Takes the lock that keeps a second process away from the file; it is held as long as the `File` lives.
pub(super) fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| Fault::new(FaultKind::ReadOnly, error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Fault::new(FaultKind::Locked, "")),
        Err(TryLockError::Error(error)) => Err(Fault::new(FaultKind::Device, error.to_string())),
    }
}
