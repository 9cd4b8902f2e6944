//! An engine with a clock that stands still, people who answer, and a worker that can be killed at any effect.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;

use super::{Kill, When, world::World};
use crate::{
    domain::{
        alerts::{Batch, Says, Signal},
        deployments::{About, Delivery, Report, Seen, State},
        ids::RunId,
        people::{Capability, Person, PersonId},
        routes::Route,
        runbooks::plan::{Approver, Plan, Target, named},
        runs::{
            Approval, Pass, Run, RunState,
            approvals::Asks,
            rehearsals::{Rehearsal, StartedBy},
        },
        time::Time,
    },
    engine::{
        self, Engine, Refusal, Rules,
        chat::{Call, console},
        ports::Clock,
        rules::People,
        runs::{self, Answer, Going, Input, Outcome, Settings, Step, Taken},
    },
    store::{self, Fault, Store, approvals, timers},
};

/// The source of the alert.
const SOURCE: &str = "rehearsal";
/// Who asks for a run that no alert sets off.
pub(super) const REQUESTER: &str = "requester";
/// How often people settle a doubt before they have had enough of it.
const MOST_SETTLED: u32 = 10;
/// How many effects may be made at one moment.
const MOST_AT_ONCE: usize = 10_000;

/// A clock that stands still until it is moved.
pub(super) struct Standing(Mutex<Time>);

impl Standing {
    pub(super) fn at(time: Time) -> Arc<Self> {
        Arc::new(Self(Mutex::new(time)))
    }

    fn move_to(&self, time: Time) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = time.max(*now);
    }
}

#[async_trait]
impl Clock for Standing {
    fn now(&self) -> Time {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep_until(&self, at: Time) {
        if self.now() < at {
            std::future::pending::<()>().await;
        }
    }
}

/// Where a test is played.
pub(super) struct Stage<'t> {
    pub(super) engine: Arc<Engine>,
    pub(super) world: World<'t>,
    test: &'t Rehearsal,
    clock: Arc<Standing>,
    begun: Time,
    /// Which life of the worker it is.
    life: u32,
    calls: AtomicU32,
    /// How often people have settled a doubt.
    settled: AtomicU32,
    kill: Option<Kill>,
    /// Each effect that was begun, as (step, pass), in their order.
    pub(super) effects: Vec<(String, Pass)>,
}

