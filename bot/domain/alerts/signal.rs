//! What a source says of alerts, before any rule has looked at it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{alerts::labels::Labels, time::Time};

/// What one source says of one alert at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The source, by its name in the configuration.
    pub source: String,
    /// All labels that it gives, those of replicas included.
    pub labels: Labels,
    /// Texts that people read; no part of the identity.
    pub annotations: BTreeMap<String, String>,
    /// Firing or resolved.
    pub says: Says,
    /// When the source says that it began; a repeat says the same moment again.
    pub starts_at: Option<Time>,
    /// The page of the source about it.
    pub generator_url: Option<String>,
}

/// The statement itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It fires; if it is not repeated before `ends_at`, nothing is known of it any more.
    Firing {
        /// The moment until which the source vouches for it, if it says so.
        ends_at: Option<Time>,
    },
    /// It is over.
    Resolved {
        /// When it ended, if the source says so.
        at: Option<Time>,
    },
}

/// What one delivery holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The source, by its name in the configuration.
    pub source: String,
    /// Its statements, in the order of the delivery.
    pub signals: Vec<Signal>,
    /// Alerts that the source left out and names nowhere, not even when they resolve.
    pub truncated: u64,
    /// The sender's name for this delivery, the same when it is sent again.
    pub source_key: Option<String>,
}
