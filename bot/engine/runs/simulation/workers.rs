//! Workers that stop at any moment: before an effect, after it, in the middle of a commit, or for so long that others take
//! over what they drive, and then go on as if nothing had happened.

use std::{collections::BTreeMap, time::Duration};

use super::{Simulation, promises::Who, target::Fate};
use crate::{
    domain::{ids::RunId, runs::StepKey, time::Time},
    engine::{
        self,
        runs::{Answer, Going, Input, Outcome, Step, Taken, Work, decide::LEASE, work},
    },
    store::{runs, timeline},
};

/// How often leases are renewed.
pub(super) const RENEWED: Duration = Duration::from_secs(10);

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) owner: String,
    pub(super) held_until: Time,
    pub(super) renewed: Time,
    /// Until when it hangs.
    pub(super) hangs_until: Option<Time>,
    pub(super) driven: BTreeMap<RunId, Driving>,
}

/// What it knows of a run that it drives.
#[derive(Debug)]
pub(super) struct Driving {
    epoch: i64,
    flights: Vec<Flight>,
    pub(super) again_at: Option<Time>,
    listens: bool,
    /// Whether it is to be looked at, because it was just taken over or something happened.
    is_to_look: bool,
}

#[derive(Debug)]
struct Flight {
    work: Work,
    came: Option<(StepKey, Outcome)>,
}

/// What a worker can do next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Move {
    Claim(usize),
    Act(usize, RunId, usize),
    Tell(usize, RunId, usize),
    Look(usize, RunId),
}

impl Worker {
    pub(super) fn new(number: usize, now: Time) -> Self {
        Self {
            owner: format!("worker-{number}"),
            held_until: now + LEASE,
            renewed: now,
            hangs_until: None,
            driven: BTreeMap::new(),
        }
    }

    /// Something was committed that may be news for those who listen.
    pub(super) fn wake(&mut self) {
        for driving in self.driven.values_mut().filter(|driving| driving.listens) {
            driving.is_to_look = true;
        }
    }

    /// The effects that it has begun and will still make.
    pub(super) fn coming(&self) -> impl Iterator<Item = String> {
        let flights = self.driven.values().flat_map(|driving| &driving.flights);
        flights.filter(|flight| flight.came.is_none()).map(|flight| flight.work.effect.clone())
    }
}

impl Simulation {
    /// Everything that workers which do not hang could do at this moment.
    pub(super) async fn moves(&self) -> Vec<Move> {
        let now = self.now();
        let mut moves = Vec::new();
        for (index, worker) in self.workers.iter().enumerate().filter(|(_, worker)| worker.hangs_until.is_none()) {
            if runs::is_any_free(&mut self.read().await, &worker.owner, now).await.unwrap() {
                moves.push(Move::Claim(index));
            }
            for (run, driving) in &worker.driven {
                if driving.is_to_look || driving.again_at.is_some_and(|at| at <= now) {
                    moves.push(Move::Look(index, *run));
                }
                moves.extend(driving.flights.iter().enumerate().map(|(at, flight)| match flight.came {
                    None => Move::Act(index, *run, at),
                    Some(_) => Move::Tell(index, *run, at),
                }));
            }
        }
        moves
    }

    pub(super) async fn make(&mut self, chosen: Move) {
        match chosen {
            Move::Claim(worker) => self.claim(worker).await,
            Move::Act(worker, run, at) => self.act(worker, run, at).await,
            Move::Tell(worker, run, at) => {
                let flight = self.workers[worker].driven.get_mut(&run).map(|driving| driving.flights.remove(at));
                let came = flight.and_then(|flight| flight.came);
                Box::pin(self.go_on(worker, run, came)).await;
            }
            Move::Look(worker, run) => Box::pin(self.go_on(worker, run, None)).await,
        }
    }

    async fn claim(&mut self, worker: usize) {
        let owner = self.workers[worker].owner.clone();
        let is_halt_file_there = self.is_halt_file_there();
        let claim = Input::Claim { owner, begins: self.dice.chance(80), is_halt_file_there };
        let Answer::Taken(taken) = self.submit(claim, Who::Claim).await else { panic!("a claim was not answered") };
        for Taken { run, epoch, begun } in taken {
            self.log(&format!("worker {worker} takes {run} in epoch {epoch}"));
            let is_to_look = begun.is_none();
            let driving = Driving { epoch, flights: Vec::new(), again_at: None, listens: false, is_to_look };
            if let Some(old) = self.workers[worker].driven.insert(run, driving) {
                self.forget(worker, run, old);
            }
            if let Some(begun) = begun {
                self.comes(worker, run, begun).await;
            }
        }
    }

