//! A run: one execution of a runbook against one target.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::{
    ids::{AlertKey, IncidentId, RunId},
    people::{Actor, PersonId},
    runbooks::{
        plan::{Mode, Plan, Target},
        scope::Scope,
    },
    runs::{
        journal::{Pass, StepKey},
        reason::Reason,
    },
    time::Time,
};

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $words:literal;)*) => {
        /// Where a run stands.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum RunState {
            $($(#[$doc])* $name,)*
        }

        impl RunState {
            /// Every state there is.
            pub const ALL: &[RunState] = &[$(RunState::$name),*];

            /// The word that is stored.
            pub fn word(self) -> &'static str {
                match self {
                    $(RunState::$name => $word,)*
                }
            }

            /// The words that people read.
            pub fn words(self) -> &'static str {
                match self {
                    $(RunState::$name => $words,)*
                }
            }
        }
    };
}

states! {
    /// A worker drives it, or will at once.
    Running = "running", "running";
    /// It starts by itself when those before it have ended.
    Queued = "queued", "queued";
    /// It goes on by itself at `wake_at`.
    Waiting = "waiting", "waiting";
    /// People are asked before it goes on.
    Approval = "approval", "waiting for people";
    /// It stopped in the middle; the target stays locked until somebody decides.
    Held = "held", "held";
    /// It is unknown whether a step happened; somebody has to say.
    InDoubt = "in_doubt", "in doubt";
    /// A step could not be undone; somebody has to look.
    Stuck = "stuck", "stuck";
    /// Somebody paused it; the target stays locked until somebody lets it go on.
    Paused = "paused", "paused";
    /// Every step is done.
    Done = "done", "done";
    /// It ended before anything was changed, or was given up in doubt.
    Failed = "failed", "failed";
    /// Somebody ended it before anything was changed.
    Cancelled = "cancelled", "cancelled";
    /// A guard refused it before anything was changed.
    Refused = "refused", "refused";
    /// It told what it would have done.
    Observed = "observed", "observed";
    /// What it had done is taken back.
    Undone = "undone", "undone";
    /// Somebody let go of it in the middle; what was done stays.
    Released = "released", "released";
}

impl RunState {
    /// Whether nothing follows any more.
    pub fn is_over(self) -> bool {
        match self {
            RunState::Running
            | RunState::Queued
            | RunState::Waiting
            | RunState::Approval
            | RunState::Held
            | RunState::InDoubt
            | RunState::Stuck
            | RunState::Paused => false,
            RunState::Done
            | RunState::Failed
            | RunState::Cancelled
            | RunState::Refused
            | RunState::Observed
            | RunState::Undone
            | RunState::Released => true,
        }
    }

    /// Whether it stands still until somebody decides.
    pub fn needs_people(self) -> bool {
        matches!(self, RunState::Held | RunState::InDoubt | RunState::Stuck | RunState::Paused)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::str::FromStr for RunState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = RunState::ALL.iter().copied().find(|state| state.word() == word);
        found.ok_or_else(|| format!("`{word}` is not the state of a run"))
    }
}

/// The alert that started a run, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Its identity.
    pub key: AlertKey,
    /// How often it had begun to fire; with the key, it names one fault.
    pub episode: u32,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its texts.
    pub annotations: BTreeMap<String, String>,
    /// When it began, by its source's clock.
    pub starts_at: Option<Time>,
}

impl Cause {
    /// The fault that it names: the same text for every trigger by the same fault.
    pub fn fault(&self) -> String {
        format!("{}#{}", self.key, self.episode)
    }
}

/// Why a run stands still, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    pub reason: Reason,
    /// Path of the step at which it stands, if it is at one.
    pub path: Option<String>,
    /// What is known beyond the reason, for people.
    pub detail: String,
}

/// What a run failed of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why it could not go on, and where.
    pub hold: Hold,
    /// Whether something was changed by then.
    pub after_mutation: bool,
    /// Whether what follows a failure has been done.
    pub is_handled: bool,
}

/// How a run ends once its last steps are done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// As what.
    pub state: RunState,
    /// Why.
    pub reason: Reason,
    /// What is known beyond the reason, for people.
    pub detail: String,
}

/// The attempt of another run that started a run and waits for its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The other run.
    pub run: RunId,
    /// Its attempt.
    pub step: StepKey,
}

