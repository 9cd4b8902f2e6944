//! A world that answers what a test says, and remembers what was done to it, by the keys under which it was done.
//!
//! What a `repeat: safe` sends twice under one key is done once; anything else that comes twice is done twice. Requests, programs and
//! measures are answered below the actions, so what a runbook makes of them is part of what is tried.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;

use crate::{
    domain::{
        runbooks::{
            plan::{Class, Step, named},
            template,
        },
        runs::{
            Pass,
            rehearsals::{Gives, Met},
        },
        time::Time,
    },
    engine::{
        ports::{
            Clock, Http, HttpAnswer, HttpOutcome, HttpRequest, Metrics, Program, ProgramOutcome, Programs, Sample,
            Secrets,
        },
        runs::{Outcome, Ports, Work, actions},
    },
};

/// Something that was done to the world.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Effect {
    /// The step, with the item that it was done for, and whether it was taken back.
    pub(super) name: String,
    /// What came of it.
    pub(super) outcome: Outcome,
}

/// The world of one test.
pub(super) struct World<'t> {
    met: &'t BTreeMap<String, Met>,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How often each step has asked for an answer.
    asked: BTreeMap<String, usize>,
    /// What was done, by the keys under which it was done, in the order in which it was.
    done: Vec<(String, Effect)>,
    /// What the test does not say and was needed.
    missing: Vec<(String, String)>,
}

