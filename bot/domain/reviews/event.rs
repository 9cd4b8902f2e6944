//! What a review writes into the timeline.

use serde::{Deserialize, Serialize};

use crate::domain::{timeline, timeline::EntryRef};

/// What a review writes into the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The review was drafted from the entries before this one.
    ReviewDrafted {
        /// How many entries there were.
        entries: u64,
        /// The newest of them, as it is cited.
        through: Option<String>,
        /// Its hash, which covers all before it.
        hash: Option<String>,
    },
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::ReviewDrafted { entries, through: Some(through), .. } => {
                format!("drafted the review from `{entries}` entries, up to `{through}`")
            }
            Event::ReviewDrafted { entries, through: None, .. } => {
                format!("drafted the review from `{entries}` entries")
            }
        }
    }
}

impl Event {
    /// A draft from so many entries, the newest of which is this one.
    pub fn drafted(entries: usize, newest: Option<(EntryRef, String)>) -> Self {
        let (through, hash) = newest.map(|(entry, hash)| (entry.to_string(), hash)).unzip();
        Event::ReviewDrafted { entries: u64::try_from(entries).unwrap_or(u64::MAX), through, hash }
    }
}
