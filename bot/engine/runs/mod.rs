//! Runs runbooks, and survives being killed.
//!
//! What is about to happen is committed before it happens. After a restart the journal alone says what to do next; a
//! step whose outcome is unknown is looked for, repeated only if it declares that it may be, or put before people.

pub mod actions;
mod advance;
mod approve;
mod back;
mod cards;
mod case;
mod commands;
pub mod decide;
mod facts;
mod finish;
mod halt;
mod names;
mod render;
mod restored;
mod settle;
mod start;
#[cfg(test)]
mod tests;
mod why;
pub mod work;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

pub use self::start::{Started, Trigger};
use super::{
    chat::Lookup,
    features::Feature,
    ports::{Http, Programs, Secrets},
};
use crate::domain::{
    ids::RunId,
    runbooks::{
        plan::{Mode, Plan},
        scope::Scope,
    },
    runs::StepKey,
};

/// The runbooks in force and how far they may go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The checked runbooks by their names.
    pub runbooks: BTreeMap<String, Arc<Plan>>,
    /// No run goes further by itself than this, whatever its runbook says.
    pub mode: Mode,
}

impl Default for Settings {
    /// No runbooks, and nothing that holds them back.
    fn default() -> Self {
        Self { runbooks: BTreeMap::new(), mode: Mode::Auto }
    }
}

/// What runs need of the world.
pub struct Ports {
    /// Sends requests.
    pub http: Arc<dyn Http>,
    /// Runs programs.
    pub programs: Arc<dyn Programs>,
    /// Finds secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Whether the file is there that halts everything without the store.
    pub is_halt_file_there: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// What the workers of runs ask to be decided.
#[derive(Debug, Clone)]
pub enum Input {
    /// The process has started: whoever drove runs before is gone.
    Orphan,
    /// A worker takes over what nobody drives.
    Claim {
        /// The worker.
        owner: String,
    },
    /// A worker is still there.
    Renew {
        /// The worker.
        owner: String,
    },
    /// A worker has runs that none of its tasks drives any more.
    LetGo {
        /// The worker.
        owner: String,
        /// The runs, each in the epoch in which they were taken over.
        runs: Vec<(RunId, i64)>,
    },
    /// A run goes on.
    Step(Step),
}

/// A run goes on, perhaps with what came of its last effect.
#[derive(Debug, Clone)]
pub struct Step {
    /// The run.
    pub run: RunId,
    /// The epoch in which the worker took it over.
    pub epoch: i64,
    /// The worker.
    pub owner: String,
    /// What came of the effect that the last answer asked for.
    pub outcome: Option<(StepKey, Outcome)>,
    /// Whether the halt file was there a moment ago.
    pub is_halt_file_there: bool,
}

/// What is answered to the workers of runs.
#[derive(Debug)]
pub enum Answer {
    /// These runs were taken over, each in this epoch; or are still driven by the worker.
    Runs(Vec<(RunId, i64)>),
    /// This is to be done, once; none if the run does not go on by this worker.
    Next(Option<Box<Work>>),
    /// Noted.
    Done,
}

/// An effect that was committed as an intent and is to be made once.
#[derive(Debug, Clone)]
pub struct Work {
    /// Its place in the journal.
    pub key: StepKey,
    /// The action.
    pub action: String,
    /// The action's fields, rendered; secrets by their names.
    pub with: Value,
    /// What the action's own expressions see.
    pub scope: Scope,
    /// Whether it changes something outside.
    pub changes: bool,
    /// The longest time it may take.
    pub timeout: Duration,
    /// Its idempotency key.
    pub effect: String,
}

/// What came of an effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It happened.
    Done(Value),
    /// It did not happen, or only in part.
    Failed {
        /// Why.
        why: String,
        /// Whether something may have been changed all the same.
        may_have_changed: bool,
    },
    /// It may have happened: no answer came.
    Unknown(String),
    /// It was not begun: the halt file came after the intent. The run is held.
    Halted,
}

/// The kind of timer that wakes a run.
pub(crate) const TIMER: &str = "run";

/// The feature `runs`.
pub static FEATURE: Feature = Feature {
    name: "runs",
    commands: commands::COMMANDS,
    timers: &[(TIMER, decide::due)],
    cards: &[("run", cards::run), ("approval", cards::approval)],
    names: &[(Lookup::Runbook, names::runbooks), (Lookup::Run, names::runs), (Lookup::Question, names::questions)],
};