    /// Makes an effect, as it was asked for; or leaves the run if the lease has run out by then.
    async fn act(&mut self, worker: usize, run: RunId, at: usize) {
        let now = self.now();
        let is_late = now >= self.workers[worker].held_until;
        if is_late && self.dice.chance(40) {
            self.leave(worker, run).await;
            return;
        }
        let Some(work) = self.workers[worker].driven.get(&run).map(|driving| driving.flights[at].work.clone()) else {
            return;
        };
        if is_late && work.changes {
            // It hung after it had looked whether it may, and is beyond what any journal can know.
            self.target.state().excused.insert(work.effect.clone());
            self.promises.saw("an effect of a zombie");
        }
        let fate = if self.dice.chance(self.faults) { Fate::draw(&mut self.dice, work.changes) } else { Fate::Done };
        self.target.state().fate = Some(fate);
        self.log(&format!("worker {worker} makes {run} {} ({}): {fate:?}", work.key, work.effect));
        let came = work::make(&self.trial.engine, &self.ports, run, work).await;
        self.target.state().fate = None;
        if let Some(driving) = self.workers[worker].driven.get_mut(&run) {
            driving.flights[at].came = Some(came);
        }
    }

    /// Goes on with a run, as its worker believes it to stand.
    async fn go_on(&mut self, worker: usize, run: RunId, came: Option<(StepKey, Outcome)>) {
        let owner = self.workers[worker].owner.clone();
        let Some(driving) = self.workers[worker].driven.get_mut(&run) else { return };
        driving.is_to_look = false;
        let in_hand = driving.flights.iter().map(|flight| flight.work.key.clone()).collect();
        let mut step =
            Step { run, epoch: driving.epoch, owner, outcome: came, is_halt_file_there: false, in_hand: None };
        if self.dice.chance(3) {
            // It was committed, and the answer was lost: it is asked for again.
            let lost = self.step(step.clone()).await.unwrap_or_default();
            self.promises.never_came.extend(lost.works.into_iter().map(|work| (run, work.key)));
            step.in_hand = Some(in_hand);
            self.promises.saw("an answer that was lost");
        }
        let going = self.step(step).await;
        self.comes(worker, run, going).await;
    }

    /// Asks for a step. One of a worker that does not drive the run any more must change nothing.
    async fn step(&mut self, step: Step) -> Option<Going> {
        let step = Step { is_halt_file_there: self.is_halt_file_there(), ..step };
        let (id, told) = (step.run, step.outcome.as_ref().map(|(key, _)| key.clone()));
        let run = runs::by_id(&mut self.read().await, id).await.unwrap().expect("the run exists");
        let is_stale = run.epoch != step.epoch || run.owner.as_ref() != Some(&step.owner);
        let before = if is_stale { Some((self.known(run).await, self.entries().await)) } else { None };
        self.log(&format!("{} goes on with {id} in epoch {}: {:?}", step.owner, step.epoch, step.outcome));
        let Answer::Next(going) = self.submit(Input::Step(step), Who::Worker(id, told)).await else {
            panic!("a step was not answered")
        };
        if let Some((before, entries)) = before {
            self.promises.saw("a stale write");
            assert!(going.is_none(), "{id}: a stale worker was answered");
            assert!(before == self.look(id).await, "{id}: a stale worker wrote");
            assert_eq!(entries, self.entries().await, "{id}: a stale worker told something");
        }
        going
    }

    async fn entries(&self) -> i64 {
        timeline::mark(&mut self.read().await).await.unwrap()
    }

    async fn comes(&mut self, worker: usize, run: RunId, going: Option<Going>) {
        let driven = &mut self.workers[worker].driven;
        let Some(Going { works, again_at, listens }) = going else {
            driven.remove(&run);
            return;
        };
        let Some(driving) = driven.get_mut(&run) else { return };
        for work in works {
            assert_eq!(work.epoch, driving.epoch, "{run} is driven in another epoch");
            driving.flights.push(Flight { work, came: None });
        }
        (driving.again_at, driving.listens) = (again_at, listens);
        if driving.flights.is_empty() && again_at.is_none() && !listens {
            // It waits for nothing that it knows of.
            self.leave(worker, run).await;
        }
    }

    /// What a worker knew of a run comes back later, when nobody counts on it.
    fn forget(&mut self, worker: usize, run: RunId, old: Driving) {
        let owner = self.workers[worker].owner.clone();
        for flight in old.flights {
            let lost = (flight.work.key.clone(), Outcome::Unknown("nobody waited".to_owned()));
            let outcome = Some(flight.came.unwrap_or(lost));
            let step =
                Step { run, epoch: old.epoch, owner: owner.clone(), outcome, is_halt_file_there: false, in_hand: None };
            self.ghosts.push(step);
        }
    }

