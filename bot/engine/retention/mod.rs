//! Lets incidents that have long been over leave the store for files, which can be read back and checked by themselves.
//!
//! A file is written, read back and durable before anything of the incident is taken away. What stays is a row that says
//! where it is, and an entry in the system's timeline with the digest of the file and the end of the incident's timeline.

pub mod decide;
#[cfg(test)]
mod tests;
pub mod work;

use serde::{Deserialize, Serialize};

use crate::domain::{ids::IncidentId, timeline};

/// What the log says of incidents that leave.
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
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::IncidentArchived { incident, file, entries, .. } => {
                format!("archived {incident} with its {entries} entries in `{file}`")
            }
        }
    }
}
