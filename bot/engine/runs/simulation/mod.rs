//! Random runs of random runbooks: workers die, hang and come back, targets fail and lie, people halt and answer, and
//! after each decision what is promised of runs must hold.
//!
//! Everything is drawn from a seed and happens one after the other, so a seed that fails is replayed by its number:
//! `FIREWARDEN_SEED=7 cargo test --lib simulation`. `FIREWARDEN_SIMULATIONS=20000` tries more of them.

mod dice;
mod drops;
mod people;
mod promises;
mod runbook;
mod seeds;
mod target;
mod workers;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
    time::Duration,
};

use self::{
    dice::Dice,
    promises::{Around, Known, Promises, Who},
    seeds::{COME_ACROSS, ENOUGH, asked, in_threads, usual},
    target::Target,
    workers::{RENEWED, Worker},
};
use super::tests::bench;
use crate::{
    domain::{
        alerts::{Batch, Labels, Says, Signal},
        ids::RunId,
        runs::{ApprovalState, Event, Run, approvals::Asks, budgets},
        time::Time,
        timeline::Entry,
    },
    engine::{
        self,
        ports::{Clock, Http, Metrics, Programs, Secrets},
        runs::{Ports, Step},
        trial::Trial,
    },
    store::{Reader, approvals, runs, steps, timeline, timers, trial::Home},
};

/// How many things happen in one before all calms down.
const TROUBLED: usize = 320;
/// How many rounds it may take until all has come to its end.
const CALM: usize = 400;

struct Simulation {
    dice: Dice,
    trial: Trial,
    target: Arc<Target>,
    ports: Arc<Ports>,
    promises: Promises,
    workers: Vec<Worker>,
    /// Whether the one worker is all there is: it is the process that is killed then.
    is_alone: bool,
    /// How many workers there were so far.
    born: usize,
    /// What workers knew that are gone, or that have lost their runs.
    ghosts: Vec<Step>,
    halted: BTreeSet<String>,
    books: usize,
    /// How many of a hundred requests go wrong.
    faults: usize,
    /// How often people tried a run again.
    patience: BTreeMap<RunId, usize>,
    log: Vec<String>,
    /// Whether each decision is looked at.
    is_watched: bool,
}

