//! The values that templates and conditions see.
//!
//! Inputs and outputs stand at the top level beside the roots that every runbook knows, so no input and no output may
//! bear the name of a root.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What every runbook can read, with what it is. No input or output may have one of these names.
pub const ROOTS: [(&str, &str); 7] = [
    (
        "alert",
        "the alert that started the run: `alert.name`, `alert.labels.X`, `alert.annotations.X`, `alert.starts_at`",
    ),
    ("incident", "`incident.id`, `incident.title`, `incident.severity`, `incident.peak_severity`, `incident.phase`"),
    ("run", "`run.id`, `run.runbook`, `run.started_at`, `run.requested_by`"),
    ("target", "`target.service`, `target.environment`"),
    ("mode", "`observe`, `ask` or `auto`, as it holds for this run"),
    ("now", "the moment, for `timestamp(now)`"),
    ("step", "`step.name`, `step.path` and `step.key`, the idempotency key of the effect that is made or looked for"),
];

/// Names that only stand in some places: a step's own result, and what `extract` reads from.
pub const PLACES: [&str; 5] = ["output", "response", "exit", "stdout", "json"];

/// The values that templates and conditions see: a JSON object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(Map<String, Value>);

impl Scope {
    /// An empty one, in which every name is unknown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value at the top level, replacing what was there.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    /// The same scope with one more value.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// The value at a path such as `live.version` or `hosts.0.name`.
    pub fn at(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        let first = self.0.get(parts.next()?)?;
        parts.try_fold(first, |value, part| match value {
            Value::Object(fields) => fields.get(part),
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }

    /// Everything, as a JSON object.
    pub fn values(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl From<Map<String, Value>> for Scope {
    fn from(values: Map<String, Value>) -> Self {
        Self(values)
    }
}

impl<K: Into<String>, V: Into<Value>> Extend<(K, V)> for Scope {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, values: I) {
        for (name, value) in values {
            self.set(name, value);
        }
    }
}
