//! The one log: what happened, who did it, when, chained so that a later edit shows.
//!
//! Entries are only ever added. Each incident has a chain of its own, and one chain holds what belongs to no incident
//! (halts, alerts without a route). An entry's hash covers its content and the hash before it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::domain::{ids::IncidentId, people::Actor, time::Time};

/// The log that an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// What belongs to no incident.
    System,
    /// The timeline of one incident.
    Incident(IncidentId),
}

impl Chain {
    /// The number under which the chain is stored: 0 for the system's, else the incident's.
    pub fn number(self) -> i64 {
        match self {
            Chain::System => 0,
            Chain::Incident(id) => id.0,
        }
    }

    /// The chain stored under this number.
    pub fn numbered(number: i64) -> Self {
        if number == 0 { Chain::System } else { Chain::Incident(IncidentId(number)) }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chain::System => f.write_str("SYSTEM"),
            Chain::Incident(id) => id.fmt(f),
        }
    }
}

/// The citation of an entry: `INC-42#7`, `SYSTEM#3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryRef {
    /// The log it stands in.
    pub chain: Chain,
    /// Its place there, from 1.
    pub seq: i64,
}

impl fmt::Display for EntryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.chain, self.seq)
    }
}

impl FromStr for EntryRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        let refused = || format!("`{shown}` is not the citation of an entry, such as `INC-1#7`");
        let (chain, seq) = text.trim().split_once('#').ok_or_else(refused)?;
        let chain = match chain {
            "SYSTEM" => Chain::System,
            incident => Chain::Incident(incident.parse().map_err(|_| refused())?),
        };
        let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or_else(refused)?;
        Ok(Self { chain, seq })
    }
}

impl TryFrom<String> for EntryRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<EntryRef> for String {
    fn from(reference: EntryRef) -> String {
        reference.to_string()
    }
}

/// Something that can stand in the log. Each feature has one such enum, written as `{"kind": …, …}`.
pub trait Event: Serialize + DeserializeOwned {
    /// The sentence that people read: who is the entry's actor, so this starts with a verb, and has no period.
    fn sentence(&self) -> String;
}

/// An entry before it has its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Who or what caused it.
    pub actor: Actor,
    /// When the source says that it happened, if it says so.
    pub source_at: Option<Time>,
    /// The event's `kind`.
    pub kind: String,
    /// The event, as the text of a JSON object with its `kind`: the very text that is hashed.
    pub body: String,
    /// The sentence that people read.
    pub text: String,
}

impl Draft {
    /// An entry about this event. The event must serialize to an object with a `kind`, as the enums of the features do.
    pub fn new(actor: Actor, event: &impl Event) -> Self {
        #[derive(Deserialize)]
        struct Kind {
            kind: String,
        }
        let body = serde_json::to_string(event).unwrap_or_default();
        // The kind is written first; where it is not, all of it is read.
        let first = body.strip_prefix("{\"kind\":\"").and_then(|rest| rest.split_once('"')).map(|(kind, _)| kind);
        let kind = first.filter(|kind| !kind.contains('\\')).map(str::to_owned);
        let read = || serde_json::from_str(&body).map_or_else(|_| "unknown".to_owned(), |Kind { kind }| kind);
        let kind = kind.unwrap_or_else(read);
        Self { actor, source_at: None, kind, body, text: event.sentence() }
    }

    /// Adds the moment that the source gives.
    #[must_use]
    pub fn source_at(mut self, at: Time) -> Self {
        self.source_at = Some(at);
        self
    }
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// How it is cited.
    pub reference: EntryRef,
    /// When it was committed, by the bot's clock.
    pub at: Time,
    /// What it says.
    pub draft: Draft,
    /// Hash of this entry and the one before it, in hexadecimal.
    pub hash: String,
}

impl Entry {
    /// The event, if it is one of this feature's.
    pub fn event<E: Event>(&self) -> Option<E> {
        serde_json::from_str(&self.draft.body).ok()
    }
}

/// The hash of an entry that follows the one with the hash `previous` (empty for the first of a chain).
///
/// SHA-256 over the fields as one JSON array, so that no two entries can run together into the same bytes.
pub fn chained(previous: &str, reference: EntryRef, at: Time, draft: &Draft) -> String {
    let fields = (
        previous,
        reference.chain.number(),
        reference.seq,
        at.millis(),
        draft.source_at.map(Time::millis),
        &draft.actor,
        &draft.kind,
        &draft.body,
        &draft.text,
    );
    let mut bytes = Vec::with_capacity(previous.len() + 2 * (draft.body.len() + draft.text.len()));
    // None of these fails to be written: they are texts and numbers.
    drop(serde_json::to_writer(&mut bytes, &fields));
    hex::encode(Sha256::digest(&bytes))
}

/// Where a chain no longer fits together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("timeline entry {0} is not what was written: its hash does not fit")]
pub struct Broken(pub EntryRef);

/// Checks a whole chain, in order from its first entry.
///
/// # Errors
/// Names the first entry whose content, place or predecessor is not what was hashed.
pub fn verify(entries: &[Entry]) -> Result<(), Broken> {
    verify_after((0, ""), entries)
}

/// Checks the rest of a chain, after an entry with this place and hash that was taken from it.
///
/// # Errors
/// The same.
pub fn verify_after((mut place, mut previous): (i64, &str), entries: &[Entry]) -> Result<(), Broken> {
    for entry in entries {
        place += 1;
        let in_order = entry.reference.seq == place;
        if !in_order || chained(previous, entry.reference, entry.at, &entry.draft) != entry.hash {
            return Err(Broken(entry.reference));
        }
        previous = &entry.hash;
    }
    Ok(())
}
