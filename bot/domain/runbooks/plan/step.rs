//! A step of a plan: what it does, and what is to be done when nobody knows whether it happened.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::duration;

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its key in the journal: `1`, `2`, … in the order of the file.
    pub path: String,
    /// What people read.
    pub name: String,
    /// What it does; a name of [`actions::ALL`](crate::domain::runbooks::actions::ALL).
    pub action: String,
    /// The action's fields: a tree whose texts may be templates.
    pub with: Value,
    /// What it does to the world, and what may be done when its outcome is unknown.
    pub class: Class,
    /// A condition; if it does not hold the step is skipped.
    pub when: Option<String>,
    /// The step is repeated until this holds. Only reading steps have one.
    pub until: Option<Until>,
    /// How long one attempt may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// What happens after an attempt that failed for certain; without it the first failure counts.
    pub retry: Option<Retry>,
    /// How to take it back.
    pub undo: Option<Call>,
    /// How to find out whether it happened.
    pub probe: Option<Probe>,
    /// How much it touches, for budgets: expressions that give `pods` and `percent`.
    pub touches: std::collections::BTreeMap<String, String>,
    /// The milestone that its success sets.
    pub marks: Option<Mark>,
    /// The name under which later steps read its output.
    pub output: Option<String>,
    /// The steps within it, if it is there to hold some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

/// Steps within a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Branches that go on side by side; what follows waits for all of them.
    Parallel(Vec<Branch>),
    /// The same steps for each item of a list.
    ForEach(ForEach),
}

/// One branch of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// Its name, which is part of the paths of its steps.
    pub name: String,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

/// The same steps for each item of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForEach {
    /// The expression that gives the list; it is looked at once, when the step begins.
    pub items: String,
    /// The name under which the steps read their item.
    pub name: String,
    /// How many items are worked on at the same time.
    pub concurrency: u32,
    /// What is done for each item, in order.
    pub steps: Vec<Step>,
}

impl Step {
    /// The same step at this place of the journal: one of several lanes that it is done in.
    #[must_use]
    pub fn placed(&self, path: &str) -> Step {
        Step { path: path.to_owned(), ..self.clone() }
    }

    /// The steps directly within it, of all its lanes.
    pub fn within(&self) -> Vec<&Step> {
        match &self.group {
            None => Vec::new(),
            Some(Group::Parallel(branches)) => branches.iter().flat_map(|branch| &branch.steps).collect(),
            Some(Group::ForEach(each)) => each.steps.iter().collect(),
        }
    }

    /// Whether it, or a step within it, changes something outside.
    pub fn changes(&self) -> bool {
        !self.reads() || self.within().into_iter().any(Step::changes)
    }

    /// Whether the step changes nothing outside.
    pub fn reads(&self) -> bool {
        matches!(self.class, Class::Reads)
    }
}

/// What a step does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Changes nothing; may be repeated at will.
    Reads,
    /// Changes something. At least one of these is true.
    Mutates(Handling),
}

/// What may be done about a mutation whose outcome is unknown or unwanted.
#[expect(clippy::struct_excessive_bools, reason = "four independent declarations of the file")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handling {
    /// `repeat: safe`: it may be sent again with the same idempotency key.
    pub repeatable: bool,
    /// It has a `probe`.
    pub probed: bool,
    /// It has an `undo`.
    pub undoable: bool,
    /// `irreversible: true`: nothing takes it back.
    pub irreversible: bool,
}

/// The repetition of a reading step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Until {
    /// The condition; the step's own output stands under `output` and under its name.
    pub holds: String,
    /// The pause between two looks.
    #[serde(with = "duration")]
    pub every: Duration,
    /// When the step fails if it never held, counted from its first look.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Whether it does not fail then by itself: what was measured decides, and people do if nothing could be.
    pub asks: bool,
}

/// How failed attempts are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// The pause before the second attempt.
    #[serde(with = "duration")]
    pub first: Duration,
    /// What each pause is multiplied by.
    pub factor: f64,
    /// The longest pause.
    #[serde(with = "duration")]
    pub max: Duration,
    /// The share of each pause that is drawn at random, from 0 to 1.
    pub jitter: f64,
}

impl Retry {
    /// The pause after this many failed attempts, or none if there is no further one.
    ///
    /// `drawn` is a random number from 0 to 1: with it, at most the share `jitter` of the pause is taken off.
    pub fn pause(&self, failed: u32, drawn: f64) -> Option<Duration> {
        if failed == 0 || failed >= self.attempts {
            return None;
        }
        let exponent = i32::try_from(failed - 1).unwrap_or(i32::MAX);
        let seconds = (self.first.as_secs_f64() * self.factor.powi(exponent)).min(self.max.as_secs_f64());
        let kept = 1.0 - self.jitter * drawn.clamp(0.0, 1.0);
        Some(Duration::try_from_secs_f64(seconds * kept).unwrap_or(self.max))
    }
}

/// An action with its fields, beside the step's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// A name of [`actions::ALL`](crate::domain::runbooks::actions::ALL).
    pub action: String,
    /// The action's fields: a tree whose texts may be templates.
    pub with: Value,
}

/// How to find out whether a mutation happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The reading action that looks.
    #[serde(flatten)]
    pub call: Call,
    /// How long after a look that did not find it the second and last look is.
    #[serde(with = "duration")]
    pub settle: Duration,
    /// The condition over `output`, the look's own output, that says it happened.
    pub found: String,
    /// The condition over `output` that says it happened and did not succeed; without one, what happened succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Conditions over `output` that give the step's output if it happened; none leaves it empty.
    pub output: std::collections::BTreeMap<String, String>,
}

/// A milestone that a step may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Impact stopped.
    Mitigated,
}
