//! Tests of a runbook, as people write them: what sets it off, what the world answers, and what shall come of it.

mod answers;
mod read;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

pub use self::read::read;
use crate::domain::{
    catalog::Catalog,
    diagnostic::Place,
    runbooks::plan::Mode,
    runs::{Reason, RunState},
    time::Time,
};

/// One test.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// What it shows.
    pub name: String,
    /// Where it stands in its file.
    pub place: Option<Place>,
    /// When it begins.
    pub at: Time,
    /// What sets the runbook off.
    pub started_by: StartedBy,
    /// How far it goes by itself, if not as the runbook says.
    pub mode: Option<Mode>,
    /// What the steps meet, by their names.
    pub world: BTreeMap<String, Met>,
    /// What the ledger knows.
    pub deployments: Vec<Deployed>,
    /// The services that people wrote down.
    pub services: Catalog,
    /// What people say.
    pub people: People,
    /// What shall come of it.
    pub expects: Expects,
}

/// What sets a runbook off.
#[derive(Debug, Clone, PartialEq)]
pub enum StartedBy {
    /// An alert with these labels and texts, which goes on firing.
    Alert {
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// Its texts.
        annotations: BTreeMap<String, String>,
    },
    /// A person with these inputs.
    Person(BTreeMap<String, String>),
}

/// What a step meets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Met {
    /// What it is answered, one after the other; the last answer is given again and again.
    pub answers: Vec<Gives>,
    /// What its probe sees if it happened, and if it did not.
    pub sights: Option<(Gives, Gives)>,
    /// What taking it back is answered.
    pub undo: Option<Gives>,
}

/// What the world answers. Texts may be templates over what the step sees, such as `{{ step.key }}`.
#[derive(Debug, Clone, PartialEq)]
pub enum Gives {
    /// What the step gives, as it is.
    Output(Value),
    /// An answer to a request.
    Http {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: BTreeMap<String, String>,
        /// Its body: text as it is, anything else as JSON.
        body: Value,
    },
    /// The end of a program.
    Program {
        /// Its exit code.
        exit: i32,
        /// What it wrote: text as it is, anything else as JSON.
        stdout: Value,
    },
    /// What is measured, and the traffic; nothing where there is no such series.
    Measured {
        /// The value.
        value: Option<f64>,
        /// The traffic.
        traffic: Option<f64>,
    },
    /// It did not happen.
    Fails(String),
    /// It is refused, and will be.
    Refused(String),
    /// No answer comes.
    Unknown {
        /// Why.
        why: String,
        /// What came of it all the same, if it happened.
        happened: Option<Value>,
    },
}

/// What the ledger knows of a deployment that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    /// The version, as machines name it.
    pub sha: String,
    /// The same, as people do.
    pub version: Option<String>,
    /// How long before the beginning it was made.
    pub ago: Duration,
    /// Whether it brings a migration of data with it; unknown if nobody says.
    pub migration: Option<bool>,
}

/// What people say.
#[derive(Debug, Clone, PartialEq)]
pub struct People {
    /// Whether they agree when they are asked to.
    pub agree: bool,
    /// What they answer to the questions of steps, by the steps' names; else the first choice.
    pub answers: BTreeMap<String, String>,
}

/// What shall come of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Expects {
    /// How the run ends, or stands.
    pub outcome: RunState,
    /// Why, if that is said.
    pub reason: Option<Reason>,
    /// The steps that are done, in the order in which they are done first; not looked at if nothing is said.
    pub steps: Option<Vec<Step>>,
}

/// A step that shall be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name; of one that is done for an item of a list, with the item: `restart it (one)`.
    pub name: String,
    /// What its fields hold, as far as is said.
    pub with: Value,
    /// Where it stands in the file.
    pub place: Option<Place>,
}

/// Whether a value has everything that is wanted of it; what is not said of a group of values may be anything.
pub fn has(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (_, Value::Null) => true,
        (Value::Object(fields), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| fields.get(name).is_some_and(|value| has(value, wanted)))
        }
        (Value::Array(items), Value::Array(wanted)) => {
            items.len() == wanted.len() && items.iter().zip(wanted).all(|(item, wanted)| has(item, wanted))
        }
        (value, wanted) => value == wanted,
    }
}
