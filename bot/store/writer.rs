//! The one writer: whatever is queued shares a transaction and its fsync, and is answered after the commit.
//!
//! On a fault the shared transaction is rolled back and each decision runs alone, so that only the guilty one gets its
//! fault; a decision that panics is such a fault. Nobody is answered before the commit returned.

use std::{
    fs::{File, OpenOptions, TryLockError},
    panic::AssertUnwindSafe,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::{Decision, Fault, FaultKind, Result, Tx, Wakes};

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
trait Job: Send {
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

/// Takes the lock that keeps a second process away from the file; it is held as long as the `File` lives.
pub(super) fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| Fault::new(FaultKind::ReadOnly, error.to_string()).about(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Fault::new(FaultKind::Locked, "").about(path)),
        Err(TryLockError::Error(error)) => Err(Fault::new(FaultKind::Device, error.to_string()).about(path)),
    }
}

impl Writer {
    pub(super) fn start(connection: SqliteConnection, lock: File, wakes: Arc<Wakes>) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let failing = Arc::new(Mutex::new(None));
        tokio::spawn(write(Tx::over(connection), messages, wakes, Arc::clone(&failing), lock));
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

async fn write(
    mut tx: Tx,
    mut messages: mpsc::Receiver<Message>,
    wakes: Arc<Wakes>,
    failing: Arc<Mutex<Option<Instant>>>,
    lock: File,
) {
    let mut waiting = Vec::with_capacity(BATCH);
    let mut closing = None;
    while closing.is_none() && messages.recv_many(&mut waiting, BATCH).await > 0 {
        let mut jobs = Vec::with_capacity(waiting.len());
        for message in waiting.drain(..) {
            match message {
                Message::Decide(job) => jobs.push(job),
                Message::Close(done) => closing = Some(done),
            }
        }
        let together = commit(&mut tx, &mut jobs, &wakes).await;
        let mut outcomes = vec![together.map_err(|fault| fault.kind)];
        if outcomes == [Ok(())] {
            for job in jobs {
                job.finish(Ok(()));
            }
        } else {
            outcomes.clear();
            for job in jobs {
                let mut alone = [job];
                let outcome = commit(&mut tx, &mut alone, &wakes).await;
                outcomes.push(outcome.as_ref().copied().map_err(|fault| fault.kind));
                let [job] = alone;
                job.finish(outcome);
            }
        }
        note_trouble(&failing, &outcomes);
    }
    tx.close().await;
    drop(lock);
    if let Some(done) = closing {
        let _closer_is_gone = done.send(());
    }
}

/// Remembers since when commits fail. A defect is the decision's own fault and says nothing about the file.
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
async fn commit(tx: &mut Tx, jobs: &mut [Box<dyn Job>], wakes: &Wakes) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    tx.execute("begin immediate", &[]).await?;
    let outcome = run_all(tx, jobs).await;
    let woken = tx.take_wakes();
    if outcome.is_ok() {
        for wake in woken {
            wakes.of(wake).notify_one();
        }
    } else if let Err(fault) = tx.execute("rollback", &[]).await {
        // SQLite has already rolled back by itself after some faults (a full disk, an IO error); then this one fails.
        tracing::debug!(%fault, "nothing was left to roll back");
    }
    outcome
}

async fn run_all(tx: &mut Tx, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    for job in jobs {
        job.run(tx).await?;
    }
    tx.execute("commit", &[]).await?;
    Ok(())
}
