//! Drives runs: one task for each that is at work, and one keeper of leases for all.
//!
//! A task makes only effects whose intent is committed, and tells what came of them before it makes the next. When the
//! worker cannot renew its leases it stops its own tasks first; what they had begun stands in the journal as an intent.
//! A run that is the worker's and has no task any more, whatever became of it, is let go of and taken over anew.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    task::{Id, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Going, Input, Outcome, Ports, Step, Taken, Work, actions,
    decide::{CLAIMED, LEASE},
};
use crate::{
    domain::{
        ids::RunId,
        runs::{StepKey, StepRecord},
        time::Time,
    },
    engine::{self, Engine, standby::Standby},
    store::{self, FaultKind, Wake, runs, steps},
};

/// How often leases are renewed.
const RENEWED: Duration = Duration::from_secs(10);
/// The pause before a decision is asked for again when the store is in trouble.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// How long the store is waited for when the worker ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the store is waited for at least: after the machine slept, the leases have run out before anybody could ask.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

/// Drives runs until it is told to stop. What is in flight then is abandoned as an intent, which the journal keeps; other
/// processes take the runs over at once.
pub async fn work(engine: Arc<Engine>, ports: Arc<Ports>, stop: CancellationToken) {
    if engine.store().is_alone() {
        // No other process drives anything.
        tokio::select! {
            _ = ask(&engine, |_| Input::Orphan) => {}
            () = stop.cancelled() => return,
        }
    }
    let owner = uuid::Uuid::now_v7().to_string();
    let renewed = engine.now();
    let started = Standby::of(&engine, Wake::Runs, {
        let (owner, ports) = (owner.clone(), Arc::clone(&ports));
        move || engine::Input::Run(claim(&owner, &ports, true))
    });
    let mut worker = Worker {
        engine,
        ports,
        owner,
        tasks: JoinSet::new(),
        driven: HashMap::new(),
        is_one_left: false,
        renewed,
        held_until: watch::Sender::new(renewed + LEASE),
        started,
    };
    tokio::select! {
        () = worker.drive() => {}
        () = stop.cancelled() => {}
    }
    worker.started.end();
    worker.tasks.shutdown().await;
    if let Ok(Err(fault)) = tokio::time::timeout(FAREWELL, worker.leave()).await {
        tracing::warn!(%fault, "runs are taken over only when their leases have run out");
    }
}

struct Worker {
    engine: Arc<Engine>,
    ports: Arc<Ports>,
    owner: String,
    tasks: JoinSet<Left>,
    driven: HashMap<RunId, (i64, Id, tokio::task::AbortHandle)>,
    /// Whether a run may be this worker's that no task of it drives.
    is_one_left: bool,
    /// When the leases were taken or renewed last.
    renewed: Time,
    /// Until when nobody else takes over what this worker drives.
    held_until: watch::Sender<Time>,
    /// The runs that it took over in the commits that started them.
    started: Standby,
}

