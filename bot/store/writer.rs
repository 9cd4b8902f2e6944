//! The one writer: whatever is queued when a transaction has begun shares it and its fsync, and is answered after the
//! commit. What stands by for work that the transaction would wake is decided last.
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

use super::{
    Address, Decision, Fault, FaultKind, Result, Tx, Wake, Wakes, ahead, connection::Connection, postgres, sqlite,
};
use crate::domain::ids::RunId;

/// How many decisions may wait; more callers wait for a place.
const QUEUE: usize = 1_024;
/// How many decisions share one commit at the most.
const BATCH: usize = 256;

/// The handle to the writer's task.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    standbys: Standbys,
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

struct Queued<D: Decision, C> {
    decision: D,
    answer: Option<D::Answer>,
    caller: C,
}

impl<D: Decision, C: FnOnce(Result<D::Answer>) + Send> Job for Queued<D, C> {
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
        caller(outcome.and_then(|()| answer.ok_or_else(|| Fault::defect("a decision has no answer"))));
    }
}

/// A decision that is made whenever others would wake its work.
#[derive(Clone)]
struct Standby {
    due: Wake,
    /// Makes the decision anew; nothing if nobody waits for its answers any more.
    job: Arc<dyn Fn() -> Option<Box<dyn Job>> + Send + Sync>,
}

/// The decisions that stand by.
type Standbys = Arc<Mutex<Vec<Standby>>>;

