//! Deployments: what was brought where, by anyone; what of it was good; and what changed near an incident.

pub mod acts;
pub(in crate::engine) mod cards;
mod commands;
pub mod decide;
mod near;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::acts::is_banned;
use crate::engine::{features::Feature, incidents::acts::OPENED};

/// What comes of a delivery of a deployer or a code host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is noted of these services.
    Taken(Vec<String>),
    /// It is about nothing that is noted, for a reason with a stable code.
    Ignored(String),
    /// The source may not speak of this service.
    OutOfScope(String),
}

/// The feature `deployments`.
pub static FEATURE: Feature = Feature {
    name: "deployments",
    commands: commands::COMMANDS,
    timers: &[(OPENED, decide::incident_opened)],
    cards: &[],
    names: &[],
};
