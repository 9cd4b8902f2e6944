//! The values that templates and conditions see.
//!
//! Inputs and outputs stand at the top level beside the roots that every runbook knows, so no input and no output may
//! bear the name of a root.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A name that every runbook can read.
#[derive(Debug, Clone, Copy)]
pub struct Root {
    /// The name at the top level.
    pub name: &'static str,
    /// What it holds; empty if it is a plain value.
    pub fields: &'static [&'static str],
    /// What it is, in a sentence without a period.
    pub help: &'static str,
}

/// What every runbook can read. No input or output may have one of these names.
pub const ROOTS: [Root; 9] = [
    Root {
        name: "alert",
        fields: &["name", "labels", "annotations", "starts_at", "summary", "key", "state", "firing"],
        help: "The alert that started the run, if one did; `state` and `firing` as they are at the moment",
    },
    Root {
        name: "incident",
        fields: &["id", "title", "severity", "peak_severity", "phase", "service", "environment"],
        help: "The incident that the run belongs to, if it belongs to one",
    },
    Root { name: "run", fields: &["id", "runbook", "started_at", "requested_by"], help: "The run" },
    Root { name: "target", fields: &["service", "environment"], help: "What the run mutates" },
    Root {
        name: "catalog",
        fields: &["description", "owner", "repository", "workload", "namespace", "cluster", "checks", "dependencies"],
        help: "The entry of `services.yaml` of the service that the run mutates, as it runs in that environment",
    },
    Root {
        name: "services",
        fields: &[],
        help: "Every service of `services.yaml` by its name, as in `services['checkout'].repository`",
    },
    Root { name: "mode", fields: &[], help: "`observe`, `ask` or `auto`, as it holds for this run" },
    Root { name: "now", fields: &[], help: "The moment, for `timestamp(now)`" },
    Root {
        name: "step",
        fields: &["name", "path", "key"],
        help: "The step; `key` is the idempotency key of the effect that is made or looked for",
    },
];

/// Names that only stand in some places: a step's own result, what `extract` reads from, what a verification measures, and
/// what a run failed of or how it ends, for the steps that follow that.
pub const PLACES: [&str; 8] = ["output", "response", "exit", "stdout", "json", "value", "failure", "ending"];

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
