//! What the log says of silences.
//!
//! The kinds and their fields are stored for ever: they are added to, never changed.

use serde::{Deserialize, Serialize};

use crate::domain::{ids::SilenceId, time::Time, timeline};

/// Something happened to a silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Somebody wants alerts held back.
    SilenceAdded {
        /// The silence.
        silence: SilenceId,
        /// Which alerts, as people read it.
        matchers: String,
        /// From when on.
        starts_at: Time,
        /// Until when.
        ends_at: Time,
        /// Whose it is, in the words of who set it.
        author: String,
        /// Why.
        comment: String,
        /// The one in whose place it stands.
        replaces: Option<SilenceId>,
    },
    /// Somebody moved its times, or says something else about it.
    SilenceChanged {
        /// The silence.
        silence: SilenceId,
        /// From when on.
        starts_at: Time,
        /// Until when.
        ends_at: Time,
        /// Whose it is.
        author: String,
        /// Why.
        comment: String,
    },
    /// It holds alerts back from now on.
    SilenceStarted {
        /// The silence.
        silence: SilenceId,
        /// How many alerts fire that it matches.
        firing: u64,
    },
    /// It is about to end while something fires under it.
    SilenceEnding {
        /// The silence.
        silence: SilenceId,
        /// When it ends.
        ends_at: Time,
        /// How many alerts fire that it matches.
        firing: u64,
    },
    /// It holds nothing back any more.
    SilenceEnded {
        /// The silence.
        silence: SilenceId,
        /// The stable code of the reason: `time_is_over`, `expired`, or `replaced`.
        reason: String,
        /// Why somebody ended it, in their words.
        comment: Option<String>,
        /// How many alerts that it matches fire and were held back; people are told of them now.
        told: u64,
    },
}

impl Event {
    /// The silence that it happened to.
    pub fn silence(&self) -> SilenceId {
        match self {
            Event::SilenceAdded { silence, .. }
            | Event::SilenceChanged { silence, .. }
            | Event::SilenceStarted { silence, .. }
            | Event::SilenceEnding { silence, .. }
            | Event::SilenceEnded { silence, .. } => *silence,
        }
    }
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::SilenceAdded { silence, matchers, starts_at, ends_at, author, comment, replaces } => {
                let replaces = replaces.map_or_else(String::new, |other| format!(" in place of {other}"));
                format!(
                    "silenced `{matchers}` from `{}` to `{}` for `{author}`, {silence}{replaces}: `{comment}`",
                    starts_at.long(),
                    ends_at.long()
                )
            }
            Event::SilenceChanged { silence, starts_at, ends_at, author, comment } => format!(
                "changed {silence}: from `{}` to `{}` for `{author}`: `{comment}`",
                starts_at.long(),
                ends_at.long()
            ),
            Event::SilenceStarted { silence, firing } => {
                format!("began to hold back by {silence}, with `{firing}` alerts firing under it")
            }
            Event::SilenceEnding { silence, ends_at, firing } => {
                format!("warned that {silence} ends at `{}` with `{firing}` alerts firing under it", ends_at.long())
            }
            Event::SilenceEnded { silence, reason, comment, told } => {
                let comment = comment.as_ref().map_or_else(String::new, |comment| format!(": `{comment}`"));
                format!("ended {silence} (`{reason}`), with `{told}` alerts to tell of now{comment}")
            }
        }
    }
}
