//! Runs runbooks, and survives being killed.
//!
//! What is about to happen is committed before it happens. After a restart the journal alone says what to do next; a
//! step whose outcome is unknown is looked for, repeated only if it declares that it may be, or put before people.

pub mod actions;
mod advance;
mod approve;
mod back;
mod begin;
mod cards;
mod case;
mod child;
mod commands;
pub mod decide;
mod ends;
mod facts;
mod finish;
pub mod foresee;
mod guard;
mod halt;
mod judge;
mod lanes;
mod names;
pub mod offers;
mod queue;
pub mod rehearse;
mod render;
mod restored;
mod schedules;
mod settle;
#[cfg(test)]
mod simulation;
mod start;
mod steer;
#[cfg(test)]
mod tests;
mod triggers;
mod watch;
mod why;
pub mod work;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

pub use self::start::{Started, Trigger};
use super::{
    chat::Lookup,
    cluster::Cluster,
    features::Feature,
    incidents::acts,
    ports::{Clock, CodeHost, Http, Metrics, Programs, Secrets},
};
use crate::domain::{
    ids::RunId,
    runbooks::{
        plan::{Mode, Plan},
        scope::Scope,
    },
    runs::StepKey,
    time::Time,
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
    /// Measures.
    pub metrics: Arc<dyn Metrics>,
    /// Finds secrets.
    pub secrets: Arc<dyn Secrets>,
    /// The Kubernetes clusters, by their names in the configuration.
    pub clusters: BTreeMap<String, Arc<dyn Cluster>>,
    /// Where code is kept and released, if one is configured.
    pub code_host: Option<Arc<dyn CodeHost>>,
    /// Tells the time that actions may take.
    pub clock: Arc<dyn Clock>,
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
        /// Whether runs that nobody has touched yet begin in the same transaction.
        begins: bool,
        /// Whether the halt file was there a moment ago.
        is_halt_file_there: bool,
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
    /// A worker ends, and drives nothing any more.
    Leave {
        /// The worker.
        owner: String,
    },
    /// A run goes on.
    Step(Step),
    /// A source asks for a run.
    Webhook(Webhook),
}

/// What a source asks for.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The source.
    pub source: String,
    /// The runbook.
    pub runbook: String,
    /// Its inputs.
    pub inputs: BTreeMap<String, String>,
    /// What makes a second delivery the same as a first.
    pub key: Option<String>,
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
    /// If an answer in this epoch may never have come: all effects that the worker has in hand. Nobody began another one.
    pub in_hand: Option<Vec<StepKey>>,
}

/// What is answered to the workers of runs.
#[derive(Debug)]
pub enum Answer {
    /// These runs were taken over.
    Taken(Vec<Taken>),
    /// These runs are still driven by the worker, each in this epoch.
    Driven(Vec<(RunId, i64)>),
    /// How the run goes on; not at all by this worker if there is nothing.
    Next(Option<Going>),
    /// This came of what a source asks for; nothing if there is no such runbook, or the source may not ask for it.
    Started(Option<Started>),
    /// Noted.
    Done,
}

/// A run that was taken over.
#[derive(Debug)]
pub struct Taken {
    /// The run.
    pub run: RunId,
    /// The epoch in which it is driven.
    pub epoch: i64,
    /// How it goes on, if it has begun already: nothing if it rests by now.
    pub begun: Option<Option<Going>>,
}

/// How a run goes on.
#[derive(Debug, Clone, Default)]
pub struct Going {
    /// Effects to be made at once, each once, beside those that are in flight.
    pub works: Vec<Work>,
    /// When to look at the run again although nothing in flight has ended.
    pub again_at: Option<Time>,
    /// Whether to look at it again when people may have answered.
    pub listens: bool,
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
    /// The run.
    pub run: RunId,
    /// The epoch in which the worker took the run over.
    pub epoch: i64,
    /// The identity of the store that keeps the run.
    pub store: String,
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
    /// It was made, and came to no good end: why, and what there is of it.
    Unsuccessful {
        /// Why.
        why: String,
        /// What was made.
        made: Value,
    },
    /// It was refused, or can never be done like this: it did not happen, and by itself nothing tries it again.
    Refused(String),
    /// It would have gone further than the step's own bounds: it did not happen.
    OutOfBounds(String),
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
    timers: &[
        (TIMER, decide::due),
        (triggers::DELAYED, triggers::delayed),
        (schedules::SCHEDULED, schedules::due),
        (acts::MOVED, triggers::moved),
        (watch::TIMER, watch::due),
    ],
    cards: &[("run", cards::run), ("approval", cards::approval)],
    names: &[(Lookup::Runbook, names::runbooks), (Lookup::Run, names::runs), (Lookup::Question, names::questions)],
};