    /// A task ends in the middle: its worker lets go of the run.
    pub(super) async fn leave(&mut self, worker: usize, run: RunId) {
        let Some(old) = self.workers[worker].driven.remove(&run) else { return };
        let (owner, left) = (self.workers[worker].owner.clone(), vec![(run, old.epoch)]);
        self.log(&format!("worker {worker} lets go of {run}"));
        self.forget(worker, run, old);
        self.submit(Input::LetGo { owner, runs: left }, Who::Other).await;
    }

    /// A task of some worker breaks.
    pub(super) async fn one_breaks(&mut self) {
        let driven: Vec<(usize, RunId)> = (0..self.workers.len())
            .filter(|index| self.workers[*index].hangs_until.is_none())
            .flat_map(|index| self.workers[index].driven.keys().map(move |run| (index, *run)))
            .collect();
        if !driven.is_empty() {
            let (worker, run) = *self.dice.pick(&driven);
            self.leave(worker, run).await;
        }
    }

    /// Some worker, one with something in hand if there is one.
    fn one(&mut self) -> usize {
        let busy = (0..self.workers.len()).filter(|index| self.workers[*index].coming().next().is_some());
        let busy: Vec<usize> = busy.collect();
        if busy.is_empty() { self.dice.below(self.workers.len()) } else { *self.dice.pick(&busy) }
    }

    /// A worker hangs, one with something in hand if there is one, for so long that others may take over.
    pub(super) fn one_hangs(&mut self) {
        let (index, length) = (self.one(), self.dice.millis(1_000, 90_000));
        let until = self.now() + length;
        self.workers[index].hangs_until.get_or_insert(until);
        self.log(&format!("worker {index} hangs until {until}"));
    }

    /// A worker is killed, and another one started in its place. What it was about to send may have left already.
    pub(super) async fn one_dies(&mut self) {
        let index = self.one();
        self.log(&format!("worker {index} dies"));
        let driven = std::mem::take(&mut self.workers[index].driven);
        for (run, mut driving) in driven {
            for flight in driving.flights.iter_mut().filter(|flight| flight.came.is_none()) {
                if self.dice.chance(30) {
                    self.target.state().fate = Some(Fate::Done);
                    work::make(&self.trial.engine, &self.ports, run, flight.work.clone()).await;
                    self.target.state().fate = None;
                    self.promises.saw("killed after an effect");
                }
            }
            self.forget(index, run, driving);
        }
        self.born += 1;
        self.workers[index] = Worker::new(self.born, self.now());
        if self.is_alone {
            self.restart().await;
            self.submit(Input::Orphan, Who::Other).await;
        }
    }

    /// Something that was forgotten long ago comes back.
    pub(super) async fn one_returns(&mut self) {
        if self.ghosts.is_empty() {
            return;
        }
        let at = self.dice.below(self.ghosts.len());
        let ghost = self.ghosts.swap_remove(at);
        if self.look(ghost.run).await.run.epoch > ghost.epoch {
            self.step(ghost).await;
        }
    }

    /// Whoever hung long enough goes on, and leases are renewed in time by those who do not hang.
    pub(super) async fn renew(&mut self) {
        let now = self.now();
        for index in 0..self.workers.len() {
            self.workers[index].hangs_until.take_if(|until| *until <= now);
            let worker = &self.workers[index];
            if worker.hangs_until.is_some() || now < worker.renewed + RENEWED {
                continue;
            }
            if now >= worker.held_until && self.dice.chance(50) {
                // It comes to it only later.
                continue;
            }
            let owner = worker.owner.clone();
            let Answer::Driven(ours) = self.submit(Input::Renew { owner }, Who::Other).await else {
                panic!("a renewal was not answered")
            };
            let worker = &mut self.workers[index];
            (worker.renewed, worker.held_until) = (now, now + LEASE);
            let lost: Vec<RunId> = worker
                .driven
                .iter()
                .filter(|(run, it)| !ours.contains(&(**run, it.epoch)))
                .map(|(run, _)| *run)
                .collect();
            for run in lost {
                if let Some(old) = self.workers[index].driven.remove(&run) {
                    self.forget(index, run, old);
                }
            }
        }
    }

    pub(super) async fn submit(&mut self, input: Input, who: Who) -> Answer {
        let is_news = !matches!(who, Who::Worker(..));
        let around = self.around(who);
        let answer = self.trial.engine.submit(engine::Input::Run(input)).await;
        let engine::Answer::Run(answer) = answer.unwrap_or_else(|fault| panic!("{fault}")) else {
            panic!("a worker was not answered")
        };
        self.observe(&around, is_news).await;
        answer
    }
}
