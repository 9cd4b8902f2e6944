//! Who did it: a person, an alert source, a run, or the bot itself.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::domain::ids::RunId;

/// One human being, across Discord and console: the key of their entry under `[people]` in the configuration.
///
/// Somebody whom the configuration does not name keeps the identity of the account, such as `discord:1234`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub String);

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person with the roles that counted at the moment they acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who it is.
    pub id: PersonId,
    /// Role names of the configuration, such as `on-call`.
    pub roles: BTreeSet<String>,
}

/// Who or what caused a timeline entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person, through any chat.
    Person(PersonId),
    /// An alert source, by its name in the configuration.
    Source(String),
    /// A run of a runbook.
    Run(RunId),
    /// The bot, by a rule of its own.
    Bot,
}

impl Actor {
    /// The person, if it was one.
    pub fn person(&self) -> Option<&PersonId> {
        match self {
            Actor::Person(person) => Some(person),
            Actor::Source(_) | Actor::Run(_) | Actor::Bot => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Person(person) => person.fmt(f),
            Actor::Source(name) => write!(f, "source {name}"),
            Actor::Run(run) => run.fmt(f),
            Actor::Bot => f.write_str("firewarden"),
        }
    }
}

/// What a role allows. Each holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Read incidents, runs and explanations.
    View,
    /// Work on incidents: declare, acknowledge, note, move, silence.
    Respond,
    /// Act on production: start runs, answer approvals, settle doubt, halt.
    Operate,
    /// Lift a halt, run break-glass commands.
    Administer,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::View => "view",
            Capability::Respond => "respond",
            Capability::Operate => "operate",
            Capability::Administer => "administer",
        })
    }
}