impl Worker {
    async fn drive(&mut self) {
        let engine = Arc::clone(&self.engine);
        let mut looks = true;
        loop {
            let woken = engine.store().woken(Wake::Runs);
            if looks && let Err(why) = in_time(self.left(), self.take_over()).await {
                tracing::error!(why, "runs cannot be taken over");
                // Some may have been, all the same.
                self.is_one_left = true;
            }
            // Who drives nothing has nothing to renew, and where nobody else drives anything, no lease of theirs runs out.
            let may_rest = !self.is_one_left && self.driven.is_empty() && engine.store().is_alone();
            looks = tokio::select! {
                () = woken => true,
                () = engine.clock().sleep_until(self.renewed + RENEWED), if !may_rest => {
                    self.keep().await;
                    true
                }
                Some(started) = self.started.next() => {
                    self.take_on(started);
                    self.is_one_left
                }
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.ended(ended);
                    self.is_one_left
                }
            }
        }
    }

    /// Keeps what it drives, or stops driving it before others take it over.
    async fn keep(&mut self) {
        let asked = self.engine.now();
        if !self.driven.is_empty() {
            match in_time(self.left(), self.renew()).await {
                Ok(()) => drop(self.held_until.send_replace(asked + LEASE)),
                Err(why) => tracing::error!(why, "the leases of runs cannot be renewed"),
            }
        }
        self.renewed = self.engine.now();
        if !self.driven.is_empty() && self.renewed >= *self.held_until.borrow() {
            self.stop().await;
        }
    }

    /// How long the store may be waited for until others may take over what is driven here.
    fn left(&self) -> Duration {
        if self.driven.is_empty() { LEASE } else { self.held_until.borrow().since(self.engine.now()) }
    }

    /// Takes over what nobody drives, where there is such a run: all processes are woken, and one gets it.
    async fn take_over(&mut self) -> store::Result<()> {
        if std::mem::take(&mut self.is_one_left) {
            self.renew().await?;
        }
        while runs::is_any_free(&mut self.engine.read().await?, &self.owner, self.engine.now()).await? {
            let asked = self.engine.now();
            let taken = self.claim().await?;
            let is_all = taken.len() < CLAIMED;
            // Those that it got before have leases that end before.
            self.take_on_all();
            self.set_to_work(asked, taken);
            if is_all {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Drives whatever was taken over in the commits that started it.
    fn take_on_all(&mut self) {
        while let Some(started) = self.started.at_hand() {
            self.take_on(started);
        }
    }

    /// Drives what was taken over in the commit that started it.
    fn take_on(&mut self, started: store::Result<(Time, engine::Answer)>) {
        match started {
            Ok((asked, engine::Answer::Run(Answer::Taken(taken)))) => self.set_to_work(asked, taken),
            Ok(_) => {}
            Err(fault) => {
                tracing::warn!(%fault, "runs are taken over after the commit that started them");
                self.is_one_left = true;
            }
        }
    }

    /// Drives runs whose leases began at this moment.
    fn set_to_work(&mut self, asked: Time, taken: Vec<Taken>) {
        if self.driven.is_empty() {
            self.renewed = asked;
            self.held_until.send_replace(asked + LEASE);
        }
        for taken in taken {
            let (run, epoch) = (taken.run, taken.epoch);
            let driving = drive(
                Arc::clone(&self.engine),
                Arc::clone(&self.ports),
                (taken, self.owner.clone()),
                self.held_until.subscribe(),
            );
            let task = self.tasks.spawn(driving);
            if let Some((_, _, old)) = self.driven.insert(run, (epoch, task.id(), task)) {
                old.abort();
            }
        }
    }

    /// The runs that its tasks drive, each in its epoch.
    fn driven(&self) -> Vec<(RunId, i64)> {
        self.driven.iter().map(|(run, (epoch, ..))| (*run, *epoch)).collect()
    }

    /// Takes runs over, and begins those that are new by the way. One that cannot begin keeps the others from it only
    /// until its own task says so.
    async fn claim(&self) -> store::Result<Vec<Taken>> {
        let answer = match self.submit(claim(&self.owner, &self.ports, true)).await {
            Err(fault) if fault.kind == FaultKind::Defect => {
                self.submit(claim(&self.owner, &self.ports, false)).await?
            }
            answer => answer?,
        };
        let engine::Answer::Run(Answer::Taken(taken)) = answer else { return Ok(Vec::new()) };
        Ok(taken)
    }

    /// Stops driving what was driven before it was decided what is this worker's, and is not, and lets go of what none of its
    /// tasks drives.
    async fn compare(&mut self, driven: &[(RunId, i64)], ours: Vec<(RunId, i64)>) -> store::Result<()> {
        // What commits before that one have handed to it is there by now.
        self.take_on_all();
        self.driven.retain(|run, (epoch, _, task)| {
            let run = (*run, *epoch);
            let is_lost = driven.contains(&run) && !ours.contains(&run);
            if is_lost {
                task.abort();
            }
            !is_lost
        });
        let left: Vec<_> = ours.into_iter().filter(|(run, _)| !self.driven.contains_key(run)).collect();
        if !left.is_empty() {
            self.submit(Input::LetGo { owner: self.owner.clone(), runs: left }).await?;
        }
        Ok(())
    }

    /// Ends every task, because others may take their runs over from here on. What they had begun is let go of once the
    /// store can be written again.
    async fn stop(&mut self) {
        if !self.driven.is_empty() {
            tracing::error!("stopping what is in flight: the leases of runs have run out");
        }
        self.tasks.shutdown().await;
        self.driven.clear();
        self.is_one_left = true;
    }

    /// Lets others take over at once what this worker drove.
    async fn leave(&self) -> store::Result<()> {
        self.submit(Input::Leave { owner: self.owner.clone() }).await.map(drop)
    }

    async fn renew(&mut self) -> store::Result<()> {
        let driven = self.driven();
        let renewed = self.submit(Input::Renew { owner: self.owner.clone() }).await?;
        let engine::Answer::Run(Answer::Driven(ours)) = renewed else { return Ok(()) };
        self.compare(&driven, ours).await
    }

    async fn submit(&self, input: Input) -> store::Result<engine::Answer> {
        self.engine.submit(engine::Input::Run(input)).await
    }

    fn ended(&mut self, ended: Result<(Id, Left), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, Left::AtRest)) => id,
            Ok((id, Left::AtWork)) => {
                self.is_one_left = true;
                id
            }
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "the task of a run broke; the run is taken up again");
                }
                self.is_one_left = true;
                error.id()
            }
        };
        self.driven.retain(|_, (_, task, _)| *task != id);
    }
}

/// Asks for runs, and perhaps begins those that nobody has touched yet.
fn claim(owner: &str, ports: &Ports, begins: bool) -> Input {
    Input::Claim { owner: owner.to_owned(), begins, is_halt_file_there: (ports.is_halt_file_there)() }
}

/// How a task left its run.
enum Left {
    /// Nothing is to be done about it, by this worker.
    AtRest,
    /// Somebody has to drive it on.
    AtWork,
}