impl<'t> Stage<'t> {
    pub(super) fn new(
        store: Store,
        plans: &BTreeMap<String, Arc<Plan>>,
        (plan, test): (&Plan, &'t Rehearsal),
        kill: Option<Kill>,
    ) -> Self {
        let clock = Standing::at(test.at);
        let rules = rules(plans, plan, test);
        let engine = Engine::new(store, Arc::clone(&clock) as Arc<dyn Clock>, rules);
        let world = World::new(&test.world, Arc::clone(&clock) as Arc<dyn Clock>);
        let (calls, settled) = (AtomicU32::new(1), AtomicU32::new(0));
        Self { engine, world, test, clock, begun: test.at, life: 1, calls, settled, kill, effects: Vec::new() }
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Tells the ledger what was deployed before.
    pub(super) async fn deploys(&self, target: &Target) -> store::Result<()> {
        let mut known: Vec<_> = self.test.deployments.iter().collect();
        known.sort_by_key(|deployed| std::cmp::Reverse(deployed.ago));
        for deployed in known {
            let seen = Seen {
                about: About::Service(target.service.clone()),
                environment: target.environment.clone(),
                sha: deployed.sha.clone(),
                version: deployed.version.clone(),
                state: State::Succeeded,
                at: Some(self.begun - deployed.ago),
                by: None,
                url: None,
                migration: deployed.migration,
                external: Some(format!("{SOURCE}:{}", deployed.sha)),
                key: None,
            };
            let report = Some(Report::Deployment(Box::new(seen)));
            let delivery = Delivery { source: SOURCE.to_owned(), source_key: None, report };
            self.engine.submit(engine::Input::Deployment(delivery)).await?;
        }
        Ok(())
    }

    /// Sets the runbook off.
    pub(super) async fn begins(&self, plan: &Plan) -> store::Result<Result<(), Refusal>> {
        match &self.test.started_by {
            StartedBy::Alert { .. } => self.fires().await.map(Ok),
            StartedBy::Person(inputs) => {
                let inputs: Vec<String> =
                    inputs.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
                let inputs =
                    if inputs.is_empty() { String::new() } else { format!(" inputs:{}", quoted(&inputs.join(" "))) };
                self.says(REQUESTER, &format!("/runbook run runbook:{}{inputs}", plan.name)).await
            }
        }
    }

    /// The alert fires, or goes on firing.
    async fn fires(&self) -> store::Result<()> {
        let StartedBy::Alert { labels, annotations } = &self.test.started_by else { return Ok(()) };
        let signal = Signal {
            source: SOURCE.to_owned(),
            labels: labels.clone().into_iter().collect(),
            annotations: annotations.clone(),
            says: Says::Firing { ends_at: None },
            starts_at: Some(self.begun),
            generator_url: None,
        };
        let batch = Batch { source: SOURCE.to_owned(), signals: vec![signal], truncated: 0, source_key: None };
        self.engine.submit(engine::Input::Alerts(vec![Arc::new(batch)])).await.map(drop)
    }

    /// Somebody says something.
    async fn says(&self, person: &str, line: &str) -> store::Result<Result<(), Refusal>> {
        let id = PersonId(person.to_owned());
        let roles = self.engine.rules().people.known.get(&id).cloned().unwrap_or_default();
        let (command, args) = match console::read(line) {
            Ok(read) => read,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let source_key = Some(format!("{SOURCE}:{}", self.calls.fetch_add(1, Ordering::Relaxed)));
        let call = Call { caller: Person { id, roles }, args, about: None, source_key };
        Ok(self.engine.command(command, call).await?.map(drop))
    }

    /// Does everything that can be done at this moment; where the worker is killed, another one takes over.
    pub(super) async fn works(&mut self) -> store::Result<()> {
        for _ in 0..MOST_AT_ONCE {
            let due = timers::due(&mut self.engine.read().await?, self.now(), 100).await?;
            for timer in &due {
                self.engine.submit(engine::Input::Due(timer.clone())).await?;
            }
            let owner = format!("worker-{}", self.life);
            let claim = Input::Claim { owner: owner.clone(), begins: true, is_halt_file_there: false };
            let Answer::Taken(taken) = self.submit(claim).await? else { return Ok(()) };
            if taken.is_empty() && due.is_empty() {
                return Ok(());
            }
            for taken in taken {
                if self.drive(taken, &owner).await?.is_killed() {
                    self.life += 1;
                    let rules = (*self.engine.rules()).clone();
                    let store = self.engine.store().clone();
                    self.engine = Engine::new(store, Arc::clone(&self.clock) as Arc<dyn Clock>, rules);
                    self.submit(Input::Orphan).await?;
                    break;
                }
            }
        }
        Err(Fault::defect("a rehearsal does not come to rest"))
    }

    async fn drive(&mut self, Taken { run, epoch, begun }: Taken, owner: &str) -> store::Result<Life> {
        let mut flights = VecDeque::new();
        let mut next = match begun {
            Some(begun) => begun,
            None => self.step(run, epoch, owner, None).await?,
        };
        while let Some(going) = next {
            flights.extend(going.works);
            let Some(work) = flights.pop_front() else { break };
            let plan = store::runs::by_id(&mut self.engine.read().await?, run).await?.map(|run| run.plan);
            let Some(step) = plan.as_ref().and_then(|plan| plan.at(&work.key.path)) else { break };
            let at = self.effects.len();
            self.effects.push((named(&step.name, &step.path), work.key.pass));
            if self.kill.take_if(|kill| kill.effect == at && kill.when == When::BeforeActing).is_some() {
                return Ok(Life::Killed);
            }
            let outcome = self.world.act(&work, &step).await;
            if self.kill.take_if(|kill| kill.effect == at && kill.when == When::BeforeWriting).is_some() {
                return Ok(Life::Killed);
            }
            next = self.step(run, epoch, owner, Some((work.key.clone(), outcome))).await?;
        }
        Ok(Life::GoesOn)
    }

    async fn step(
        &self,
        run: RunId,
        epoch: i64,
        owner: &str,
        outcome: Option<(crate::domain::runs::StepKey, Outcome)>,
    ) -> store::Result<Option<Going>> {
        let step = Step { run, epoch, owner: owner.to_owned(), outcome, is_halt_file_there: false, in_hand: None };
        match self.submit(Input::Step(step)).await? {
            Answer::Next(going) => Ok(going),
            Answer::Taken(_) | Answer::Driven(_) | Answer::Started(_) | Answer::Done => Ok(None),
        }
    }

    async fn submit(&self, input: Input) -> store::Result<Answer> {
        let engine::Answer::Run(answer) = self.engine.submit(engine::Input::Run(input)).await? else {
            return Ok(Answer::Done);
        };
        Ok(answer)
    }

    /// People answer what they are asked; whether anybody had something to answer.
    pub(super) async fn people_answer(&self) -> store::Result<bool> {
        let asked = approvals::open(&mut self.engine.read().await?).await?;
        let mut has_answered = false;
        for approval in asked {
            has_answered |= self.answer(&approval).await?;
        }
        for run in store::runs::open(&mut self.engine.read().await?).await? {
            if run.state == RunState::InDoubt {
                has_answered |= self.settle(&run).await?;
            }
        }
        Ok(has_answered)
    }

    async fn answer(&self, approval: &Approval) -> store::Result<bool> {
        let line = match &approval.asks {
            Asks::Approval => {
                let answer = if self.test.people.agree { "approve" } else { "reject" };
                format!("/runbook answer question:{} answer:{answer}", approval.id)
            }
            Asks::Choice(choices) => {
                let run = store::runs::by_id(&mut self.engine.read().await?, approval.run).await?;
                let step = run.as_ref().and_then(|run| run.plan.step(&approval.path));
                let said = step.and_then(|step| self.test.people.answers.get(&step.name));
                let choice = said.or_else(|| choices.first()).cloned().unwrap_or_default();
                format!("/runbook answer question:{} answer:choose choice:{}", approval.id, quoted(&choice))
            }
        };
        let rules = self.engine.rules();
        let mut has_answered = false;
        for person in rules.people.known.keys().filter(|person| person.0 != REQUESTER) {
            has_answered |= self.says(&person.0, &line).await?.is_ok();
        }
        Ok(has_answered)
    }

    /// Somebody looks whether the step happened, and says so.
    async fn settle(&self, run: &Run) -> store::Result<bool> {
        if self.settled.fetch_add(1, Ordering::Relaxed) >= MOST_SETTLED {
            return Ok(false);
        }
        let path = run.hold.as_ref().and_then(|hold| hold.path.clone()).unwrap_or_default();
        let journal = store::steps::journal(&mut self.engine.read().await?, run.id).await?;
        let pass = if run.pass == Pass::Undo { Pass::Undo } else { Pass::Do };
        let Some(record) = journal.last(&path, pass) else { return Ok(false) };
        let answer = match self.world.of(&record.effect).map(|effect| effect.outcome) {
            Some(Outcome::Done(output)) if !output.is_null() => {
                format!("happened output:{}", quoted(&output.to_string()))
            }
            Some(_) => "happened".to_owned(),
            None => "did-not-happen".to_owned(),
        };
        let people = self.engine.rules().people.known.keys().next().cloned();
        let person = people.map_or_else(|| REQUESTER.to_owned(), |person| person.0);
        Ok(self.says(&person, &format!("/runbook answer question:{} answer:{answer}", run.id)).await?.is_ok())
    }

    /// Time passes until something is due, and the alert goes on firing; whether anything was.
    pub(super) async fn time_passes(&self, most: Duration) -> store::Result<bool> {
        let Some(due) = timers::earliest(&mut self.engine.read().await?).await? else { return Ok(false) };
        if due.since(self.begun) > most {
            return Ok(false);
        }
        self.clock.move_to(due);
        self.fires().await?;
        Ok(true)
    }
}

/// What became of a worker.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    GoesOn,
    Killed,
}

impl Life {
    fn is_killed(self) -> bool {
        self == Life::Killed
    }
}

/// A word of a command, whatever stands in it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The rules of a test: its runbooks, a route for every alert, and as many people as are ever asked.
fn rules(plans: &BTreeMap<String, Arc<Plan>>, plan: &Plan, test: &Rehearsal) -> Rules {
    let mut approvers: BTreeSet<Approver> = BTreeSet::new();
    let mut count = 1;
    for plan in plans.values() {
        if let Some(approval) = &plan.approval {
            approvers.extend(approval.by.iter().cloned());
            count = count.max(approval.count);
        }
        let asks = plan.every_step().into_iter().filter_map(|step| step.with.get("by")?.as_array()).flatten();
        approvers.extend(asks.filter_map(Value::as_str).filter_map(runs::actions::ask::approver));
    }
    let mut roles: BTreeSet<String> = BTreeSet::from(["operator".to_owned()]);
    let mut known: BTreeMap<PersonId, BTreeSet<String>> = BTreeMap::new();
    for approver in approvers {
        match approver {
            Approver::Role(role) => drop(roles.insert(role)),
            Approver::Person(name) => drop(known.insert(PersonId(name), BTreeSet::new())),
        }
    }
    known.insert(PersonId(REQUESTER.to_owned()), BTreeSet::new());
    for number in 1..=count {
        known.insert(PersonId(format!("approver-{number}")), BTreeSet::new());
    }
    for has in known.values_mut() {
        has.clone_from(&roles);
    }
    let people = People {
        known,
        roles: roles.into_iter().map(|role| (role, Capability::Operate)).collect(),
        ..People::default()
    };
    let mut runbooks = plans.clone();
    runbooks.insert(plan.name.clone(), Arc::new(Plan { mode: test.mode.unwrap_or(plan.mode), ..plan.clone() }));
    Rules {
        people,
        default_route: Route { runbooks: vec![plan.name.clone()], ..Route::fallback() },
        default_channel: "incidents".to_owned(),
        catalog: Arc::new(test.services.clone()),
        runs: Settings { runbooks, ..Settings::default() },
        ..Rules::default()
    }
}