impl<'t> World<'t> {
    pub(super) fn new(met: &'t BTreeMap<String, Met>, clock: Arc<dyn Clock>) -> Self {
        Self { met, clock, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done, in its order.
    pub(super) fn done(&self) -> Vec<Effect> {
        self.seen().done.iter().map(|(_, effect)| effect.clone()).collect()
    }

    /// What came of the effect with this key, if it was done.
    pub(super) fn of(&self, key: &str) -> Option<Effect> {
        self.seen().done.iter().find(|(known, _)| known == key).map(|(_, effect)| effect.clone())
    }

    /// What the test does not say and was needed, each with what to say.
    pub(super) fn missing(&self) -> Vec<(String, String)> {
        let mut missing = self.seen().missing.clone();
        missing.dedup();
        missing
    }

    /// Answers an effect of a step.
    pub(super) async fn act(&self, work: &Work, step: &Step) -> Outcome {
        let met = self.met.get(&step.name);
        match work.key.pass {
            Pass::Probe => self.look(work, step, met).await,
            Pass::Undo => {
                if let Some(known) = self.of(&work.effect) {
                    return known.outcome;
                }
                let gives = met.and_then(|met| met.undo.clone()).unwrap_or(Gives::Output(Value::Null));
                let outcome = self.answer(work, &gives).await;
                self.note(work, &format!("{} (undo)", step.name), &gives, &outcome);
                outcome
            }
            Pass::Do => {
                // Only of a target of which the runbook says so it is known that it does a key once.
                let is_kept = matches!(step.class, Class::Mutates(handling) if handling.repeatable);
                if let Some(known) = self.of(&work.effect).filter(|_| is_kept) {
                    return known.outcome;
                }
                let Some(gives) = met.and_then(|met| self.next(step, met)) else {
                    let hint = format!("say under `world` what it meets: `{}: {{ … }}`", step.name);
                    self.seen().missing.push((format!("the test does not say what `{}` meets", step.name), hint));
                    return Outcome::Refused(format!("the test does not say what `{}` meets", step.name));
                };
                let outcome = self.answer(work, &gives).await;
                if work.changes {
                    self.note(work, &step.name, &gives, &outcome);
                }
                outcome
            }
        }
    }

    /// The next answer of a step; the last one again and again.
    fn next(&self, step: &Step, met: &Met) -> Option<Gives> {
        let mut seen = self.seen();
        let asked = seen.asked.entry(step.path.clone()).or_default();
        let gives = met.answers.get(*asked).or_else(|| met.answers.last()).cloned();
        *asked += 1;
        gives
    }

    fn note(&self, work: &Work, name: &str, gives: &Gives, outcome: &Outcome) {
        let outcome = match (gives, outcome) {
            (Gives::Unknown { happened: Some(output), .. }, _) => Outcome::Done(output.clone()),
            (_, Outcome::Done(_) | Outcome::Unsuccessful { .. }) => outcome.clone(),
            _ => return,
        };
        let name = named(name, &work.key.path);
        self.seen().done.push((work.effect.clone(), Effect { name, outcome }));
    }

    /// Whether what is looked for was done.
    async fn look(&self, work: &Work, step: &Step, met: Option<&Met>) -> Outcome {
        let is_done = self.of(&work.effect).is_some();
        if let Some((found, absent)) = met.and_then(|met| met.sights.as_ref()) {
            return self.answer(work, if is_done { found } else { absent }).await;
        }
        let hint = "say beside its answer, with `found` and `absent`, what its probe sees";
        let what = format!("the test does not say what the probe of `{}` sees", step.name);
        self.seen().missing.push((what.clone(), hint.to_owned()));
        Outcome::Refused(what)
    }

    async fn answer(&self, work: &Work, gives: &Gives) -> Outcome {
        let gives = match rendered(gives, work) {
            Ok(gives) => gives,
            Err(why) => return Outcome::Refused(why),
        };
        match gives {
            Gives::Output(output) => Outcome::Done(output),
            Gives::Fails(why) => Outcome::Failed { why, may_have_changed: false },
            Gives::Refused(why) => Outcome::Refused(why),
            Gives::Unknown { why, .. } => Outcome::Unknown(why),
            gives @ (Gives::Http { .. } | Gives::Program { .. } | Gives::Measured { .. }) => {
                actions::act(&self.ports(gives, work), work).await
            }
        }
    }

    fn ports(&self, gives: Gives, work: &Work) -> Ports {
        let traffic = work.with.pointer("/traffic/query").and_then(Value::as_str).map(str::to_owned);
        let script = Arc::new(Script { gives, traffic, now: self.clock.now() });
        Ports {
            http: Arc::clone(&script) as Arc<dyn Http>,
            programs: Arc::clone(&script) as Arc<dyn Programs>,
            metrics: script,
            secrets: Arc::new(AnySecret),
            clusters: BTreeMap::new(),
            code_host: None,
            clock: Arc::clone(&self.clock),
            is_halt_file_there: Arc::new(|| false),
        }
    }
}

/// The answer with the values of the step that gets it.
fn rendered(gives: &Gives, work: &Work) -> Result<Gives, String> {
    let render = |value: &Value| template::render(value, &work.scope).map_err(|error| error.to_string());
    Ok(match gives {
        Gives::Output(output) => Gives::Output(render(output)?),
        Gives::Http { status, headers, body } => {
            Gives::Http { status: *status, headers: headers.clone(), body: render(body)? }
        }
        Gives::Program { exit, stdout } => Gives::Program { exit: *exit, stdout: render(stdout)? },
        other @ (Gives::Measured { .. } | Gives::Fails(_) | Gives::Refused(_) | Gives::Unknown { .. }) => other.clone(),
    })
}

/// One answer, whatever is asked.
struct Script {
    gives: Gives,
    /// The query that asks for the traffic.
    traffic: Option<String>,
    now: Time,
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[async_trait]
impl Http for Script {
    async fn send(&self, _: HttpRequest) -> HttpOutcome {
        let Gives::Http { status, headers, body } = &self.gives else {
            return HttpOutcome::NotSent(format!("{:?} is no answer to a request", self.gives));
        };
        let (status, headers, body) = (*status, headers.clone(), written(body).into_bytes());
        HttpOutcome::Answered(HttpAnswer { status, headers, body, is_cut: false })
    }
}

#[async_trait]
impl Programs for Script {
    async fn run(&self, _: Program) -> ProgramOutcome {
        let Gives::Program { exit, stdout } = &self.gives else {
            return ProgramOutcome::NotStarted(format!("{:?} is no end of a program", self.gives));
        };
        ProgramOutcome::Exited { code: *exit, stdout: written(stdout), stderr: String::new() }
    }

    async fn end(&self, _: &str) {}
}

#[async_trait]
impl Metrics for Script {
    async fn query(&self, _: Option<&str>, query: &str, _: Duration) -> Result<Vec<Sample>, String> {
        let Gives::Measured { value, traffic } = &self.gives else {
            return Err(format!("{:?} is no measure", self.gives));
        };
        let value = if self.traffic.as_deref() == Some(query) { traffic } else { value };
        let sample = |value: &f64| Sample { labels: BTreeMap::new(), value: *value, at: self.now };
        Ok(value.iter().map(sample).collect())
    }
}

/// Secrets that are all there, and none of whose values matter.
struct AnySecret;

impl Secrets for AnySecret {
    fn find(&self, name: &str) -> Result<SecretString, String> {
        Ok(SecretString::from(format!("the-secret-{name}")))
    }

    fn known(&self) -> Vec<SecretString> {
        Vec::new()
    }
}
