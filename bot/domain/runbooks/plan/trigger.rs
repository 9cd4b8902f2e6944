//! What starts a runbook, beside what must hold for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{
    alerts::{labels::Labels, matchers::Matcher},
    duration,
    incidents::Phase,
    runbooks::schedule::Schedule,
    severity::Severity,
};

/// What starts a runbook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Matchers, all of which an alert's labels must satisfy, in Alertmanager's syntax; none if alerts do not start it.
    pub alert: Option<Vec<String>>,
    /// Whether people may start it from chat.
    pub chat: bool,
    /// By which command of its own, beside `/runbook run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<OnCommand>,
    /// How often an alert must fire before it starts the runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// How long an alert must go on firing before it starts the runbook.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::option")]
    pub delay: Option<Duration>,
    /// What an incident must reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<OnIncident>,
    /// When the clock starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Whether a source that names the runbook may start it by a request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub webhook: bool,
    /// The end of which other run starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<OnRun>,
}

/// A command of the chat that starts a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnCommand {
    /// Which.
    pub operation: Operation,
    /// A condition over its inputs, `target` and `catalog` that says for which services; for those that no other runbook
    /// is for, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// What people want done to a service, whichever runbook does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// An earlier version is to be live.
    Rollback,
    /// Another number of replicas is to serve.
    Scale,
    /// Every replica is to be replaced.
    Restart,
}

impl Operation {
    /// Each, in the order of the help.
    pub const ALL: [Self; 3] = [Self::Rollback, Self::Scale, Self::Restart];

    /// The word of the file, which is the command's too.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Scale => "scale",
            Self::Restart => "restart",
        }
    }

    /// The inputs that the command gives to a runbook that has them.
    pub fn gives(self) -> &'static [&'static str] {
        match self {
            Self::Rollback => &["service", "environment", "to"],
            Self::Scale => &["service", "environment", "replicas"],
            Self::Restart => &["service", "environment"],
        }
    }
}

/// How often an alert must fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// How often, this time included.
    pub count: u32,
    /// In how long.
    #[serde(with = "duration")]
    pub within: Duration,
}

/// What an incident must reach; all that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnIncident {
    /// At least this severity.
    pub severity: Option<Severity>,
    /// This phase.
    pub phase: Option<Phase>,
}

/// The end of which other run starts a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnRun {
    /// The other runbook.
    pub runbook: String,
    /// How its run must have ended.
    pub ended: RunEnd,
}

/// How a run must have ended to start another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// Everything was done.
    Done,
    /// It failed, or was undone or released after it had.
    Failed,
}

impl Trigger {
    /// Whether an alert with these labels starts the runbook.
    pub fn fires_on(&self, labels: &Labels) -> bool {
        let meets = |text: &String| Matcher::parse(text).is_ok_and(|matcher| matcher.matches(labels));
        self.alert.as_ref().is_some_and(|matchers| !matchers.is_empty() && matchers.iter().all(meets))
    }
}
