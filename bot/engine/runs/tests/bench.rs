//! A bot without its workers, and a service that it deploys to: each thing happens when the test says so.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{
    domain::{
        alerts::{Batch, Labels, Says, Signal},
        ids::{IncidentId, RunId},
        people::{Capability, PersonId},
        routes::Route,
        runbooks::{self, plan::Plan},
        runs::{Event, Journal, Reason, Run, RunState},
        timeline::{Chain, Entry},
    },
    engine::{
        self, Refusal, Rules,
        ports::{
            Http, HttpAnswer, HttpOutcome, HttpRequest, Metrics, Program, ProgramOutcome, Programs, Sample, Secrets,
        },
        rules::People,
        runs::{Answer, Going, Input, Outcome, Ports, Settings, Step, Taken, actions},
        trial::Trial,
    },
    store::{self, runs, steps, timeline, timers},
};

/// What happens to the next request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It never arrives, and nobody knows.
    RequestLost,
    /// It is refused with this status.
    Refused(u16),
}

/// A service with versions.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) live: String,
    pub(super) deployments: Vec<Value>,
    /// Every request to change something that arrived and was done: its key and its version.
    pub(super) effects: Vec<(String, String)>,
    /// Every request to change something that was sent.
    pub(super) sent: Vec<(String, String)>,
    pub(super) errors: f64,
    pub(super) fates: VecDeque<Fate>,
    /// Whether what was just deployed is not listed yet.
    pub(super) hides: bool,
}

pub(super) struct World {
    pub(super) service: Mutex<Service>,
    pub(super) halt_file: AtomicBool,
}

impl World {
    pub(super) fn service(&self) -> std::sync::MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answered(status: u16, body: &Value) -> HttpOutcome {
    let body = body.to_string().into_bytes();
    HttpOutcome::Answered(HttpAnswer { status, headers: BTreeMap::new(), body, is_cut: false })
}

#[async_trait]
impl Http for World {
    async fn send(&self, request: HttpRequest) -> HttpOutcome {
        let mut service = self.service();
        let key = request.headers.iter().find(|(name, _)| name == "idempotency-key");
        let key = key.map(|(_, value)| value.expose_secret().to_owned()).unwrap_or_default();
        match (request.method.as_str(), request.url.as_str()) {
            ("GET", "http://service/version") => {
                let since = "2026-11-23T02:30:00Z";
                answered(200, &json!({ "live": service.live, "since": since }))
            }
            ("GET", "http://service/deployments") => {
                let shown = usize::from(service.hides);
                answered(200, &json!({ "deployments": service.deployments.iter().skip(shown).collect::<Vec<_>>() }))
            }
            ("GET", "http://service/health") => {
                answered(200, &json!({ "error_ratio": service.errors, "requests_per_second": 20.0 }))
            }
            ("POST", "http://service/deployments") => {
                let body: Value = serde_json::from_slice(&request.body.unwrap_or_default()).unwrap();
                let version = body["version"].as_str().unwrap_or_default().to_owned();
                service.sent.push((key.clone(), version.clone()));
                let fate = service.fates.pop_front();
                match fate {
                    Some(Fate::RequestLost) => return HttpOutcome::Unknown("the connection was reset".to_owned()),
                    Some(Fate::Refused(status)) => return answered(status, &json!({ "error": "refused" })),
                    Some(Fate::AnswerLost) | None => {}
                }
                if body["expect_live"].as_str().is_some_and(|expected| expected != service.live) {
                    return answered(409, &json!({ "error": format!("live is {}", service.live) }));
                }
                let deployment = json!({ "id": service.effects.len() + 1, "version": version, "key": key });
                service.effects.push((key, version.clone()));
                service.deployments.insert(0, deployment.clone());
                version.clone_into(&mut service.live);
                match fate {
                    Some(Fate::AnswerLost) => HttpOutcome::Unknown("the connection was reset".to_owned()),
                    Some(_) | None => answered(201, &deployment),
                }
            }
            other => panic!("nobody answers {other:?}"),
        }
    }
}

#[async_trait]
impl Programs for World {
    async fn run(&self, program: Program) -> ProgramOutcome {
        let seen: Vec<String> =
            program.environment.iter().map(|(name, value)| format!("{name}={}", value.expose_secret())).collect();
        let stdout = json!({ "argv": program.argv, "env": seen }).to_string();
        ProgramOutcome::Exited { code: 0, stdout, stderr: String::new() }
    }

    async fn end(&self, _key: &str) {}
}

#[async_trait]
impl Metrics for World {
    async fn query(&self, _: Option<&str>, query: &str, _: Duration) -> Result<Vec<Sample>, String> {
        panic!("nobody measures {query}")
    }
}

impl Secrets for World {
    fn find(&self, name: &str) -> Result<SecretString, String> {
        match name {
            "token" => Ok(SecretString::from("s3cr3t-token")),
            other => Err(format!("there is no secret `{other}`")),
        }
    }

