//! Lets what has long been over leave the store for files, which can be read back and checked by themselves: incidents, runs
//! that belong to none, and the oldest entries of the system's timeline.
//!
//! A file is written, read back and durable before anything of it is taken away. What stays is a row that says where it
//! is, and an entry in the system's timeline with the digest of the file and the end of the timeline in it.

pub mod decide;
#[cfg(test)]
mod tests;
pub mod work;

use serde::{Deserialize, Serialize};

use crate::domain::{
    ids::{IncidentId, RunId},
    timeline::{self, EntryRef},
};

/// What the log says of what leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// An incident left for a file.
    IncidentArchived {
        /// The incident.
        incident: IncidentId,
        /// Its file.
        file: String,
        /// The digest in the last line of the file.
        sha256: String,
        /// How many entries its timeline has.
        entries: i64,
        /// The hash of the last of them.
        hash: String,
    },
    /// Runs that belong to no incident left for a file.
    RunsArchived {
        /// The runs.
        runs: Vec<RunId>,
        /// Their file.
        file: String,
        /// The digest in the last line of the file.
        sha256: String,
    },
    /// The oldest entries of the system's timeline left for a file.
    EntriesArchived {
        /// The first of them.
        from: EntryRef,
        /// The last of them, after which the timeline goes on in the store.
        to: EntryRef,
        /// Their file.
        file: String,
        /// The digest in the last line of the file.
        sha256: String,
        /// The hash of the last of them.
        hash: String,
    },
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::IncidentArchived { incident, file, entries, .. } => {
                format!("archived {incident} with its {entries} entries in `{file}`")
            }
            Event::RunsArchived { runs, file, .. } => {
                let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
                format!("archived {} in `{file}`", runs.join(", "))
            }
            Event::EntriesArchived { from, to, file, .. } => format!("archived {from} to {to} in `{file}`"),
        }
    }
}
