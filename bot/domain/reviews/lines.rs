//! Statements with the entries that they come from.

use serde::Serialize;

use super::{document::LINES, facts::Said};
use crate::domain::timeline::Entry;

/// A value with the entries that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The value.
    pub value: String,
    /// Who or what said so, where that matters.
    pub by: Option<String>,
    /// Where it comes from.
    pub cites: Vec<String>,
}

impl Known {
    /// A value from this entry.
    pub fn new(value: impl Into<String>, from: &Entry) -> Self {
        Self { value: value.into(), by: None, cites: vec![from.reference.to_string()] }
    }
}

/// An entry as a line of the review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When, with the day.
    pub at: String,
    /// Who or what did it.
    pub actor: String,
    /// What it says, values in backticks.
    pub text: String,
    /// The entry.
    pub cites: Vec<String>,
}

impl Line {
    /// The entry as a line.
    pub fn of(entry: &Entry) -> Self {
        Self {
            at: entry.at.long(),
            actor: entry.draft.actor.to_string(),
            text: entry.draft.text.clone(),
            cites: vec![entry.reference.to_string()],
        }
    }
}

/// Every entry that is meant, as lines.
pub fn all(said: &[(&Entry, Said)], is_meant: impl Fn(&Entry, &Said) -> bool) -> Vec<Line> {
    said.iter().filter(|(entry, said)| is_meant(entry, said)).map(|(entry, _)| Line::of(entry)).collect()
}

/// The first entries that are meant, as lines, at most [`LINES`].
pub fn of(said: &[(&Entry, Said)], is_meant: impl Fn(&Entry, &Said) -> bool) -> Vec<Line> {
    let mut lines = all(said, is_meant);
    lines.truncate(LINES);
    lines
}

/// The last entry that is meant.
pub fn last<'a>(said: &[(&'a Entry, Said)], is_meant: impl Fn(&Entry, &Said) -> bool) -> Option<&'a Entry> {
    said.iter().rev().find(|(entry, said)| is_meant(entry, said)).map(|(entry, _)| *entry)
}
