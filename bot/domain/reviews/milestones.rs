//! Key times with where they come from, and the measures between them with their formulas.

use serde::Serialize;

use super::{facts::Facts, lines::Known};
use crate::domain::{
    incidents::{Mark, Milestone},
    time::Time,
};

/// A row of the key times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyTime {
    /// The milestone.
    pub name: &'static str,
    /// The time, if it is known and holds.
    pub value: Option<String>,
    /// Whether it happened no later than that.
    pub is_bound: bool,
    /// Who or what set it.
    pub by: Option<String>,
    /// When it was seen that it held.
    pub confirmed: Option<String>,
    /// What it replaced.
    pub replaced: Option<Replaced>,
    /// The time that was taken back, if it was the last one.
    pub void: Option<String>,
    /// Where it comes from.
    pub cites: Vec<String>,
}

/// A time that another one replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// The time.
    pub value: String,
    /// Who or what had set it.
    pub by: String,
}

/// A measure as it is printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeasureLine {
    /// `TTD`, `TTA`, `TTM` or `TTR`.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// `detected − started`.
    pub formula: &'static str,
    /// The formula with its times, where both are known.
    pub times: Option<String>,
    /// The length, or `unknown`.
    pub value: String,
    /// Where the two times come from; none where the length is unknown.
    pub cites: Vec<String>,
}

/// Every milestone, known or not.
pub fn key_times(facts: &Facts) -> Vec<KeyTime> {
    Milestone::ALL.into_iter().map(|milestone| key_time(facts, milestone)).collect()
}

/// The measures of the incident.
pub fn measures(facts: &Facts) -> Vec<MeasureLine> {
    let measures = facts.incident.milestones.measures();
    let lines = measures.into_iter().map(|measure| {
        let ends = supported(facts, measure.until).zip(supported(facts, measure.since));
        let ends = ends.filter(|_| measure.value.is_some());
        MeasureLine {
            name: measure.name,
            meaning: measure.meaning,
            formula: measure.formula,
            times: ends.map(|(until, since)| difference(until.value, since.value)),
            value: if ends.is_some() { measure.words() } else { "unknown".to_owned() },
            cites: ends.map_or_else(Vec::new, |(until, since)| {
                let mut cites = vec![until.from.to_string(), since.from.to_string()];
                cites.dedup();
                cites
            }),
        }
    });
    lines.collect()
}

/// The time with who set it, if it is known and its entry is there.
pub fn known(facts: &Facts, milestone: Milestone) -> Option<Known> {
    let mark = supported(facts, milestone)?;
    let by = Some(mark.set_by.to_string());
    Some(Known { value: mark.value.long(), by, cites: vec![mark.from.to_string()] })
}

/// Whether a time is known although its entry is not there.
pub fn is_unsupported(facts: &Facts, milestone: Milestone) -> bool {
    facts.incident.milestones.mark(milestone).is_some_and(|mark| !facts.knows(mark.from))
}

fn supported(facts: &Facts, milestone: Milestone) -> Option<&Mark> {
    facts.incident.milestones.mark(milestone).filter(|mark| facts.knows(mark.from))
}

fn key_time(facts: &Facts, milestone: Milestone) -> KeyTime {
    let mark = supported(facts, milestone);
    let last = facts.incident.milestones.last(milestone);
    let void = last.and_then(|last| last.void.filter(|entry| facts.knows(*entry)).map(|entry| (last.value, entry)));
    let from = mark.map(|mark| mark.from).or(void.map(|(_, entry)| entry));
    KeyTime {
        name: milestone.word(),
        value: mark.map(|mark| mark.value.long()),
        is_bound: mark.is_some_and(Mark::is_bound),
        by: mark.map(|mark| mark.set_by.to_string()),
        confirmed: mark.and_then(|mark| mark.confirmed).map(Time::long),
        replaced: mark
            .and_then(|mark| mark.replaced.as_ref())
            .map(|old| Replaced { value: old.value.long(), by: old.set_by.to_string() }),
        void: void.map(|(value, _)| value.long()),
        cites: from.map(|from| from.to_string()).into_iter().collect(),
    }
}

fn difference(until: Time, since: Time) -> String {
    let day = |time: Time| time.to_string().get(..10).map(str::to_owned);
    if day(until) == day(since) {
        format!("{} − {}", until.clock(), since.clock())
    } else {
        format!("{} − {}", until.long(), since.long())
    }
}
