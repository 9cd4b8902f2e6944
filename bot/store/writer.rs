//! The one writer: whatever is queued shares a transaction and its fsync, and is answered after the commit.
//!
//! On a fault the shared transaction is rolled back and each decision runs alone, so that only the guilty one gets its
//! fault; a decision that panics is such a fault. Nobody is answered before the commit returned; where its answer was
//! lost, nobody is told that it was kept.

use std::{
    fs::File,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::{mpsc, oneshot};

use super::{Decision, Fault, FaultKind, Result, Tx, Wake, Wakes, ahead, connection::Connection, postgres, sqlite};
use crate::domain::ids::RunId;

/// How many decisions may wait; more callers wait for a place.
const QUEUE: usize = 1_024;
/// How many decisions share one commit at the most.
const BATCH: usize = 256;

/// The handle to the writer's task.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    failing: Arc<Mutex<Option<Instant>>>,
}

enum Message {
    Decide(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// A queued decision with the place for its answer.
pub(super) trait Job: Send {
    /// The run that it takes on, if it takes one on.
    fn takes_on(&self) -> Option<RunId>;
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>>;
    /// Answers the caller: with the decision's answer, or with the fault.
    fn finish(self: Box<Self>, outcome: Result<()>);
}

struct Queued<D: Decision> {
    decision: D,
    answer: Option<D::Answer>,
    caller: oneshot::Sender<Result<D::Answer>>,
}

impl<D: Decision> Job for Queued<D> {
    fn takes_on(&self) -> Option<RunId> {
        self.decision.takes_on()
    }

    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let decided = AssertUnwindSafe(self.decision.decide(tx)).catch_unwind().await;
            self.answer = Some(decided.unwrap_or_else(|_| Err(Fault::defect("a decision panicked")))?);
            Ok(())
        })
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let Queued { answer, caller, .. } = *self;
        let answer = outcome.and_then(|()| answer.ok_or_else(|| Fault::defect("a decision has no answer")));
        // A caller that went away does not need its answer; what was decided is durable all the same.
        drop(caller.send(answer));
    }
}

impl Writer {
    pub(super) fn start(hand: Hand, wakes: Arc<Wakes>) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let failing = Arc::new(Mutex::new(None));
        tokio::spawn(write(hand, messages, wakes, Arc::clone(&failing)));
        Self { queue, failing }
    }

    pub(super) async fn decide<D: Decision>(&self, decision: D) -> Result<D::Answer> {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Queued { decision, answer: None, caller });
        let stopping = || Fault::new(FaultKind::Stopping, "");
        self.queue.send(Message::Decide(job)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    pub(super) fn failing_for(&self) -> Option<Duration> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed())
    }

    pub(super) fn backlog(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            drop(closed.await);
        }
    }
}

/// What the writer writes with.
pub(super) enum Hand {
    /// The one connection to a file, with who moves along what it writes, and the lock that keeps other processes away.
    Sqlite(Box<Tx>, sqlite::Mover, File),
    /// The connection to a server on which this process writes, made anew after trouble.
    Postgres(Box<postgres::Writer>),
}

impl Hand {
    /// Runs the decisions in one transaction; gives the work to wake, which is due once this returns.
    async fn run(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Wake>> {
        match self {
            Hand::Sqlite(tx, mover, _) => {
                tx.begin("begin immediate").await?;
                run_all(tx, jobs).await?;
                tx.commit("commit").await?;
                mover.written();
                Ok(tx.take_wakes())
            }
            Hand::Postgres(writer) => postgres::bounded(writer.run(jobs)).await,
        }
    }

    /// Takes back what a transaction with this fault has left.
    async fn give_up(&mut self, fault: &Fault) {
        match self {
            Hand::Sqlite(tx, ..) => {
                // SQLite has already rolled back by itself after some faults (a full disk, an IO error).
                if let Err(fault) = tx.roll_back().await {
                    tracing::debug!(%fault, "nothing was left to roll back");
                }
            }
            Hand::Postgres(writer) => writer.give_up(fault).await,
        }
    }

    async fn close(self) {
        match self {
            Hand::Sqlite(tx, mover, _lock) => {
                mover.close().await;
                if let Connection::Sqlite(connection) = tx.into_connection()
                    && let Err(error) = sqlx::Connection::close(*connection).await
                {
                    tracing::warn!(%error, "the store did not close cleanly");
                }
            }
            Hand::Postgres(writer) => writer.close().await,
        }
    }
}

async fn write(
    mut hand: Hand,
    mut messages: mpsc::Receiver<Message>,
    wakes: Arc<Wakes>,
    failing: Arc<Mutex<Option<Instant>>>,
) {
    let mut waiting = Vec::with_capacity(BATCH);
    let mut closing = None;
    while closing.is_none() {
        if messages.recv_many(&mut waiting, BATCH).await == 0 {
            break;
        }
        let mut jobs = Vec::with_capacity(waiting.len());
        for message in waiting.drain(..) {
            match message {
                Message::Decide(job) => jobs.push(job),
                Message::Close(done) => closing = Some(done),
            }
        }
        let together = commit(&mut hand, &mut jobs, &wakes).await;
        let mut outcomes = vec![together.as_ref().copied().map_err(|fault| fault.kind)];
        match together {
            // Whoever is guilty gets the fault alone. A server that does not answer is not asked for each.
            Err(fault) if jobs.len() > 1 && fault.kind != FaultKind::Unreachable => {
                outcomes.clear();
                for job in jobs {
                    let mut alone = [job];
                    let outcome = commit(&mut hand, &mut alone, &wakes).await;
                    outcomes.push(outcome.as_ref().copied().map_err(|fault| fault.kind));
                    let [job] = alone;
                    job.finish(outcome);
                }
            }
            outcome => {
                for job in jobs {
                    job.finish(outcome.clone());
                }
            }
        }
        note_trouble(&failing, &outcomes);
    }
    hand.close().await;
    if let Some(done) = closing {
        let _closer_is_gone = done.send(());
    }
}

/// Remembers since when commits fail. A defect is the decision's own fault and says nothing about the database.
fn note_trouble(failing: &Mutex<Option<Instant>>, outcomes: &[std::result::Result<(), FaultKind>]) {
    let mut since = failing.lock().unwrap_or_else(PoisonError::into_inner);
    let is_written = outcomes.contains(&Ok(()));
    if is_written || outcomes.iter().all(|outcome| *outcome == Err(FaultKind::Defect)) {
        *since = None;
    } else {
        since.get_or_insert_with(Instant::now);
    }
}

/// Runs the decisions in one transaction and, once it is durable, wakes whoever has work by it.
async fn commit(hand: &mut Hand, jobs: &mut [Box<dyn Job>], wakes: &Wakes) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    match hand.run(jobs).await {
        Ok(woken) => {
            for wake in woken {
                wakes.wake(wake);
            }
            Ok(())
        }
        Err(fault) => {
            hand.give_up(&fault).await;
            Err(fault)
        }
    }
}

pub(super) async fn run_all(tx: &mut Tx, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    let runs: Vec<RunId> = jobs.iter().filter_map(|job| job.takes_on()).collect();
    ahead::read(tx, &runs).await?;
    for job in jobs {
        job.run(tx).await?;
    }
    Ok(())
}
