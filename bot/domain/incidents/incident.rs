//! An incident as it stands. What happened to it, and who did what, is in its timeline.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::domain::{
    duration,
    ids::IncidentId,
    incidents::{Milestones, Phase},
    people::PersonId,
    severity::Severity,
    time::Time,
};

/// What the configuration says about incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long all alerts must have been resolved before an incident resolves by itself.
    #[serde(with = "duration")]
    pub quiet: Duration,
    /// How long after something in an incident last fired another alert of its group still joins it.
    #[serde(with = "duration")]
    pub join_within: Duration,
    /// How long after its resolution an incident is reopened when one of its group fires.
    #[serde(with = "duration")]
    pub reopen_within: Duration,
}

impl Default for Settings {
    /// Quiet for 10 minutes; joined and reopened within 30 minutes.
    fn default() -> Self {
        Self {
            quiet: Duration::from_mins(10),
            join_within: Duration::from_mins(30),
            reopen_within: Duration::from_mins(30),
        }
    }
}

/// What opened an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An alert.
    Alert,
    /// A person.
    Person(PersonId),
}

/// What somebody has taken on in an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Decides and coordinates.
    Lead,
    /// Works on the systems.
    Operations,
    /// Keeps others informed.
    Communications,
    /// Writes down what happens.
    Scribe,
}

impl Role {
    /// All of them, with their words.
    pub const ALL: [Role; 4] = [Role::Lead, Role::Operations, Role::Communications, Role::Scribe];

    /// Their words.
    pub const WORDS: &[&str] = &["lead", "operations", "communications", "scribe"];

    /// The word for it, as it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Role::Lead => "lead",
            Role::Operations => "operations",
            Role::Communications => "communications",
            Role::Scribe => "scribe",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("`{shown}` is not a role: `{}`", Self::WORDS.join("`, `"))
        })
    }
}

/// An incident as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// What is wrong, in a few words.
    pub title: String,
    /// What is wrong, in more words, as its first alert says it; empty if nothing does.
    pub summary: String,
    /// How bad it is.
    pub severity: Severity,
    /// How bad it was at its worst. What that demanded is not taken back when the severity is lowered.
    pub peak_severity: Severity,
    /// Where it stands.
    pub phase: Phase,
    /// Since when it stands there.
    pub phase_since: Time,
    /// Where it stood before its alerts cleared or it ended; where it returns to.
    pub prior_phase: Option<Phase>,
    /// The affected service, if one is known.
    pub service: Option<String>,
    /// The affected environment, if one is known.
    pub environment: Option<String>,
    /// The route of the alert that opened it.
    pub route: Option<String>,
    /// The text of the group key of the alert that opened it.
    pub group: Option<String>,
    /// The channel it is told in, by its name in the configuration.
    pub channel: String,
    /// Runbooks that its routes name.
    pub runbooks: Vec<String>,
    /// Who is paged about it: `role:on-call`, `person:ada`.
    pub pages: Vec<String>,
    /// What opened it.
    pub origin: Origin,
    /// When it was opened.
    pub opened_at: Time,
    /// The last moment at which something in it was known to fire, while nothing does.
    pub last_fired_at: Option<Time>,
    /// How many alerts a source left out and names nowhere, not even when they resolve.
    pub truncated: u64,
    /// Who has taken on what.
    pub roles: BTreeMap<Role, PersonId>,
    /// Its key times.
    pub milestones: Milestones,
    /// Earlier incidents of the same group.
    pub earlier: Vec<IncidentId>,
    /// The incident that it goes on in.
    pub merged_into: Option<IncidentId>,
    /// When a person was asked whether it is over, if that stands unanswered.
    pub asked_at: Option<Time>,
    /// How many runs in it have not ended. Kept by the runs themselves.
    pub open_runs: u64,
}

impl Incident {
    /// Whether a person declared it.
    pub fn is_declared(&self) -> bool {
        matches!(self.origin, Origin::Person(_))
    }

    /// Who leads.
    pub fn lead(&self) -> Option<&PersonId> {
        self.roles.get(&Role::Lead)
    }

    /// Where it returns to when it turns out not to be over.
    pub fn returns_to(&self) -> Phase {
        self.prior_phase.filter(|phase| phase.is_working()).unwrap_or(Phase::Triage)
    }

    /// Moves it and says which milestones no longer hold.
    ///
    /// Going back from watching takes back that the impact stopped, going back from the end that it ended.
    pub fn move_to(&mut self, to: Phase, now: Time) -> Vec<super::Milestone> {
        use super::Milestone;
        let from = std::mem::replace(&mut self.phase, to);
        if from.is_working() && !to.is_working() {
            self.prior_phase = Some(from);
        }
        self.phase_since = now;
        self.asked_at = None;
        let mut void = Vec::new();
        if !from.is_working() && to.is_working() {
            void.push(Milestone::Mitigated);
        }
        if !from.is_open() && to.is_open() {
            void.push(Milestone::Resolved);
        }
        void.retain(|milestone| self.milestones.at(*milestone).is_some());
        void
    }
}