impl Simulation {
    async fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let books = dice.between(2, 4);
        let texts: Vec<String> = (0..books).map(|number| runbook::write(&mut dice, number)).collect();
        let mut rules = bench::rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let mut promises = Promises::default();
        if dice.chance(40) {
            let steps = u32::try_from(dice.between(2, 6)).ok();
            rules.budgets.insert(budgets::DEFAULT.to_owned(), budgets::Budget { steps, ..budgets::Budget::default() });
            promises.budget = steps;
        }
        if dice.chance(30) {
            let limit = u32::try_from(dice.between(1, 2)).unwrap_or(1);
            rules.limits.insert("http:target".to_owned(), limit);
            promises.limit = Some(limit);
        }
        let trial = Trial::at(Home::new().await, rules).await;
        let target = Arc::new(Target::new(Arc::clone(trial.engine.clock())));
        let is_alone = dice.chance(50);
        let workers = if is_alone { 1 } else { dice.between(2, 3) };
        let now = trial.engine.now();
        Self {
            ports: Arc::new(ports(&target, trial.engine.clock())),
            workers: (0..workers).map(|number| Worker::new(number, now)).collect(),
            faults: *dice.pick(&[0, 20, 50, 80]),
            dice,
            trial,
            target,
            promises,
            is_alone,
            born: workers,
            ghosts: Vec::new(),
            halted: BTreeSet::new(),
            books,
            patience: BTreeMap::new(),
            log: texts,
            is_watched: true,
        }
    }

    fn now(&self) -> Time {
        self.trial.engine.now()
    }

    fn log(&mut self, what: &str) {
        self.log.push(format!("{} {what}", self.now().clock()));
    }

    fn is_halt_file_there(&self) -> bool {
        self.target.state().is_halt_file_there
    }

    fn around(&self, who: Who) -> Around {
        let (now, is_halt_file_there) = (self.now(), self.is_halt_file_there());
        let coming = self.workers.iter().flat_map(Worker::coming).collect();
        Around { who, now, halted: self.halted.clone(), is_halt_file_there, coming }
    }

    /// The run as it is.
    async fn look(&self, id: RunId) -> Known {
        let run = runs::by_id(&mut self.read().await, id).await.unwrap().expect("the run exists");
        self.known(run).await
    }

    async fn known(&self, run: Run) -> Known {
        let mut reader = self.read().await;
        let journal = steps::journal(&mut reader, run.id).await.unwrap();
        let asked = match run.plan.approval {
            Some(_) => approvals::of_run(&mut reader, run.id).await.unwrap(),
            None => Vec::new(),
        };
        let is_agreed = asked.iter().any(|it| it.asks == Asks::Approval && it.state == ApprovalState::Given);
        Known { run, journal, is_agreed }
    }

    async fn read(&self) -> Reader {
        self.trial.engine.read().await.unwrap()
    }

    /// Looks at what a decision did to the runs.
    async fn observe(&mut self, around: &Around, is_news: bool) {
        if is_news {
            self.workers.iter_mut().for_each(Worker::wake);
        }
        if let Who::Worker(run, _) = &around.who {
            let known = self.look(*run).await;
            let is_over = known.run.state.is_over();
            self.saw(known, around);
            // Only by its end a run lets others go on.
            if !is_over {
                return;
            }
        }
        let open = runs::open(&mut self.read().await).await.unwrap();
        let is_open = |id: &RunId| open.iter().any(|run| run.id == *id);
        let over: Vec<RunId> = self.at_work().into_iter().filter(|id| !is_open(id)).collect();
        let mut seen = Vec::new();
        for run in open {
            seen.push(self.known(run).await);
        }
        for id in over {
            seen.push(self.look(id).await);
        }
        for known in seen {
            self.saw(known, around);
        }
    }

    fn saw(&mut self, known: Known, around: &Around) {
        if self.is_watched {
            self.promises.observe(known, around);
        } else {
            self.promises.runs.insert(known.run.id, known);
        }
    }

    async fn restart(&mut self) {
        self.log("the process starts anew");
        let rules = (*self.trial.engine.rules()).clone();
        self.trial.start_anew(rules).await;
        self.promises.saw("a restart");
    }

    /// Decides on what is due. Says whether there was something.
    async fn timers(&mut self) -> bool {
        let due = timers::due(&mut self.read().await, self.now(), 100).await.unwrap();
        for timer in &due {
            let around = self.around(Who::Other);
            self.trial.engine.submit(engine::Input::Due(timer.clone())).await.unwrap();
            self.observe(&around, true).await;
        }
        !due.is_empty()
    }

    /// Time passes, until something is due or somebody has to renew, but no longer than this.
    async fn pass(&mut self, most: Duration) {
        let now = self.now();
        let earliest = timers::earliest(&mut self.read().await).await.unwrap();
        let of_workers = self.workers.iter().flat_map(|worker| {
            let renewal =
                (worker.hangs_until.is_none() && worker.renewed + RENEWED > now).then(|| worker.renewed + RENEWED);
            worker.driven.values().filter_map(|driving| driving.again_at).chain(worker.hangs_until).chain(renewal)
        });
        let moments = earliest.into_iter().chain(of_workers).filter(|at| *at > now);
        let until = moments.chain([now + most]).min().unwrap_or(now + most);
        self.trial.clock.pass(until.since(now).max(Duration::from_millis(1)));
        self.target.arrive();
        self.renew().await;
    }

    /// An alert begins or ends.
    async fn alert(&mut self) {
        let name = format!("A{}", self.dice.below(self.books));
        let is_firing = self.dice.chance(60);
        let labels: BTreeMap<String, String> = [("alertname".to_owned(), name.clone())].into();
        let signal = Signal {
            source: "prometheus".to_owned(),
            labels: Labels::from(labels),
            annotations: BTreeMap::new(),
            says: if is_firing { Says::Firing { ends_at: None } } else { Says::Resolved { at: None } },
            starts_at: Some(self.now()),
            generator_url: None,
        };
        let batch = Batch { source: "prometheus".to_owned(), signals: vec![signal], truncated: 0, source_key: None };
        self.log(&format!("{name} {}", if is_firing { "fires" } else { "is over" }));
        let around = self.around(Who::Other);
        self.trial.engine.submit(engine::Input::Alerts(vec![Arc::new(batch)])).await.unwrap();
        self.observe(&around, true).await;
    }

    /// One thing happens.
    async fn happens(&mut self) {
        self.mends().await;
        if self.workers.iter().any(|worker| worker.hangs_until.is_some()) && self.dice.chance(15) {
            self.elapse().await;
        }
        match self.dice.below(100) {
            0..=64 => {
                let moves = self.moves().await;
                if moves.is_empty() {
                    self.elapse().await;
                } else {
                    let chosen = self.dice.pick(&moves).clone();
                    Box::pin(self.make(chosen)).await;
                }
            }
            65..=72 => self.elapse().await,
            73..=84 => self.somebody().await,
            85..=87 => self.starts().await,
            88..=89 => self.alert().await,
            90 => self.halts().await,
            91 => self.target.state().is_halt_file_there = true,
            92 => {
                let unseen_for = self.dice.millis(0, 4_000);
                let mut state = self.target.state();
                (state.is_good, state.unseen_for) = (false, unseen_for);
            }
            93..=94 => self.one_hangs(),
            95 => self.one_breaks().await,
            96 => self.one_dies().await,
            _ => self.one_returns().await,
        }
    }

    /// What keeps everything from going on does not last.
    async fn mends(&mut self) {
        if !self.halted.is_empty() && self.dice.chance(8) {
            self.lifts().await;
        }
        let (is_bad, is_file_there) = {
            let state = self.target.state();
            (!state.is_good, state.is_halt_file_there)
        };
        if is_bad && self.dice.chance(8) {
            self.target.state().is_good = true;
        }
        if is_file_there && self.dice.chance(15) {
            self.target.state().is_halt_file_there = false;
        }
    }

    async fn elapse(&mut self) {
        if !self.timers().await {
            let most = self.dice.millis(1, 60_000);
            self.pass(most).await;
        }
    }

    /// Everything is well again, and people look after what stands: all runs come to their end.
    async fn calms_down(&mut self) {
        self.faults = 0;
        {
            let mut state = self.target.state();
            (state.is_good, state.is_halt_file_there) = (true, false);
        }
        for worker in &mut self.workers {
            worker.hangs_until = None;
        }
        for _ in 0..CALM {
            let mut made = 0;
            while let Some(chosen) = self.moves().await.into_iter().next() {
                Box::pin(self.make(chosen)).await;
                made += 1;
                assert!(made < TROUBLED, "the workers do not come to rest");
            }
            if self.at_work().is_empty() {
                return;
            }
            if !self.timers().await {
                self.people_clear_up().await;
                self.pass(Duration::from_secs(30)).await;
            }
        }
        panic!("the runs do not come to their end");
    }

    async fn whole(&mut self) {
        self.starts().await;
        for _ in 0..TROUBLED {
            Box::pin(self.happens()).await;
        }
        Box::pin(self.calms_down()).await;
        for known in self.promises.runs.values() {
            assert!(*known == self.look(known.run.id).await, "{} was over, and changed", known.run.id);
        }
        self.each_end_is_told_once().await;
        self.promises.at_the_end(&self.target.state());
    }

    /// The timeline has as many ends of an attempt as the attempt has: one, and one more if it was in doubt.
    async fn each_end_is_told_once(&self) {
        let mut reader = self.read().await;
        let mut told = BTreeSet::new();
        for chain in timeline::chains(&mut reader).await.unwrap() {
            let entries = timeline::entries(&mut reader, chain).await.unwrap();
            for event in entries.iter().filter_map(Entry::event::<Event>) {
                let end = if let Event::StepDone { run, step, .. } = event {
                    (run, step, "done")
                } else if let Event::StepFailed { run, step, .. } = event {
                    (run, step, "failed")
                } else if let Event::StepInDoubt { run, step, .. } = event {
                    (run, step, "in doubt")
                } else {
                    continue;
                };
                assert!(told.insert(end.clone()), "{} {} is told to be {} twice", end.0, end.1, end.2);
            }
        }
    }

    fn told(&self) -> String {
        let mut told = self.log.join("\n");
        for known in self.promises.runs.values() {
            let (run, hold) = (&known.run, &known.run.hold);
            let _ = write!(told, "\n\n{} {} is {} in epoch {}: {hold:?}", run.id, run.plan.name, run.state, run.epoch);
            for record in &known.journal.0 {
                let _ = write!(
                    told,
                    "\n  {} {} {} epoch {} {:?} {} {:?}",
                    record.seq,
                    record.key,
                    record.state.word(),
                    record.epoch,
                    record.verdict,
                    record.effect,
                    record.error
                );
            }
        }
        told
    }
}

