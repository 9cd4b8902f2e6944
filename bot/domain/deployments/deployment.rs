//! A deployment, and an order that a version shall not be deployed again.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::domain::{
    ids::{DeploymentId, IncidentId, RunId},
    people::Actor,
    time::Time,
};

/// How much of a version must be the same where one of two names is shorter, as git has it.
const LEAST: usize = 7;

/// A version that was brought to a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its name.
    pub id: DeploymentId,
    /// What was deployed.
    pub service: String,
    /// Where.
    pub environment: String,
    /// Where the source is, if it was said.
    pub repository: Option<String>,
    /// Which version, as machines name it.
    pub sha: String,
    /// Which version, as people name it.
    pub version: Option<String>,
    /// Who deployed it, in the words of who reported it.
    pub by: Option<String>,
    /// Who reported it.
    pub source: Actor,
    /// The reporter's own name for it.
    pub external: Option<String>,
    /// Where people look at it.
    pub url: Option<String>,
    /// The run that deployed it, if one did.
    pub run: Option<RunId>,
    /// How far it came.
    pub state: State,
    /// When it began.
    pub began_at: Option<Time>,
    /// When it succeeded or failed.
    pub ended_at: Option<Time>,
    /// How long it must be live before it counts as good.
    pub bake: Duration,
    /// Whether it brought a migration of data with it; unknown if nobody said.
    pub migration: Option<bool>,
    /// The first incident that opened while it was live and had not baked.
    pub incident: Option<IncidentId>,
    /// Whether that incident turned out to be none.
    pub is_incident_declined: bool,
    /// The deployment of an earlier version that took its place.
    pub rolled_back_by: Option<DeploymentId>,
    /// When it was first heard of.
    pub recorded_at: Time,
}

impl Deployment {
    /// The version as people name it: by its short name, with the beginning of its hash.
    pub fn named(&self) -> String {
        named(self.version.as_deref(), &self.sha)
    }

    /// Whether the name means its version: what people call it, or its hash, which may be cut short.
    pub fn is_of(&self, version: &str) -> bool {
        self.version.as_deref() == Some(version) || is_same_version(&self.sha, version)
    }

    /// Since when it may have been live.
    pub fn since(&self) -> Time {
        self.ended_at.or(self.began_at).unwrap_or(self.recorded_at)
    }
}

/// A version as people name it: `v42 (1f0c9a2)`.
pub fn named(version: Option<&str>, sha: &str) -> String {
    match version {
        Some(version) if version != sha => format!("{version} ({})", short(sha)),
        Some(_) | None => short(sha).to_owned(),
    }
}

/// The beginning of a hash; anything else as it is.
pub fn short(sha: &str) -> &str {
    let is_hash = sha.len() >= 32 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { sha.get(..LEAST).unwrap_or(sha) } else { sha }
}

/// Whether two names mean the same version: letters in any case, and a hash may be cut short.
pub fn is_same_version(one: &str, other: &str) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    let is_hash = |text: &str| text.len() >= LEAST && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash(short) && is_hash(long) && long.get(..short.len()).is_some_and(|start| start.eq_ignore_ascii_case(short))
}

/// How far a deployment came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is under way.
    Pending,
    /// It ended without success.
    Failed,
    /// It is live, or was.
    Succeeded,
}

impl State {
    /// The word for it, as it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Failed => "failed",
            State::Succeeded => "succeeded",
        }
    }

    /// What became of the deployment, for a sentence.
    pub fn verb(self) -> &'static str {
        match self {
            State::Pending => "began",
            State::Failed => "failed",
            State::Succeeded => "succeeded",
        }
    }

    /// Whether a report of the state `next` says more than is known: one that came late says nothing new, and what was
    /// live once stays so in the ledger.
    pub fn goes_on_to(self, next: State) -> bool {
        next > self
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [State::Pending, State::Failed, State::Succeeded];
        all.into_iter()
            .find(|state| state.word() == word)
            .ok_or_else(|| format!("`{word}` is no state of a deployment"))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An order that a version shall not be deployed to a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Of which service.
    pub service: String,
    /// Where.
    pub environment: String,
    /// The version.
    pub sha: String,
    /// Why, in words.
    pub reason: String,
    /// Who ordered it.
    pub by: Actor,
    /// Since when it stands.
    pub at: Time,
}
