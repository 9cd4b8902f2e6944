//! The key times of an incident, each with who or what set it, from which entry, and what it replaced.
//!
//! A person's word stands above what a run verified, and that above what an alert implies. A time that nobody knows is
//! unknown in every figure made from it.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::domain::{people::Actor, time::Time, timeline::EntryRef};

/// A key time of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// The impact began; from an alert it is no later than that.
    Started,
    /// The first alert was received, or it was declared.
    Detected,
    /// It became an incident.
    Declared,
    /// The first person took it.
    Acknowledged,
    /// The impact stopped.
    Mitigated,
    /// The last alert cleared, or a person said that it is over.
    Resolved,
}

impl Milestone {
    /// All of them, in the order in which they usually come.
    pub const ALL: [Milestone; 6] = [
        Milestone::Started,
        Milestone::Detected,
        Milestone::Declared,
        Milestone::Acknowledged,
        Milestone::Mitigated,
        Milestone::Resolved,
    ];

    /// Their words.
    pub const WORDS: &[&str] = &["started", "detected", "declared", "acknowledged", "mitigated", "resolved"];

    /// The word for it, as it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Milestone::Started => "started",
            Milestone::Detected => "detected",
            Milestone::Declared => "declared",
            Milestone::Acknowledged => "acknowledged",
            Milestone::Mitigated => "mitigated",
            Milestone::Resolved => "resolved",
        }
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Milestone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|milestone| milestone.word() == text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("`{shown}` is not a milestone: `{}`", Self::WORDS.join("`, `"))
        })
    }
}

/// The value of a milestone and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The time.
    pub value: Time,
    /// The value is a bound: it happened no later than this. Kept when a person moves the value earlier.
    pub no_later_than: Option<Time>,
    /// When it was seen that it held.
    pub confirmed: Option<Time>,
    /// Who or what set it.
    pub set_by: Actor,
    /// When it was set.
    pub set_at: Time,
    /// The entry that it comes from.
    pub from: EntryRef,
    /// What it replaced.
    pub replaced: Option<Replaced>,
    /// The entry that took it back.
    pub void: Option<EntryRef>,
}

/// A value that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The time.
    pub value: Time,
    /// Who or what had set it.
    pub set_by: Actor,
    /// The entry that it came from.
    pub from: EntryRef,
    /// Whether it had been taken back before.
    pub was_void: bool,
}

impl Mark {
    /// A value from this entry, set by this actor at this time.
    pub fn new(value: Time, set_by: Actor, set_at: Time, from: EntryRef) -> Self {
        Self { value, no_later_than: None, confirmed: None, set_by, set_at, from, replaced: None, void: None }
    }

    /// The same value as a bound: it happened no later than that.
    #[must_use]
    pub fn at_the_latest(mut self) -> Self {
        self.no_later_than = Some(self.value);
        self
    }

    /// Adds when it was seen that it held.
    #[must_use]
    pub fn confirmed(mut self, at: Time) -> Self {
        self.confirmed = Some(at);
        self
    }

    /// Whether the value is only a bound.
    pub fn is_bound(&self) -> bool {
        self.no_later_than == Some(self.value)
    }
}

fn weight(actor: &Actor) -> u8 {
    match actor {
        Actor::Person(_) => 2,
        Actor::Run(_) => 1,
        Actor::Source(_) | Actor::Bot => 0,
    }
}

/// The key times of one incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Milestones(BTreeMap<Milestone, Mark>);

/// A length of time between two milestones, printed with its formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Measure {
    /// `TTD`, `TTA`, `TTM` or `TTR`.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// `detected − started`.
    pub formula: &'static str,
    /// Where it ends.
    pub until: Milestone,
    /// Where it begins.
    pub since: Milestone,
    /// The length; unknown if one of the two is, or if the clocks behind them disagree on the order.
    #[serde(skip)]
    pub value: Option<Duration>,
    /// Whether it began at an unknown time before, so that the true length is at least this.
    pub is_at_least: bool,
}

impl Measure {
    /// The length as people read it: `4 min 12 s`, `at least 4 min 12 s`, `unknown`.
    pub fn words(&self) -> String {
        match self.value {
            Some(length) if self.is_at_least => format!("at least {}", crate::domain::duration::human(length)),
            Some(length) => crate::domain::duration::human(length),
            None => "unknown".to_owned(),
        }
    }
}

impl Milestones {
    /// The time, if it is known and was not taken back.
    pub fn at(&self, milestone: Milestone) -> Option<Time> {
        self.mark(milestone).map(|mark| mark.value)
    }