    fn known(&self) -> Vec<SecretString> {
        vec![SecretString::from("s3cr3t-token")]
    }
}

/// Where the worker is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    /// The intent is committed, and nothing was sent.
    BeforeActing,
    /// The effect is made, and what came of it is not written.
    BeforeWriting,
}

pub(super) fn plan(text: &str) -> Plan {
    runbooks::read(Path::new("test.yaml"), text.as_bytes()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub(in crate::engine::runs) fn rules(runbooks: &[&str]) -> Rules {
    let plans = runbooks.iter().map(|text| plan(text)).map(|plan| (plan.name.clone(), Arc::new(plan)));
    let person =
        |name: &str, roles: &[&str]| (PersonId(name.to_owned()), roles.iter().map(|role| (*role).to_owned()).collect());
    Rules {
        people: People {
            known: [person("ana", &["on-call"]), person("bo", &["on-call"]), person("chief", &["admin", "on-call"])]
                .into(),
            roles: [("on-call".to_owned(), Capability::Operate), ("admin".to_owned(), Capability::Administer)].into(),
            ..People::default()
        },
        default_route: Route { runbooks: vec!["*".to_owned()], ..Route::default() },
        default_channel: "ops".to_owned(),
        runs: Settings { runbooks: plans.collect(), ..Settings::default() },
        ..Rules::default()
    }
}

pub(super) struct Bench {
    pub(super) trial: Trial,
    pub(super) world: Arc<World>,
    pub(super) ports: Ports,
    /// What the chief says while the effect with this number (from 0) is being made.
    pub(super) meanwhile: Option<(usize, &'static str)>,
    /// What is said to have come of the next effect, which is not made then.
    pub(super) said: Option<Outcome>,
    owner: u32,
}

/// Makes the plan of a run unreadable.
struct Spoil(RunId);

impl store::Decision for Spoil {
    type Answer = ();

    async fn decide(&self, tx: &mut store::Tx) -> store::Result<()> {
        tx.execute("update runs set inputs = '{' where id = $1", &[self.0.0.into()]).await.map(drop)
    }
}

impl Bench {
    pub(super) async fn new(rules: Rules) -> Self {
        let service = Service {
            live: "bad".to_owned(),
            deployments: vec![json!({ "version": "bad" }), json!({ "version": "good" })],
            effects: Vec::new(),
            sent: Vec::new(),
            errors: 0.0,
            fates: VecDeque::new(),
            hides: false,
        };
        let world = Arc::new(World { service: Mutex::new(service), halt_file: AtomicBool::new(false) });
        let seen = Arc::clone(&world);
        let trial = Trial::new(rules).await;
        let ports = Ports {
            http: Arc::clone(&world) as Arc<dyn Http>,
            programs: Arc::clone(&world) as Arc<dyn Programs>,
            metrics: Arc::clone(&world) as Arc<dyn Metrics>,
            secrets: Arc::clone(&world) as Arc<dyn Secrets>,
            clusters: BTreeMap::new(),
            code_host: None,
            clock: Arc::clone(trial.engine.clock()),
            is_halt_file_there: Arc::new(move || seen.halt_file.load(Ordering::SeqCst)),
        };
        Self { trial, world, ports, meanwhile: None, said: None, owner: 1 }
    }

    /// A run whose plan cannot be read any more, as if an older version had written it.
    pub(super) async fn spoil(&self, id: i64) {
        self.trial.engine.store().decide(Spoil(RunId(id))).await.unwrap();
    }

    pub(super) async fn submit(&self, input: Input) -> Answer {
        let engine::Answer::Run(answer) = self.trial.engine.submit(engine::Input::Run(input)).await.unwrap() else {
            panic!("a worker was not answered")
        };
        answer
    }

    /// An alert fires, or is over.
    pub(super) async fn alert(&self, name: &str, is_firing: bool) {
        let labels: BTreeMap<String, String> = [("alertname".to_owned(), name.to_owned())].into();
        let summary = "there are errors".to_owned();
        let signal = Signal {
            source: "prometheus".to_owned(),
            labels: Labels::from(labels),
            annotations: [("summary".to_owned(), summary)].into(),
            says: if is_firing { Says::Firing { ends_at: None } } else { Says::Resolved { at: None } },
            starts_at: Some(self.trial.engine.now()),
            generator_url: None,
        };
        let batch = Batch { source: "prometheus".to_owned(), signals: vec![signal], truncated: 0, source_key: None };
        self.trial.engine.submit(engine::Input::Alerts(vec![Arc::new(batch)])).await.unwrap();
    }

    /// Does everything that can be done at this moment.
    pub(super) async fn work(&mut self) {
        assert_eq!(self.work_until(None).await, None);
    }

    /// Asserts where the first run stands, and why if it is held.
    pub(super) async fn stands(&self, state: RunState, reason: Option<Reason>) {
        let run = self.run(1).await;
        assert_eq!((run.state, run.hold.map(|hold| hold.reason)), (state, reason), "{:#?}", self.journal(1).await);
    }

    /// The same, but the worker is killed at the n-th effect (from 0). Says how many effects were left until then.
    pub(super) async fn work_until(&mut self, kill: Option<(Kill, usize)>) -> Option<usize> {
        let mut effects = 0;
        for _ in 0..200 {
            let due = {
                let mut reader = self.trial.engine.read().await.unwrap();
                timers::due(&mut reader, self.trial.engine.now(), 100).await.unwrap()
            };
            for timer in &due {
                self.trial.engine.submit(engine::Input::Due(timer.clone())).await.unwrap();
            }
            let owner = format!("worker-{}", self.owner);
            let is_halt_file_there = (self.ports.is_halt_file_there)();
            let claim = Input::Claim { owner: owner.clone(), begins: true, is_halt_file_there };
            let Answer::Taken(taken) = self.submit(claim).await else { panic!() };
            if taken.is_empty() && due.is_empty() {
                return None;
            }
            for Taken { run, epoch, begun } in taken {
                let mut flights = VecDeque::new();
                let mut next = match begun {
                    Some(begun) => begun,
                    None => self.step(run, epoch, &owner, None).await,
                };
                while let Some(going) = next {
                    flights.extend(going.works);
                    let Some(work) = flights.pop_front() else { break };
                    if kill == Some((Kill::BeforeActing, effects)) {
                        return Some(effects);
                    }
                    let came = match self.said.take() {
                        Some(came) => came,
                        None => actions::act(&self.ports, &work).await,
                    };
                    if let Some((_, line)) = self.meanwhile.take_if(|(number, _)| *number == effects) {
                        self.says("chief", line).await.unwrap();
                    }
                    if kill == Some((Kill::BeforeWriting, effects)) {
                        return Some(effects);
                    }
                    effects += 1;
                    next = self.step(run, epoch, &owner, Some((work.key.clone(), came))).await;
                }
            }
        }
        panic!("the runs do not come to rest");
    }

    async fn step(
        &self,
        run: RunId,
        epoch: i64,
        owner: &str,
        outcome: Option<(crate::domain::runs::StepKey, Outcome)>,
    ) -> Option<Going> {
        let is_halt_file_there = (self.ports.is_halt_file_there)();
        let step = Step { run, epoch, owner: owner.to_owned(), outcome, is_halt_file_there, in_hand: None };
        let Answer::Next(going) = self.submit(Input::Step(step)).await else { panic!("a step was not answered") };
        going
    }

    /// The process ends and another one starts.
    pub(super) async fn restart(self) -> Self {
        let rules = (*self.trial.engine.rules()).clone();
        let trial = self.trial.restart(rules).await;
        let bench = Self { trial, owner: self.owner + 1, ..self };
        bench.submit(Input::Orphan).await;
        bench
    }

    /// Time passes, in small steps, and whatever is due is done.
    pub(super) async fn pass(&mut self, length: Duration) {
        let step = Duration::from_secs(5);
        let mut left = length;
        while !left.is_zero() {
            let part = left.min(step);
            self.trial.clock.pass(part);
            self.work().await;
            left = left.saturating_sub(part);
        }
    }

    pub(super) async fn says(&self, person: &str, line: &str) -> Result<String, Refusal> {
        let reply = self.trial.says(person, line).await?;
        Ok(reply.message.lines.iter().map(engine::chat::Line::plain).collect::<Vec<_>>().join("\n"))
    }

    pub(super) async fn run(&self, id: i64) -> Run {
        let mut reader = self.trial.engine.read().await.unwrap();
        runs::by_id(&mut reader, RunId(id)).await.unwrap().expect("the run exists")
    }

    pub(super) async fn runs(&self) -> Vec<Run> {
        let mut reader = self.trial.engine.read().await.unwrap();
        runs::newest(&mut reader, 100).await.unwrap()
    }

    pub(super) async fn journal(&self, id: i64) -> Journal {
        let mut reader = self.trial.engine.read().await.unwrap();
        steps::journal(&mut reader, RunId(id)).await.unwrap()
    }

    pub(super) async fn entries(&self, chain: Chain) -> Vec<Entry> {
        let mut reader = self.trial.engine.read().await.unwrap();
        timeline::entries(&mut reader, chain).await.unwrap()
    }

    /// What runs wrote into the timeline of the first incident.
    pub(super) async fn events(&self) -> Vec<Event> {
        let entries = self.entries(Chain::Incident(IncidentId(1))).await;
        entries.iter().filter_map(Entry::event).collect()
    }

    pub(super) async fn incident(&self) -> crate::domain::incidents::Incident {
        let mut reader = self.trial.engine.read().await.unwrap();
        store::incidents::by_id(&mut reader, IncidentId(1)).await.unwrap().expect("the incident exists")
    }
}
