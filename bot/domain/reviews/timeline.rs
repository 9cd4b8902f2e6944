//! The whole timeline, day by day, with a marker wherever the log is silent for long.

use std::time::Duration;

use serde::Serialize;

use super::facts::{Facts, Said};
use crate::domain::{duration, incidents::Event, time::Time, timeline::Entry};

/// A silence in the log longer than this gets a marker.
pub const GAP: Duration = Duration::from_mins(15);

/// The most entries that are printed; of more, those in the middle are left out, which is said.
pub const MOST: usize = 2_000;

/// One day of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day, in UTC: `2026-11-23`.
    pub day: String,
    /// Its entries.
    pub items: Vec<Item>,
}

/// An entry in the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The silence before it, if that was long.
    pub gap: Option<Gap>,
    /// How many entries are left out before it.
    pub left_out: usize,
    /// When it was committed: `03:20:05`.
    pub clock: String,
    /// When it happened by the source's clock, if that differs.
    pub source_at: Option<String>,
    /// Who or what did it.
    pub actor: String,
    /// What it says.
    pub text: String,
    /// The entry.
    pub cites: Vec<String>,
}

/// A silence in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// How long.
    pub length: String,
    /// The entries on both sides.
    pub cites: Vec<String>,
    /// Whether the incident was open all the while, so that somebody may know what happened.
    pub is_open: bool,
}

/// The timeline by days, and every gap in it.
pub fn days(facts: &Facts, said: &[(&Entry, Said)]) -> (Vec<Day>, Vec<Gap>) {
    let mut days: Vec<Day> = Vec::new();
    let mut gaps = Vec::new();
    let mut is_open = true;
    let (head, tail) = (MOST / 2, facts.entries.len().saturating_sub(MOST / 2));
    for (index, (entry, said)) in said.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| facts.entries.get(index));
        let gap = before.and_then(|before| gap(before, entry, is_open));
        gaps.extend(gap.clone());
        if let Said::Incident(Event::PhaseMoved { to, .. }) = said {
            is_open = to.is_open();
        } else if let Said::Incident(Event::IncidentDeclined { .. } | Event::MergedInto { .. }) = said {
            is_open = false;
        }
        if facts.entries.len() > MOST && (head..tail).contains(&index) {
            continue;
        }
        let left_out = if facts.entries.len() > MOST && index == tail { tail - head } else { 0 };
        let item = Item {
            // Between the last entry before those that are left out and this one, the marker of what is left out stands.
            gap: gap.filter(|_| left_out == 0),
            left_out,
            clock: entry.at.clock(),
            source_at: entry.draft.source_at.filter(|at| differ(*at, entry.at)).map(Time::long),
            actor: entry.draft.actor.to_string(),
            text: entry.draft.text.clone(),
            cites: vec![entry.reference.to_string()],
        };
        let day: String = entry.at.long().split(' ').next().unwrap_or_default().to_owned();
        match days.last_mut() {
            Some(last) if last.day == day => last.items.push(item),
            _ => days.push(Day { day, items: vec![item] }),
        }
    }
    (days, gaps)
}

fn gap(before: &Entry, after: &Entry, is_open: bool) -> Option<Gap> {
    let length = after.at.since(before.at);
    (length > GAP).then(|| Gap {
        length: duration::human(length),
        cites: vec![before.reference.to_string(), after.reference.to_string()],
        is_open,
    })
}

fn differ(source: Time, ours: Time) -> bool {
    source.since(ours).max(ours.since(source)) >= Duration::from_secs(1)
}