impl Writer {
    pub(super) fn start(hand: Hand, wakes: Arc<Wakes>) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let (standbys, failing) = (Standbys::default(), Arc::new(Mutex::new(None)));
        let waiting = Queue { messages, standbys: Arc::clone(&standbys), closing: None };
        tokio::spawn(write(hand, waiting, wakes, Arc::clone(&failing)));
        Self { queue, standbys, failing }
    }

    pub(super) async fn decide<D: Decision>(&self, decision: D) -> Result<D::Answer> {
        let (caller, answer) = oneshot::channel();
        // A caller that went away does not need its answer; what was decided is durable all the same.
        let job = Box::new(Queued { decision, answer: None, caller: |answer| drop(caller.send(answer)) });
        let stopping = || Fault::new(FaultKind::Stopping, "");
        self.queue.send(Message::Decide(job)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// Decides in every transaction that would wake this work.
    pub(super) fn stand_by<D: Decision>(
        &self,
        due: Wake,
        decision: impl Fn() -> Option<D> + Send + Sync + 'static,
        address: Arc<Address>,
    ) -> mpsc::UnboundedReceiver<Result<D::Answer>> {
        let (sender, answers) = mpsc::unbounded_channel();
        let job = move || {
            if sender.is_closed() {
                return None;
            }
            let decision = decision()?;
            let (sender, address) = (sender.clone(), Arc::clone(&address));
            let caller = move |answer: Result<D::Answer>| {
                // As above.
                drop(sender.send(answer.map_err(|fault| fault.about(&address))));
            };
            Some(Box::new(Queued { decision, answer: None, caller }) as Box<dyn Job>)
        };
        self.standbys.lock().unwrap_or_else(PoisonError::into_inner).push(Standby { due, job: Arc::new(job) });
        answers
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

/// Decisions that wait.
struct Queue {
    messages: mpsc::Receiver<Message>,
    standbys: Standbys,
    /// Who waits for the end of everything that was queued before.
    closing: Option<oneshot::Sender<()>>,
}

impl Queue {
    /// Waits for a decision; none if there will be none any more.
    async fn next(&mut self) -> Option<Box<dyn Job>> {
        if self.closing.is_some() {
            return None;
        }
        let message = self.messages.recv().await?;
        self.opened(message)
    }

    /// A decision that waits already.
    fn at_hand(&mut self) -> Option<Box<dyn Job>> {
        if self.closing.is_some() {
            return None;
        }
        let message = self.messages.try_recv().ok()?;
        self.opened(message)
    }

    /// What is to be decided in place of waking work.
    fn standing_by(&self, tx: &mut Tx) -> Vec<Box<dyn Job>> {
        let standbys = || self.standbys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut jobs = Vec::new();
        let all = standbys().clone();
        for standby in all {
            if !tx.will_wake(standby.due) {
                continue;
            }
            // One that cannot be made leaves it to whoever is woken.
            let Ok(made) = std::panic::catch_unwind(AssertUnwindSafe(|| (standby.job)())) else { continue };
            if let Some(job) = made {
                tx.let_sleep(standby.due);
                jobs.push(job);
            } else {
                standbys().retain(|other| !Arc::ptr_eq(&other.job, &standby.job));
            }
        }
        jobs
    }

    fn opened(&mut self, message: Message) -> Option<Box<dyn Job>> {
        match message {
            Message::Decide(job) => Some(job),
            Message::Close(done) => {
                self.closing = Some(done);
                None
            }
        }
    }
}

/// Decisions that share a transaction.
pub(super) struct Together<'q> {
    jobs: Vec<Box<dyn Job>>,
    /// Where others may come from.
    queue: Option<&'q mut Queue>,
}

impl Together<'_> {
    /// Takes in whoever waits by now, as far as there is room.
    fn join(&mut self) {
        if let Some(queue) = &mut self.queue {
            let room = BATCH.saturating_sub(self.jobs.len());
            self.jobs.extend(std::iter::from_fn(|| queue.at_hand()).take(room));
        }
    }

    /// Carries them out in a transaction that has begun. Beginning takes its time, above all where other processes have to be
    /// waited for: whoever has come meanwhile joins them.
    pub(super) async fn run(&mut self, tx: &mut Tx) -> Result<()> {
        self.join();
        let runs: Vec<RunId> = self.jobs.iter().filter_map(|job| job.takes_on()).collect();
        ahead::read(tx, &runs).await?;
        for job in &mut self.jobs {
            job.run(tx).await?;
        }
        let standing_by = self.queue.as_ref().map(|queue| queue.standing_by(tx));
        for mut job in standing_by.into_iter().flatten() {
            let done = job.run(tx).await;
            // Where it is the guilty one, it must be told from the others.
            self.jobs.push(job);
            done?;
        }
        Ok(())
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
    async fn run(&mut self, together: &mut Together<'_>) -> Result<Vec<Wake>> {
        match self {
            Hand::Sqlite(tx, mover, _) => {
                tx.begin("begin immediate").await?;
                together.run(tx).await?;
                tx.commit("commit").await?;
                mover.written();
                Ok(tx.take_wakes())
            }
            Hand::Postgres(writer) => postgres::bounded(writer.run(together)).await,
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
                if let Connection::Sqlite(behind) = tx.into_connection()
                    && let Some(connection) = behind.into_connection().await
                    && let Err(error) = sqlx::Connection::close(connection).await
                {
                    tracing::warn!(%error, "the store did not close cleanly");
                }
            }
            Hand::Postgres(writer) => writer.close().await,
        }
    }
}

async fn write(mut hand: Hand, mut queue: Queue, wakes: Arc<Wakes>, failing: Arc<Mutex<Option<Instant>>>) {
    while let Some(first) = queue.next().await {
        let mut together = Together { jobs: vec![first], queue: Some(&mut queue) };
        let outcome = commit(&mut hand, &mut together, &wakes).await;
        if outcome.as_ref().is_err_and(|fault| fault.kind == FaultKind::Unreachable) {
            // A server that does not answer is not asked for each: whoever waits by now is answered with the rest.
            together.join();
        }
        let jobs = together.jobs;
        let mut outcomes = vec![outcome.as_ref().copied().map_err(|fault| fault.kind)];
        match outcome {
            // Whoever is guilty gets the fault alone.
            Err(fault) if jobs.len() > 1 && fault.kind != FaultKind::Unreachable => {
                outcomes.clear();
                for job in jobs {
                    let mut alone = Together { jobs: vec![job], queue: None };
                    let outcome = commit(&mut hand, &mut alone, &wakes).await;
                    outcomes.push(outcome.as_ref().copied().map_err(|fault| fault.kind));
                    for job in alone.jobs {
                        job.finish(outcome.clone());
                    }
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
    if let Some(done) = queue.closing {
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
async fn commit(hand: &mut Hand, together: &mut Together<'_>, wakes: &Wakes) -> Result<()> {
    match hand.run(together).await {
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
