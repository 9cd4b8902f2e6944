//! The guards of a plan: what must hold before a run starts, and again at every mutating intent where it applies.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::duration;

/// What must hold before a run starts, and again at every mutating intent where it applies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Guards {
    /// The alert must still fire.
    pub still_firing: Option<StillFiring>,
    /// How long after its last mutation the runbook leaves this target alone.
    pub cooldown: Option<Cooldown>,
    /// How often it may mutate this target.
    pub max_runs: Option<MaxRuns>,
    /// How many runs may be at work for the same key.
    pub concurrency: Option<Concurrency>,
    /// When runs that fail or do not help are enough.
    pub breaker: Option<Breaker>,
    /// Whether it may mutate a service that is frozen.
    pub allowed_in_freeze: bool,
}

/// How far into a run the alert must still fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StillFiring {
    /// Until the first mutation has begun.
    FirstMutation,
    /// At every mutation.
    End,
}

/// The pause after a run that mutated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cooldown {
    /// The first pause.
    #[serde(rename = "for", with = "duration")]
    pub length: Duration,
    /// What the pause is multiplied by each time the alert comes back.
    pub factor: f64,
    /// The longest pause, at most 24 hours.
    #[serde(with = "duration")]
    pub max: Duration,
}

/// How many runs may mutate one target in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxRuns {
    /// The most runs.
    pub count: u32,
    /// The window, looking back from the moment of the mutation.
    #[serde(with = "duration")]
    pub per: Duration,
}

/// How many runs may be at work for the same key, whatever their runbooks are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// What they are told apart by, a template over the inputs.
    pub key: String,
    /// The most runs.
    pub limit: u32,
    /// What becomes of one more.
    pub when_busy: WhenBusy,
}

/// What becomes of a run for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenBusy {
    /// Its trigger counts for the oldest run that is at work.
    Attach,
    /// It starts by itself when there is room.
    Queue,
    /// It does not start.
    Skip,
}

/// When runs that fail or do not help are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// After how many in a row it opens.
    pub after: u32,
    /// Which runs count.
    pub of: Counted,
    /// How long it stays open; after that people have to agree to the next run.
    #[serde(with = "duration")]
    pub open_for: Duration,
}

/// Which runs a breaker counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Those that failed.
    Failed,
    /// Those, too, that did everything and whose alert was back within an hour.
    FailedOrIneffective,
}