    /// The value with where it comes from, if it is known and was not taken back.
    pub fn mark(&self, milestone: Milestone) -> Option<&Mark> {
        self.0.get(&milestone).filter(|mark| mark.void.is_none())
    }

    /// The latest value, even one that was taken back.
    pub fn last(&self, milestone: Milestone) -> Option<&Mark> {
        self.0.get(&milestone)
    }

    /// Whether a value from this actor would be taken.
    pub fn takes(&self, milestone: Milestone, value: Time, from: &Actor) -> bool {
        let Some(current) = self.mark(milestone) else { return true };
        let (new, old) = (weight(from), weight(&current.set_by));
        let is_earlier = value < current.value;
        match milestone {
            // The earliest statement is the best one that machines can give.
            Milestone::Started | Milestone::Detected if new == old && from.person().is_none() => is_earlier,
            Milestone::Started
            | Milestone::Detected
            | Milestone::Declared
            | Milestone::Acknowledged
            | Milestone::Mitigated
            | Milestone::Resolved => {
                let is_word = from.person().is_some() && current.value != value;
                new > old || (new == old && is_word)
            }
        }
    }

    /// Sets a value and keeps what it replaced. A weaker statement than the one that stands changes nothing: no.
    pub fn set(&mut self, milestone: Milestone, mut mark: Mark) -> bool {
        if !self.takes(milestone, mark.value, &mark.set_by) {
            return false;
        }
        if let Some(old) = self.0.get(&milestone) {
            mark.replaced = Some(Replaced {
                value: old.value,
                set_by: old.set_by.clone(),
                from: old.from,
                was_void: old.void.is_some(),
            });
            mark.no_later_than = mark.no_later_than.or(old.no_later_than);
        }
        self.0.insert(milestone, mark);
        true
    }

    /// Takes a value back, because of this entry. Gives the value, if there was one.
    pub fn void(&mut self, milestone: Milestone, because: EntryRef) -> Option<Time> {
        let mark = self.0.get_mut(&milestone).filter(|mark| mark.void.is_none())?;
        mark.void = Some(because);
        Some(mark.value)
    }

    /// The bound that no correction of the start may pass, if an alert has set one.
    pub fn latest_start(&self) -> Option<Time> {
        self.mark(Milestone::Started).and_then(|mark| mark.no_later_than)
    }

    /// The milestone that this value would stand on the wrong side of: nothing is before the start.
    pub fn conflict(&self, milestone: Milestone, value: Time) -> Option<(Milestone, Time)> {
        if milestone == Milestone::Started {
            let others = Milestone::ALL.into_iter().skip(1).filter_map(|other| Some((other, self.at(other)?)));
            return others.into_iter().find(|(_, at)| *at < value);
        }
        let started = self.mark(Milestone::Started).filter(|mark| !mark.is_bound())?;
        (value < started.value).then_some((Milestone::Started, started.value))
    }

    /// The four measures, in the order of an incident.
    pub fn measures(&self) -> [Measure; 4] {
        use Milestone::{Acknowledged, Detected, Mitigated, Resolved, Started};
        [
            self.measure("TTD", "time to detect", "detected − started", (Started, Detected)),
            self.measure("TTA", "time to acknowledge", "acknowledged − detected", (Detected, Acknowledged)),
            self.measure("TTM", "time to mitigate", "mitigated − started", (Started, Mitigated)),
            self.measure("TTR", "time to resolve", "resolved − started", (Started, Resolved)),
        ]
    }

