//! What deployers and code hosts say: bounded, and not yet held against what is known.

use super::{ChangeKind, State};
use crate::domain::time::Time;

/// What a source delivers at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The source, by its name in the configuration.
    pub source: String,
    /// The source's name for the delivery: one that comes again changes nothing.
    pub source_key: Option<String>,
    /// What it says; nothing if it is about something else.
    pub report: Option<Report>,
}

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Of a deployment.
    Deployment(Box<Seen>),
    /// Of another change.
    Change {
        /// Of what.
        about: About,
        /// Of what kind it is.
        kind: ChangeKind,
        /// What it is, in a few words.
        what: String,
        /// When it happened, if the source says so.
        at: Option<Time>,
        /// Who did it.
        by: Option<String>,
        /// Where people look at it.
        url: Option<String>,
        /// The source's name for it.
        external: String,
    },
}

/// What something is said of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A service by its name.
    Service(String),
    /// Whatever comes from this repository, or this one service of it.
    Repository {
        /// The repository: `acme/checkout`.
        name: String,
        /// The service of it that is meant, if it was said.
        service: Option<String>,
    },
}

/// A deployment as somebody saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Of what.
    pub about: About,
    /// Where.
    pub environment: String,
    /// Which version, as machines name it.
    pub sha: String,
    /// Which version, as people name it.
    pub version: Option<String>,
    /// How far it came.
    pub state: State,
    /// When it came so far, if the source says so.
    pub at: Option<Time>,
    /// Who deploys.
    pub by: Option<String>,
    /// Where people look at it.
    pub url: Option<String>,
    /// Whether it brings a migration of data with it; unknown if nobody said.
    pub migration: Option<bool>,
    /// The source's name for it.
    pub external: Option<String>,
    /// The idempotency key that goes with it: by it the bot knows its own.
    pub key: Option<String>,
}