/// Asks the store, but no longer than the leases hold: one that hangs must not keep the worker from stopping.
async fn in_time(left: Duration, asking: impl Future<Output = store::Result<()>>) -> Result<(), String> {
    match tokio::time::timeout(left.max(LEAST_PATIENCE), asking).await {
        Ok(answer) => answer.map_err(|fault| fault.to_string()),
        Err(_) => Err("the store does not answer".to_owned()),
    }
}

/// Drives one run until it rests or is another worker's. Several of its effects may be in flight at the same time.
async fn drive(
    engine: Arc<Engine>,
    ports: Arc<Ports>,
    (Taken { run, epoch, begun }, owner): (Taken, String),
    held_until: watch::Receiver<Time>,
) -> Left {
    let next = async |outcome: Option<(StepKey, Outcome)>, in_hand: &[StepKey]| {
        let step = |is_again: bool| Step {
            run,
            epoch,
            owner: owner.clone(),
            outcome: outcome.clone(),
            is_halt_file_there: (ports.is_halt_file_there)(),
            in_hand: is_again.then(|| in_hand.to_vec()),
        };
        let Answer::Next(going) = ask(&engine, |is_again| Input::Step(step(is_again))).await else {
            return Err(Left::AtWork);
        };
        Ok(going)
    };
    let mut in_hand: Vec<StepKey> = Vec::new();
    let mut in_flight = FuturesUnordered::new();
    let mut woken = engine.store().woken(Wake::Answers);
    // What came between the commit that began the run and this moment woke nobody.
    let mut has_missed = begun.is_some();
    let mut coming = if let Some(begun) = begun {
        begun
    } else {
        end_leftovers(&engine, &ports, run, epoch).await;
        match next(None, &in_hand).await {
            Ok(going) => going,
            Err(left) => return left,
        }
    };
    loop {
        let Some(Going { works, again_at, listens }) = coming else { return Left::AtRest };
        for work in works {
            // Between the commit and this moment the process may have hung for so long that another took over.
            if engine.now() >= *held_until.borrow() {
                tracing::warn!(%run, "stopping before an effect: the lease of the run has run out");
                return Left::AtWork;
            }
            in_hand.push(work.key.clone());
            in_flight.push(make(&engine, &ports, run, work));
        }
        let again = async {
            match again_at {
                Some(at) => engine.clock().sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            Some(ended) = in_flight.next() => Some(ended),
            () = again, if again_at.is_some() => None,
            () = woken, if listens && !has_missed => None,
            () = std::future::ready(()), if listens && has_missed => None,
            else => return Left::AtWork,
        };
        woken = engine.store().woken(Wake::Answers);
        has_missed = false;
        if let Some((key, _)) = &outcome {
            in_hand.retain(|other| other != key);
        }
        coming = match next(outcome, &in_hand).await {
            Ok(going) => going,
            Err(left) => return left,
        };
    }
}

/// Makes one effect and tells what came of it.
pub(super) async fn make(engine: &Engine, ports: &Ports, run: RunId, work: Work) -> (StepKey, Outcome) {
    // The commit may have taken its time, and the file is for when nothing else works.
    if work.changes && (ports.is_halt_file_there)() {
        return (work.key, Outcome::Halted);
    }
    // An action that breaks has perhaps been sent: nobody knows.
    let acting = AssertUnwindSafe(actions::act(ports, &work)).catch_unwind();
    let acted = match engine.traces() {
        Some(traces) => traces.within(engine, (run, &work.key), acting).await,
        None => acting.await,
    };
    let outcome = acted.unwrap_or_else(|_| Outcome::Unknown("the action broke".to_owned()));
    (work.key, outcome)
}

/// Ends the programs that whoever drove the run before has left running: what is looked for or sent again must not be
/// happening at the same time.
async fn end_leftovers(engine: &Engine, ports: &Ports, run: RunId, epoch: i64) {
    let journal = loop {
        let read = async { steps::journal(&mut engine.read().await?, run).await };
        match read.await {
            Ok(journal) => break journal,
            Err(fault) => {
                tracing::error!(%fault, "a run cannot be read");
                after_trouble(engine).await;
            }
        }
    };
    let is_left = |record: &&StepRecord| record.is_open() && record.epoch < epoch && record.action == "shell";
    for record in journal.0.iter().filter(is_left) {
        ports.programs.end(&record.effect).await;
    }
}

/// Asks until there is an answer: what came of an effect is never dropped because the store was in trouble. Each try
/// says how things stand by then, and whether it is one more: what was asked before may have been decided all the same.
async fn ask(engine: &Engine, input: impl Fn(bool) -> Input) -> Answer {
    let mut is_again = false;
    loop {
        match engine.submit(engine::Input::Run(input(is_again))).await {
            Ok(engine::Answer::Run(answer)) => return answer,
            Ok(_) => return Answer::Done,
            Err(fault) => {
                tracing::error!(%fault, "a run cannot go on");
                after_trouble(engine).await;
                is_again = true;
            }
        }
    }
}

async fn after_trouble(engine: &Engine) {
    let at: Time = engine.now() + AFTER_TROUBLE;
    tokio::select! {
        () = engine.clock().sleep_until(at) => {}
        () = tokio::time::sleep(AFTER_TROUBLE) => {}
    }
}