    fn measure(
        &self,
        name: &'static str,
        meaning: &'static str,
        formula: &'static str,
        (since, until): (Milestone, Milestone),
    ) -> Measure {
        let begin = self.mark(since);
        let value = begin.zip(self.at(until)).filter(|(begin, end)| begin.value <= *end);
        Measure {
            name,
            meaning,
            formula,
            until,
            since,
            value: value.map(|(begin, end)| end.since(begin.value)),
            is_at_least: begin.is_some_and(Mark::is_bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::{IncidentId, RunId},
        people::PersonId,
        timeline::Chain,
    };

    fn at(second: i64) -> Time {
        Time::from_millis(second * 1_000)
    }

    fn entry(seq: i64) -> EntryRef {
        EntryRef { chain: Chain::Incident(IncidentId(1)), seq }
    }

    fn source() -> Actor {
        Actor::Source("prometheus".to_owned())
    }

    fn ada() -> Actor {
        Actor::Person(PersonId("ada".to_owned()))
    }

    #[test]
    fn a_stronger_statement_replaces_a_weaker_one() {
        let run = || Actor::Run(RunId(1));
        for (milestone, old, new, is_taken) in [
            (Milestone::Mitigated, (source(), 10), (run(), 5), true),
            (Milestone::Mitigated, (run(), 5), (source(), 10), false),
            (Milestone::Mitigated, (run(), 5), (ada(), 7), true),
            (Milestone::Mitigated, (ada(), 7), (run(), 5), false),
            (Milestone::Mitigated, (ada(), 7), (ada(), 8), true),
            (Milestone::Mitigated, (source(), 5), (Actor::Bot, 4), false),
            (Milestone::Started, (source(), 10), (source(), 5), true),
            (Milestone::Started, (source(), 5), (source(), 10), false),
            (Milestone::Started, (ada(), 10), (source(), 5), false),
            (Milestone::Acknowledged, (ada(), 10), (ada(), 10), false),
        ] {
            let mut milestones = Milestones::default();
            assert!(milestones.set(milestone, Mark::new(at(old.1), old.0.clone(), at(20), entry(1))));
            let taken = milestones.set(milestone, Mark::new(at(new.1), new.0.clone(), at(21), entry(2)));
            assert_eq!(taken, is_taken, "{milestone}: {new:?} after {old:?}");
            let mark = milestones.mark(milestone).unwrap();
            assert_eq!(mark.value, if is_taken { at(new.1) } else { at(old.1) });
            assert_eq!(mark.replaced.as_ref().map(|old| old.from), is_taken.then(|| entry(1)));
        }
    }

    #[test]
    fn a_value_that_was_taken_back_is_unknown_and_may_be_set_by_anyone() {
        let mut milestones = Milestones::default();
        milestones.set(Milestone::Mitigated, Mark::new(at(5), ada(), at(5), entry(1)));
        assert_eq!(milestones.void(Milestone::Mitigated, entry(2)), Some(at(5)));
        assert_eq!(milestones.void(Milestone::Mitigated, entry(3)), None);
        assert_eq!(milestones.at(Milestone::Mitigated), None);
        assert_eq!(milestones.last(Milestone::Mitigated).unwrap().void, Some(entry(2)));
        assert!(milestones.set(Milestone::Mitigated, Mark::new(at(9), source(), at(9), entry(4))));
        let replaced = milestones.mark(Milestone::Mitigated).unwrap().replaced.clone().unwrap();
        assert!(replaced.was_void && replaced.value == at(5));
    }

    #[test]
    fn measures_print_their_formula_and_unknown_stays_unknown() {
        let mut milestones = Milestones::default();
        milestones.set(Milestone::Started, Mark::new(at(0), source(), at(60), entry(1)).at_the_latest());
        milestones.set(Milestone::Detected, Mark::new(at(60), source(), at(60), entry(1)));
        milestones.set(Milestone::Resolved, Mark::new(at(-5), source(), at(99), entry(2)));
        let shown = milestones.measures().map(|measure| format!("{} = {}", measure.formula, measure.words()));
        assert_eq!(
            shown,
            [
                "detected − started = at least 1 min 0 s",
                "acknowledged − detected = unknown",
                "mitigated − started = unknown",
                "resolved − started = unknown",
            ]
        );
        // A person who knows when it began makes it exact, and the alert's bound stays known.
        assert!(milestones.set(Milestone::Started, Mark::new(at(-60), ada(), at(200), entry(3))));
        assert_eq!(milestones.measures()[0].words(), "2 min 0 s");
        assert_eq!(milestones.latest_start(), Some(at(0)));
    }

    #[test]
    fn nothing_can_be_set_before_the_start() {
        let mut milestones = Milestones::default();
        milestones.set(Milestone::Started, Mark::new(at(10), ada(), at(10), entry(1)));
        assert_eq!(milestones.conflict(Milestone::Mitigated, at(9)), Some((Milestone::Started, at(10))));
        assert_eq!(milestones.conflict(Milestone::Mitigated, at(10)), None);
        milestones.set(Milestone::Detected, Mark::new(at(12), source(), at(12), entry(1)));
        assert_eq!(milestones.conflict(Milestone::Started, at(13)), Some((Milestone::Detected, at(12))));
    }

    #[test]
    fn milestones_read_back_as_they_were_written() {
        let mut milestones = Milestones::default();
        milestones.set(Milestone::Started, Mark::new(at(1), source(), at(2), entry(1)).at_the_latest());
        milestones.void(Milestone::Started, entry(2));
        let text = serde_json::to_string(&milestones).unwrap();
        assert_eq!(serde_json::from_str::<Milestones>(&text).unwrap(), milestones);
    }
}