fn ports(target: &Arc<Target>, clock: &Arc<dyn Clock>) -> Ports {
    let seen = Arc::clone(target);
    Ports {
        http: Arc::clone(target) as Arc<dyn Http>,
        programs: Arc::clone(target) as Arc<dyn Programs>,
        metrics: Arc::clone(target) as Arc<dyn Metrics>,
        secrets: Arc::clone(target) as Arc<dyn Secrets>,
        clusters: BTreeMap::new(),
        code_host: None,
        clock: Arc::clone(clock),
        is_halt_file_there: Arc::new(move || seen.state().is_halt_file_there),
    }
}

/// No step is done twice without a look, epochs only grow, nothing stale is written, what is taken back is taken back in
/// reverse, every intent has an end, no budget is exceeded, and nothing is changed while halted.
#[test]
fn random_runs_keep_what_is_promised() {
    let seed = asked("FIREWARDEN_SEED");
    let count = if seed.is_some() { 1 } else { asked("FIREWARDEN_SIMULATIONS").unwrap_or_else(usual) };
    let met = in_threads((seed.unwrap_or(1), count), async |simulation| Box::pin(simulation.whole()).await);
    if count >= ENOUGH {
        let missing: Vec<&str> = COME_ACROSS.into_iter().filter(|what| !met.contains_key(what)).collect();
        assert!(missing.is_empty(), "never came across {missing:?}");
    }
}
