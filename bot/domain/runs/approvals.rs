//! Questions that a run puts to people, and whose answers count.
//!
//! An approval is for the values that were shown. It counts people, not accounts, and never whoever started the run.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    ids::{ApprovalId, RunId},
    people::{Person, PersonId},
    runbooks::{plan::Approver, scope::Scope},
    time::Time,
};

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// It waits for answers.
    Open,
    /// Enough people agreed.
    Given,
    /// Somebody said no.
    Rejected,
    /// A value that was shown has changed.
    Voided,
    /// Nobody answered in time.
    Expired,
    /// A question of a step was answered.
    Answered,
    /// The run went on, or ended, without it.
    Withdrawn,
}

impl ApprovalState {
    const ALL: [ApprovalState; 7] = [
        ApprovalState::Open,
        ApprovalState::Given,
        ApprovalState::Rejected,
        ApprovalState::Voided,
        ApprovalState::Expired,
        ApprovalState::Answered,
        ApprovalState::Withdrawn,
    ];

    /// The word that is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            ApprovalState::Open => "open",
            ApprovalState::Given => "given",
            ApprovalState::Rejected => "rejected",
            ApprovalState::Voided => "voided",
            ApprovalState::Expired => "expired",
            ApprovalState::Answered => "answered",
            ApprovalState::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for ApprovalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for ApprovalState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = ApprovalState::ALL.into_iter().find(|state| state.word() == word);
        found.ok_or_else(|| format!("`{word}` is not the state of an approval"))
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// Whether the run may go on.
    Approval,
    /// A question of a step, with its choices.
    Choice(Vec<String>),
}

/// An answer that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Who gave it.
    pub person: PersonId,
    /// What they said.
    pub answer: String,
    /// When.
    pub at: Time,
}

/// A value that was approved and is another one by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its path in the runbook, such as `live.sha`.
    pub path: String,
    /// What was shown.
    pub was: Value,
    /// What it is.
    pub is: Value,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` was `{}` and is `{}`", self.path, shown(&self.was), shown(&self.is))
    }
}

/// A question that a run puts to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// Its name.
    pub id: ApprovalId,
    /// The run.
    pub run: RunId,
    /// What is asked.
    pub asks: Asks,
    /// Path of the step before which, or by which, it is asked.
    pub path: String,
    /// Grows when what is shown changes.
    pub revision: i64,
    /// The epoch of the run in which it was asked: what was read in a later one was read after the agreement.
    pub epoch: i64,
    /// The question.
    pub question: String,
    /// Who may answer; everybody who may operate, if nobody is named.
    pub by: Vec<Approver>,
    /// How many people must agree.
    pub count: u32,
    /// What is agreed to: values by their paths.
    pub bound: BTreeMap<String, Value>,
    /// Where it stands.
    pub state: ApprovalState,
    /// The answers that count.
    pub answers: Vec<Given>,
    /// When it was asked.
    pub asked_at: Time,
    /// When it expires.
    pub expires_at: Time,
    /// When it was decided.
    pub decided_at: Option<Time>,
}

/// Why somebody's answer does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCounted {
    /// They started the run.
    Requester,
    /// They have answered already, perhaps from another account.
    Twice,
    /// They are none of those who are asked.
    NotAsked,
    /// It is decided already.
    Decided(ApprovalState),
    /// Its time is over.
    Expired,
}

impl Approval {
    /// Whether this person's answer counts.
    ///
    /// # Errors
    /// Says why not. Who started the run may not answer an approval but may answer a step's question.
    pub fn counts(&self, person: &Person, requester: Option<&PersonId>, now: Time) -> Result<(), NotCounted> {
        if self.state != ApprovalState::Open {
            return Err(NotCounted::Decided(self.state));
        }
        if now >= self.expires_at {
            return Err(NotCounted::Expired);
        }
        if self.asks == Asks::Approval && requester == Some(&person.id) {
            return Err(NotCounted::Requester);
        }
        if !self.is_asked(person) {
            return Err(NotCounted::NotAsked);
        }
        if self.answers.iter().any(|given| given.person == person.id) {
            return Err(NotCounted::Twice);
        }
        Ok(())
    }

    /// How many more people must agree.
    pub fn missing(&self) -> u32 {
        let people: std::collections::BTreeSet<&PersonId> = self.answers.iter().map(|given| &given.person).collect();
        self.count.max(1).saturating_sub(u32::try_from(people.len()).unwrap_or(u32::MAX))
    }

    /// What has changed since it was shown.
    pub fn drift(&self, scope: &Scope) -> Vec<Difference> {
        let now = bound(self.bound.keys(), scope);
        self.bound
            .iter()
            .zip(now)
            .filter(|((_, was), (_, is))| *was != is)
            .map(|((path, was), (_, is))| Difference { path: path.clone(), was: was.clone(), is })
            .collect()
    }

    fn is_asked(&self, person: &Person) -> bool {
        self.by.is_empty()
            || self.by.iter().any(|approver| match approver {
                Approver::Role(role) => person.roles.contains(role),
                Approver::Person(name) => person.id.0 == *name,
            })
    }
}

/// The values at these paths; one that is missing is null.
pub fn bound<'a>(paths: impl IntoIterator<Item = &'a String>, scope: &Scope) -> BTreeMap<String, Value> {
    paths.into_iter().map(|path| (path.clone(), scope.at(path).cloned().unwrap_or(Value::Null))).collect()
}

/// A value as people read it: text as it is, anything else as JSON, at most 120 characters.
pub fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.chars().count() <= 120 { text } else { text.chars().take(119).chain(['…']).collect() }
}
