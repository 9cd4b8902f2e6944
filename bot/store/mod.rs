//! What is durable, and the only place that speaks SQL.
//!
//! A change is a [`Decision`], run inside one transaction and answered after its commit: whoever holds the answer may
//! act on it, because a kill at any instant finds it on disk. Reads use snapshots of their own and never wait for the
//! writer. Nothing above this module can tell which database is behind it.

pub mod address;
mod ahead;
pub mod alerts;
pub mod approvals;
pub mod archives;
mod behind;
pub mod budgets;
pub mod cards;
mod connection;
pub mod deployments;
mod dialect;
pub mod election;
pub mod fault;
pub mod firings;
pub mod freezes;
pub mod guards;
pub mod halts;
pub mod incidents;
pub mod inputs;
pub mod locks;
pub mod migrations;
mod plans;
mod postgres;
pub mod posts;
pub mod restores;
pub mod row;
pub mod run_counts;
pub mod runs;
#[cfg(test)]
mod several;
pub mod silences;
mod sqlite;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod timers;
pub mod transfer;
#[cfg(test)]
pub(crate) mod trial;
pub mod tx;
mod writer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, SqlitePool};
use tokio::sync::{Notify, futures::Notified, mpsc};

pub use self::{
    address::{Address, Server},
    election::Lead,
    fault::{Fault, FaultKind},
    row::{Bind, Row},
    tx::{Reader, Tx},
};
use self::{behind::Behind, connection::Connection, election::Election};
use crate::domain::{ids::RunId, time::Time};

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

    /// The run that it takes on, if it takes one on: those of many decisions are read together.
    fn takes_on(&self) -> Option<RunId> {
        None
    }

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
    /// A run waits for a worker.
    Runs,
    /// What a run waits for beside its effects may have come.
    Answers,
    /// A timer was set, perhaps an earlier one than all before.
    Timers,
}

impl Wake {
    const ALL: [Wake; 5] = [Wake::Delivery, Wake::Pages, Wake::Runs, Wake::Answers, Wake::Timers];

    /// The word by which other processes are told.
    fn word(self) -> &'static str {
        match self {
            Wake::Delivery => "delivery",
            Wake::Pages => "pages",
            Wake::Runs => "runs",
            Wake::Answers => "answers",
            Wake::Timers => "timers",
        }
    }
}

/// The open store. Cloning it is cheap; all clones share one writer.
#[derive(Clone)]
pub struct Store {
    address: Arc<Address>,
    readers: Readers,
    writer: writer::Writer,
    wakes: Arc<Wakes>,
    lead: Lead,
    /// Of a process that may not be the only one; gone once the store is closed.
    election: Arc<Mutex<Option<Election>>>,
}

#[derive(Clone)]
enum Readers {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

#[derive(Default)]
pub(crate) struct Wakes {
    delivery: Notify,
    pages: Notify,
    runs: Notify,
    answers: Notify,
    timers: Notify,
}

impl Wakes {
    fn of(&self, wake: Wake) -> &Notify {
        match wake {
            Wake::Delivery => &self.delivery,
            Wake::Pages => &self.pages,
            Wake::Runs => &self.runs,
            Wake::Answers => &self.answers,
            Wake::Timers => &self.timers,
        }
    }

    fn wake(&self, wake: Wake) {
        match wake {
            Wake::Delivery | Wake::Pages | Wake::Runs | Wake::Timers => self.of(wake).notify_one(),
            // Each run waits for its own.
            Wake::Answers => self.of(wake).notify_waiters(),
        }
    }

    fn all(&self) {
        for wake in Wake::ALL {
            self.wake(wake);
        }
    }
}

impl Readers {
    async fn begin(&self) -> Result<Reader> {
        Ok(Reader::of(match self {
            Readers::Sqlite(pool) => Connection::SqliteSnapshot(pool.begin().await?),
            Readers::Postgres(pool) => postgres::snapshot(pool).await?,
        }))
    }

    async fn close(&self) {
        match self {
            Readers::Sqlite(pool) => pool.close().await,
            Readers::Postgres(pool) => pool.close().await,
        }
    }
}

impl Store {
    /// Opens the store, made if it is a file that is missing, and brings its schema up to this version.
    ///
    /// # Errors
    /// When another process has the file open, when a newer version wrote it, when it is damaged, or cannot be written;
    /// when a server cannot be reached or lets nobody in. Each fault says what to do.
    pub async fn open(address: impl Into<Address>) -> Result<Self> {
        let address = Arc::new(address.into());
        Self::at(Arc::clone(&address)).await.map_err(|fault| fault.about(&address))
    }

