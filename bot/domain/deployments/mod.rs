//! The ledger of deployments: what is live, what was good, and what nobody shall deploy again.
//!
//! A deployment that succeeded is not yet a good one. What nobody reported is unknown, and is never guessed.

pub mod change;
pub mod deployment;
pub mod event;
pub mod ledger;
pub mod report;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::{
    change::{Change, ChangeKind},
    deployment::{Ban, Deployment, State, is_same_version},
    event::Event,
    ledger::{Fate, Ledger, Missing},
    report::{About, Delivery, Report, Seen},
};
use super::duration;

/// What the configuration says of deployments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a deployment must be live before it counts as good, where the catalog says nothing else.
    #[serde(with = "duration")]
    pub bake: Duration,
    /// How long before an incident opened a change was near in time.
    #[serde(with = "duration")]
    pub nearby: Duration,
}

impl Default for Settings {
    /// Good after 30 minutes; near within two hours.
    fn default() -> Self {
        Self { bake: Duration::from_mins(30), nearby: Duration::from_hours(2) }
    }
}