/// Which steps of a run are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Those that it is for.
    Ahead,
    /// Those that take back what it did.
    Back,
    /// Those that follow a failure.
    Failing,
    /// Those that follow every end.
    Ending,
}

/// One execution of a runbook.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// What it follows, as it was when it started.
    pub plan: Arc<Plan>,
    /// What it mutates.
    pub target: Target,
    /// The incident it works on.
    pub incident: Option<IncidentId>,
    /// The alert that started it, if one did.
    pub cause: Option<Cause>,
    /// What makes it this run and no other.
    pub trigger_key: String,
    /// Who or what started it.
    pub requested_by: Actor,
    /// How far it goes by itself.
    pub mode: Mode,
    /// Where it stands.
    pub state: RunState,
    /// Whether it goes forward or takes back what it did.
    pub pass: Pass,
    /// The values of its inputs.
    pub inputs: BTreeMap<String, Value>,
    /// What it shares with other runs of which only so many may be at work.
    pub concurrency: Option<String>,
    /// Why it stands still, or cannot go on yet, while that is so.
    pub hold: Option<Hold>,
    /// Why it ended, once it has.
    pub reason: Option<Reason>,
    /// Grows with every question that it puts to people, so that an old button is known.
    pub revision: i64,
    /// Grows each time a worker takes it over.
    pub epoch: i64,
    /// The worker that drives it.
    pub owner: Option<String>,
    /// Until when that worker may drive it without renewing.
    pub lease_until: Option<Time>,
    /// Whether the worker before may still have been at work when this one took over.
    pub may_overlap: bool,
    /// When it goes on, or when a question expires.
    pub wake_at: Option<Time>,
    /// Who wants it to stop after the step that is in flight.
    pub cancelled_by: Option<PersonId>,
    /// Who wants it to pause after the step that is in flight.
    pub paused_by: Option<PersonId>,
    /// When it fails if it has not come to its end.
    pub deadline: Option<Time>,
    /// What it failed of last, if something follows that.
    pub failure: Option<Failure>,
    /// How it ends, once its last steps are done.
    pub ending: Option<Ending>,
    /// What started it and waits for it.
    pub parent: Option<Parent>,
    /// The first of the runs that started each other; in its name targets are locked.
    pub root: Option<RunId>,
    /// Whether people have to agree. Once true it stays so.
    pub needs_approval: bool,
    /// When it was about to change something first.
    pub mutated_at: Option<Time>,
    /// When it was started.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

impl Run {
    /// The person who started it; their agreement never counts.
    pub fn requester(&self) -> Option<&PersonId> {
        self.requested_by.person()
    }

    /// Which of its steps are worked on.
    pub fn stage(&self) -> Stage {
        if self.ending.is_some() {
            Stage::Ending
        } else if self.failure.as_ref().is_some_and(|failure| !failure.is_handled) {
            Stage::Failing
        } else if self.pass == Pass::Undo {
            Stage::Back
        } else {
            Stage::Ahead
        }
    }

    /// The run in whose name targets are locked.
    pub fn holder(&self) -> RunId {
        self.root.unwrap_or(self.id)
    }

    /// What templates and conditions see of the run itself: inputs, `run`, `target`, `mode`, `alert`, `now`.
    pub fn scope(&self, now: Time) -> Scope {
        let mut scope = Scope::new();
        scope.extend(self.inputs.clone());
        scope.set(
            "run",
            json!({
                "id": self.id, "runbook": self.plan.name, "started_at": self.started_at,
                "requested_by": self.requested_by.to_string(),
            }),
        );
        scope.set("target", json!({ "service": self.target.service, "environment": self.target.environment }));
        scope.set("mode", self.mode.word());
        scope.set("now", now.to_string());
        if let Some(failure) = &self.failure {
            let hold = &failure.hold;
            scope.set("failure", json!({ "reason": hold.reason, "step": hold.path, "detail": hold.detail }));
        }
        if let Some(ending) = &self.ending {
            let (state, reason) = (ending.state.word(), ending.reason);
            scope.set("ending", json!({ "state": state, "reason": reason, "detail": ending.detail }));
        }
        if let Some(cause) = &self.cause {
            let summary = cause.annotations.get("summary").unwrap_or(&cause.name);
            scope.set(
                "alert",
                json!({
                    "key": cause.key, "summary": summary, "name": cause.name, "labels": cause.labels, "annotations": cause.annotations,
                    "starts_at": cause.starts_at,
                }),
            );
        }
        scope
    }
}