    async fn at(address: Arc<Address>) -> Result<Self> {
        let wakes = Arc::new(Wakes::default());
        let (readers, hand, election) = match &*address {
            Address::File(path) => {
                let opened = sqlite::open(path).await?;
                let tx = Tx::over(Connection::Sqlite(Behind::of(opened.writer)));
                let hand = writer::Hand::Sqlite(Box::new(tx), opened.mover, opened.lock);
                (Readers::Sqlite(opened.readers), hand, None)
            }
            Address::Server(server) => {
                let (writer, readers, election) = postgres::open(server, Arc::clone(&wakes)).await?;
                (Readers::Postgres(readers), writer::Hand::Postgres(Box::new(writer)), Some(election))
            }
        };
        let writer = writer::Writer::start(hand, Arc::clone(&wakes));
        let lead = election.as_ref().map_or_else(Lead::alone, |election| election.lead().clone());
        Ok(Self { address, readers, writer, wakes, lead, election: Arc::new(Mutex::new(election)) })
    }

    /// Runs the decision and answers once it is durable. Many callers share one commit.
    pub async fn decide<D: Decision>(&self, decision: D) -> Result<D::Answer> {
        self.writer.decide(decision).await.map_err(|fault| fault.about(&self.address))
    }

    /// A snapshot to read from; it sees everything that was answered before.
    pub async fn read(&self) -> Result<Reader> {
        self.readers.begin().await.map_err(|fault| fault.about(&self.address))
    }

    /// Decides in every transaction that would wake this work, before it is committed: what is due by it is dealt with in
    /// the same commit, and is woken only if the decision says so again. The decision is made anew each time, for as long
    /// as somebody waits for its answers; none is made any more if there is nothing to make it from.
    pub fn stand_by<D: Decision>(
        &self,
        due: Wake,
        decision: impl Fn() -> Option<D> + Send + Sync + 'static,
    ) -> mpsc::UnboundedReceiver<Result<D::Answer>> {
        self.writer.stand_by(due, decision, Arc::clone(&self.address))
    }

    /// Completes after the next commit that wakes this kind of work. One wake that nobody waited for is kept, but for
    /// [`Wake::Answers`], which wakes all who wait at that moment.
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

    /// Where everything is kept.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether no other process can be at work on the same store.
    pub fn is_alone(&self) -> bool {
        self.address.file().is_some()
    }

    /// Whether this process leads: of several on one database, one does what needs to be done by one only.
    pub fn lead(&self) -> &Lead {
        &self.lead
    }

    /// Waits for what is queued to be committed, lets another process lead, and closes the store.
    pub async fn close(&self) {
        let election = self.election.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(election) = election {
            election.leave().await;
        }
        self.writer.close().await;
        self.readers.close().await;
    }
}

/// A store that is only read, perhaps beside the program that writes it.
pub struct ReadOnly {
    address: Address,
    readers: Readers,
}

impl ReadOnly {
    /// Opens a store that is there.
    ///
    /// # Errors
    /// When another version wrote it, when it is damaged, or cannot be read.
    pub async fn open(address: impl Into<Address>) -> Result<Self> {
        let address = address.into();
        let readers = Self::readers(&address).await.map_err(|fault| fault.about(&address))?;
        Ok(Self { address, readers })
    }

    async fn readers(address: &Address) -> Result<Readers> {
        let readers = match address {
            Address::File(path) => Readers::Sqlite(sqlite::look(path).await?),
            Address::Server(server) => Readers::Postgres(postgres::look(server, postgres::BESIDE).await?),
        };
        migrations::fits(&mut readers.begin().await?).await?;
        Ok(readers)
    }

    /// A snapshot to read from.
    pub async fn read(&self) -> Result<Reader> {
        self.readers.begin().await.map_err(|fault| fault.about(&self.address))
    }
}

/// When the bot certainly could hear last: it wrote that the store is alive, or an entry.
pub async fn last_heard(reader: &mut Reader) -> Result<Option<Time>> {
    let row = reader
        .row(
            "select max(at) as at from (select beat_at as at from instance \
             union all select (select at from timeline order by id desc limit 1)) as heard",
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
