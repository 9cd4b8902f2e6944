//! A runbook as it is stored with a run: checked, complete, and independent of the file it came from.
//!
//! A run reads only its plan, so an edited file never changes a run in flight. Everything is resolved that can be
//! without values; templates and conditions are kept as text and were compiled once by the check.

mod guards;
mod step;
mod tree;
mod trigger;
mod uses;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::{
    duration,
    runbooks::{
        actions::{self, Kind},
        scope::Scope,
        template,
    },
};

pub use guards::{Breaker, Concurrency, Cooldown, Counted, Guards, MaxRuns, StillFiring, WhenBusy};
pub use step::{Branch, Call, Class, ForEach, Group, Handling, Mark, Probe, Retry, Step, Until};
pub use tree::{is_main, lanes_of, named, template_of};
pub use trigger::{After, OnCommand, OnIncident, OnRun, Operation, RunEnd, Trigger};

/// A checked runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name, as in `/runbook run`.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// The team that answers for it.
    pub owner: Option<String>,
    /// How far it goes by itself.
    pub mode: Mode,
    /// What starts it.
    pub trigger: Trigger,
    /// What it needs to know, in the order of the file.
    pub inputs: Vec<Input>,
    /// What it mutates; both are templates over the inputs.
    pub target: TargetTemplate,
    /// What must hold before it starts and before each mutation.
    pub guards: Guards,
    /// Who must agree, before which step.
    pub approval: Option<Approval>,
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// How long a run may take; then it fails.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::option")]
    pub timeout: Option<Duration>,
    /// What follows a failure.
    #[serde(default, skip_serializing_if = "OnFailure::is_nothing")]
    pub on_failure: OnFailure,
    /// What follows every end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<Step>,
    /// When what was done is taken back after a failure.
    #[serde(default, skip_serializing_if = "WhenUndone::is_asked")]
    pub undo: WhenUndone,
    /// Expressions that give what a run of it hands back to the run that started it.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub outputs: std::collections::BTreeMap<String, String>,
}

/// What follows a failure, once in a run. A step of it that fails does not keep the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OnFailure {
    /// If nothing was changed yet; then the run ends.
    pub before_mutation: Vec<Step>,
    /// If something was changed; then the run is held, or undone.
    pub after_mutation: Vec<Step>,
}

impl OnFailure {
    fn is_nothing(&self) -> bool {
        self.before_mutation.is_empty() && self.after_mutation.is_empty()
    }
}

/// When what a run did is taken back after a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUndone {
    /// When somebody wants it.
    #[default]
    Asked,
    /// By itself.
    Auto,
}

impl WhenUndone {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_asked(&self) -> bool {
        *self == WhenUndone::Asked
    }
}

/// How far a runbook goes by itself. The order is by freedom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Journals what it would have done; no mutating step runs.
    Observe,
    /// Asks people before its approval's step.
    Ask,
    /// Acts, and asks only where its approval's condition holds.
    Auto,
}

impl Mode {
    /// The word of the file: `observe`, `ask` or `auto`.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Ask => "ask",
            Mode::Auto => "auto",
        }
    }
}

/// One thing that a runbook needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its name, which templates and conditions use.
    pub name: String,
    /// What may be given.
    pub kind: InputKind,
    /// What it means.
    pub description: Option<String>,
    /// Where the value comes from if nobody gives one.
    pub source: InputSource,
}

/// What may be given for an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Text in one line.
    Text {
        /// The most characters.
        max: usize,
    },
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// The name of a service of the catalog; whether it is one is the caller's to check.
    Service,
    /// One of these texts.
    Choice {
        /// What may be chosen.
        choices: Vec<String>,
    },
    /// A length of time such as `15m`.
    Duration {
        /// The least.
        #[serde(with = "duration")]
        min: Duration,
        /// The most.
        #[serde(with = "duration")]
        max: Duration,
    },
    /// `true` or `false`.
    Boolean,
}

/// Where an input's value comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSource {
    /// Always this; nobody and no label can change it.
    Const(Value),
    /// A person, else this label of the alert, else the default, else the input is missing.
    Given {
        /// The alert label that it may be read from.
        label: Option<String>,
        /// The value if nobody and no label gives one.
        default: Option<Value>,
    },
}

/// What a run mutates, before its inputs are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetTemplate {
    /// The service, a template over the inputs.
    pub service: String,
    /// The environment, a template over the inputs.
    pub environment: String,
}

/// What a run mutates; the lock that keeps others away bears this name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// A service of the catalog.
    pub service: String,
    /// An environment, such as `production`.
    pub environment: String,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.service, self.environment)
    }
}

/// The agreement that a run waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Path of the step that waits; the reading steps above it have run by then.
    pub before: String,
    /// A condition that says whether to ask; without one, mode `ask` asks and mode `auto` does not.
    pub when: Option<String>,
    /// Who may agree; never empty.
    pub by: Vec<Approver>,
    /// How many different people must agree; the one who started the run does not count.
    pub count: u32,
    /// Paths such as `live.version` whose values the agreement is for; a change of one voids it.
    pub binds: Vec<String>,
    /// How long the question stands.
    #[serde(with = "duration")]
    pub expires: Duration,
    /// A condition under which the question is withdrawn while it stands, and the run goes no further.
    pub abort_when: Option<String>,
}

