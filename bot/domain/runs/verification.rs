//! Whether it helped: what the looks of a verification come to.
//!
//! It is good once it stayed good for long enough, and bad as soon as one look says so. What could not be measured is
//! never good and never bad: when the time is over, people say.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::{duration, time::Time};

/// The most samples that are kept of a verification.
pub const MOST_SAMPLES: usize = 120;
/// How much longer than two pauses there may be between two looks without anything being unknown of the time between.
const SLACK: Duration = Duration::from_secs(30);

/// What one look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It is good.
    Good,
    /// It is bad.
    Bad,
    /// It is neither.
    Neither,
    /// It could not be measured.
    Unknown,
}

/// One look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When.
    pub at: Time,
    /// What it says.
    pub seen: Seen,
    /// The value, if there is one.
    pub value: Option<f64>,
    /// The traffic, if it was measured.
    pub traffic: Option<f64>,
    /// Why nothing can be told.
    pub why: Option<String>,
}

impl Look {
    /// A look that could not be measured, for this reason.
    pub fn unknown(at: Time, why: impl Into<String>) -> Self {
        Self { at, seen: Seen::Unknown, value: None, traffic: None, why: Some(why.into()) }
    }
}

/// What the looks come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It stayed good for long enough, since this moment.
    Held(Time),
    /// It is not good, for this reason.
    Bad(String),
    /// There is more to look at.
    NotYet,
    /// The time is over and nothing can be told, for this reason.
    CannotTell(String),
}

/// What the looks, in their order, come to. `is_late` says that the time for them is over.
pub fn judge(looks: &[Look], (held, every): (Duration, Duration), is_late: bool) -> Judgement {
    let Some(last) = looks.last() else { return Judgement::NotYet };
    let value = || last.value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
    match last.seen {
        Seen::Bad => Judgement::Bad(format!("the value is {}", value())),
        Seen::Good => {
            let since = good_since(looks, every * 2 + SLACK).unwrap_or(last.at);
            // At the end of the time, what is good is looked at for as long as it takes to have stayed so.
            if last.at.since(since) >= held { Judgement::Held(since) } else { Judgement::NotYet }
        }
        Seen::Neither if is_late => {
            let what = format!("it was not good for {} in time: the value is {}", duration::compact(held), value());
            Judgement::Bad(what)
        }
        Seen::Unknown if is_late => {
            Judgement::CannotTell(last.why.clone().unwrap_or_else(|| "nothing was measured".to_owned()))
        }
        Seen::Neither | Seen::Unknown => Judgement::NotYet,
    }
}

/// Since when every look says good, with no gap between two that is longer than this.
fn good_since(looks: &[Look], gap: Duration) -> Option<Time> {
    let mut since: Option<Time> = None;
    for look in looks.iter().rev() {
        if look.seen != Seen::Good || since.is_some_and(|later| later.since(look.at) > gap) {
            break;
        }
        since = Some(look.at);
    }
    since
}

/// The samples by which was judged, thinned out evenly if there are too many; the last is always there.
pub fn samples(looks: &[Look]) -> Value {
    let step = looks.len().div_ceil(MOST_SAMPLES).max(1);
    let kept = looks.iter().rev().step_by(step).collect::<Vec<_>>().into_iter().rev();
    kept.map(|look| json!({ "at": look.at, "value": look.value, "traffic": look.traffic })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(15));

    fn look(second: i64, seen: Seen) -> Look {
        let at = Time::from_millis(second * 1_000);
        Look { value: Some(0.5), why: None, seen, ..Look::unknown(at, "") }
    }

    fn looks(all: &[(i64, Seen)]) -> Vec<Look> {
        all.iter().map(|(second, seen)| look(*second, *seen)).collect()
    }

    #[test]
    fn good_has_to_last_and_counts_from_its_first_look() {
        let good = |seconds: &[i64]| looks(&seconds.iter().map(|at| (*at, Seen::Good)).collect::<Vec<_>>());
        assert_eq!(judge(&good(&[0, 15, 30, 45]), WANTED, false), Judgement::NotYet);
        assert_eq!(judge(&good(&[0, 15, 30, 45, 60]), WANTED, false), Judgement::Held(Time::EPOCH));
        let broken = looks(&[(0, Seen::Good), (15, Seen::Unknown), (30, Seen::Good), (60, Seen::Good)]);
        assert_eq!(judge(&broken, WANTED, false), Judgement::NotYet, "what was not measured was not good");
        assert_eq!(judge(&good(&[0, 600]), WANTED, false), Judgement::NotYet, "nobody looked for ten minutes");
        assert_eq!(judge(&good(&[0, 15]), WANTED, true), Judgement::NotYet, "it is good, only not for long enough yet");
    }

    #[test]
    fn bad_is_said_at_once_and_unknown_never() {
        let bad = looks(&[(0, Seen::Good), (15, Seen::Bad)]);
        assert!(matches!(judge(&bad, WANTED, false), Judgement::Bad(_)));
        let between = looks(&[(0, Seen::Neither)]);
        assert_eq!(judge(&between, WANTED, false), Judgement::NotYet);
        assert!(matches!(judge(&between, WANTED, true), Judgement::Bad(_)), "it was measured, and it was not good");
        let unknown = [Look::unknown(Time::EPOCH, "no series")];
        assert_eq!(judge(&unknown, WANTED, false), Judgement::NotYet);
        assert_eq!(judge(&unknown, WANTED, true), Judgement::CannotTell("no series".to_owned()));
    }

    #[test]
    fn samples_are_bounded_and_end_with_the_last() {
        let many: Vec<Look> = (0..1_000).map(|second| look(second, Seen::Neither)).collect();
        let kept = samples(&many);
        let kept = kept.as_array().unwrap();
        assert!(kept.len() <= MOST_SAMPLES && kept.len() > MOST_SAMPLES / 2, "{}", kept.len());
        assert_eq!(kept.last().unwrap()["at"], json!(many.last().unwrap().at));
    }
}