/// Who may answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approver {
    /// Anybody with this role of the configuration: `role:on-call`.
    Role(String),
    /// One person of the configuration: `person:ana`.
    Person(String),
}

impl std::fmt::Display for Approver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Approver::Role(name) => write!(f, "role:{name}"),
            Approver::Person(name) => write!(f, "person:{name}"),
        }
    }
}

impl Plan {
    /// SHA-256 of the plan as canonical JSON, in hexadecimal.
    pub fn hash(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        hex::encode(Sha256::digest(canonical(&value).as_bytes()))
    }

    /// What the run mutates, with the inputs of this scope.
    pub fn target(&self, scope: &Scope) -> Result<Target, template::RenderError> {
        let service = template::render_text(&self.target.service, scope)?;
        let environment = template::render_text(&self.target.environment, scope)?;
        for (what, value) in [("service", &service), ("environment", &environment)] {
            if value.is_empty() || value.chars().count() > 100 || value.chars().any(char::is_control) {
                let shown: String = value.chars().take(40).collect();
                return Err(template::RenderError::new(format!("`{shown}` cannot be the target's {what}")));
            }
        }
        Ok(Target { service, environment })
    }

    /// The first step that mutates, if any does.
    pub fn first_mutation(&self) -> Option<&Step> {
        self.all_steps().into_iter().find(|step| !step.reads())
    }

    /// The names of the secrets that its steps, undos and probes refer to, sorted.
    pub fn secrets(&self) -> Vec<String> {
        let mut names = Vec::new();
        for step in self.every_step() {
            let others = step.undo.iter().chain(step.probe.as_ref().map(|probe| &probe.call));
            let calls = others.map(|call| (call.action.as_str(), &call.with));
            for (action, with) in std::iter::once((step.action.as_str(), &step.with)).chain(calls) {
                for part in naming(action, with) {
                    secrets_in(part, &mut names);
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }
}

/// The name of the secret, if this value is a reference to one: `{secret: deploy_token}`.
pub fn secret(value: &Value) -> Option<&str> {
    let fields = value.as_object()?;
    if fields.len() == 1 { fields.get("secret")?.as_str() } else { None }
}

/// The secret that a value from outside would bring into these fields; none if the runbook itself names every one.
///
/// `with` are the fields of the action as the runbook has them, `rendered` the same with values in the place of templates.
pub fn foreign_secret<'v>(action: &str, with: &Value, rendered: &'v Value) -> Option<&'v str> {
    naming(action, with).into_iter().zip(naming(action, rendered)).find_map(|(own, value)| foreign(own, value))
}

fn foreign<'v>(own: &Value, value: &'v Value) -> Option<&'v str> {
    if let Some(name) = secret(value) {
        return (secret(own) != Some(name)).then_some(name);
    }
    match (own, value) {
        (Value::Array(own), Value::Array(values)) if own.len() == values.len() => {
            own.iter().zip(values).find_map(|(own, value)| foreign(own, value))
        }
        (_, Value::Array(values)) => values.iter().find_map(|value| foreign(&Value::Null, value)),
        (_, Value::Object(fields)) => {
            fields.iter().find_map(|(name, value)| foreign(own.get(name).unwrap_or(&Value::Null), value))
        }
        (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => None,
    }
}

/// The parts of an action's fields in which a secret can be named.
fn naming<'v>(action: &str, with: &'v Value) -> Vec<&'v Value> {
    let fields = actions::named(action).map_or(&[][..], |spec| spec.fields);
    let mut parts = Vec::new();
    for field in fields {
        match (field.kind, with.get(field.name)) {
            (Kind::Values, Some(Value::Object(values))) => parts.extend(values.values()),
            (Kind::Data, Some(value)) => parts.push(value),
            _ => {}
        }
    }
    parts
}

fn secrets_in(value: &Value, names: &mut Vec<String>) {
    if let Some(name) = secret(value) {
        names.push(name.to_owned());
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| secrets_in(item, names)),
        Value::Object(fields) => fields.values().for_each(|field| secrets_in(field, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// JSON with the keys of every object in order, so that equal values have equal text.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(fields) => {
            let sorted: std::collections::BTreeMap<&String, &Value> = fields.iter().collect();
            let fields: Vec<String> = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// The identity of a run: the same runbook, target and cause give the same key, so that a second trigger attaches to
/// the first run instead of starting another.
///
/// `cause` is the episode of the alert, or the identity of the request of the person who asked.
pub fn trigger_key(runbook: &str, target: &Target, cause: &str) -> String {
    let parts = Value::from(vec![runbook, &target.service, &target.environment, cause]);
    hex::encode(Sha256::digest(parts.to_string().as_bytes()))
}
