//! What somebody wants silenced, held against the limits; and whether a silence can become it.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{
    alerts::{Labels, Matcher, matchers},
    duration,
    silences::{Silence, SilenceState},
    time::Time,
};

/// The most matchers of one silence.
pub const MATCHERS: usize = 50;
/// The most characters of a comment.
pub const COMMENT: usize = 2_000;
/// The most characters of an author's name.
pub const AUTHOR: usize = 200;
/// The most annotations, and the most bytes of all of them.
pub const ANNOTATIONS: (usize, usize) = (32, 8_192);
/// The longest that a silence may last, and the latest that it may begin from now on.
pub const LONGEST: Duration = duration::LONGEST;
/// The most silences that are not over.
pub const STANDING: usize = 1_000;

/// A silence that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// All of these must hold for an alert's labels.
    pub matchers: Vec<Matcher>,
    /// From when on; a moment that has passed stands for now.
    pub starts_at: Time,
    /// Until when.
    pub ends_at: Time,
    /// Whose it is.
    pub author: String,
    /// Why.
    pub comment: String,
    /// What else a tool wrote down.
    pub annotations: BTreeMap<String, String>,
}

/// Why something cannot be silenced as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Unfit {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub hint: &'static str,
}

impl Wanted {
    /// Refuses what cannot be silenced.
    ///
    /// # Errors
    /// The first limit that does not hold.
    pub fn check(&self, now: Time) -> Result<(), Unfit> {
        let unfit = |what: String, hint: &'static str| Err(Unfit { what, hint });
        if self.matchers.is_empty() {
            return unfit("a silence needs a matcher".to_owned(), "such as `alertname=\"DiskFull\"`");
        }
        if self.matchers.len() > MATCHERS {
            let what = format!("it has `{}` matchers, at most {MATCHERS} are taken", self.matchers.len());
            return unfit(what, "put several values into one pattern: `pod=~\"a|b\"`");
        }
        if let Some(long) = self.matchers.iter().find(|matcher| matcher.to_string().len() > matchers::LONGEST) {
            let what = format!("a matcher of `{}` is longer than {} bytes", shown(long.name()), matchers::LONGEST);
            return unfit(what, "write a shorter pattern");
        }
        if Matcher::first_unmet(&self.matchers, &Labels::default()).is_none() {
            let what = "it would silence every alert: no matcher asks for a label".to_owned();
            return unfit(what, "give one that an alert without labels does not fulfil");
        }
        if self.ends_at <= self.starts_at {
            return unfit("it ends before it begins".to_owned(), "give an end after the start");
        }
        if self.ends_at <= now {
            return unfit("its end has passed".to_owned(), "give an end in the future");
        }
        if self.ends_at.since(self.starts_at.max(now)) > LONGEST || self.starts_at.since(now) > LONGEST {
            let longest = duration::compact(LONGEST);
            return unfit(
                format!("it is longer, or later, than `{longest}`"),
                "silence for less, and again when it ends",
            );
        }
        for (name, text, most) in [("comment", &self.comment, COMMENT), ("author", &self.author, AUTHOR)] {
            let length = text.chars().count();
            if length > most {
                return unfit(
                    format!("its {name} is `{length}` characters long, the most is {most}"),
                    "say it shorter",
                );
            }
        }
        let bytes: usize = self.annotations.iter().map(|(name, text)| name.len() + text.len()).sum();
        if self.annotations.len() > ANNOTATIONS.0 || bytes > ANNOTATIONS.1 {
            let what =
                format!("its annotations are more than {} or longer than {} bytes", ANNOTATIONS.0, ANNOTATIONS.1);
            return unfit(what, "say it in the comment");
        }
        Ok(())
    }

    /// Whether the silence can become this without another past: what it has silenced so far stays what it was.
    ///
    /// Else it ends and another one begins, as Alertmanager has it.
    pub fn may_change(&self, silence: &Silence, now: Time) -> bool {
        let is_same = |a: Time, b: Time| a.millis().div_euclid(1_000) == b.millis().div_euclid(1_000);
        self.matchers == *silence.matchers
            && match silence.state(now) {
                SilenceState::Active => is_same(self.starts_at, silence.starts_at),
                SilenceState::Pending => self.starts_at >= now,
                SilenceState::Expired => false,
            }
    }
}

fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{alerts::Operator, ids::SilenceId, people::Actor};

    const NOW: Time = Time::EPOCH;
    const MINUTE: Duration = Duration::from_mins(1);

    fn wanted() -> Wanted {
        Wanted {
            matchers: vec![Matcher::parse("alertname=A").unwrap()],
            starts_at: NOW,
            ends_at: NOW + MINUTE,
            author: "ana".to_owned(),
            comment: "why".to_owned(),
            annotations: BTreeMap::new(),
        }
    }

    fn many(count: usize) -> Vec<Matcher> {
        (0..count).map(|number| Matcher::parse(&format!("l{number}=v")).unwrap()).collect()
    }

    #[test]
    fn what_is_at_a_limit_is_taken_and_what_is_over_it_is_not() {
        let base = wanted();
        let ends = |ends_at| Wanted { ends_at, ..base.clone() };
        let comment = |length: usize| Wanted { comment: "é".repeat(length), ..base.clone() };
        let author = |length: usize| Wanted { author: "é".repeat(length), ..base.clone() };
        let notes = |bytes: usize| Wanted { annotations: [("n".to_owned(), "x".repeat(bytes))].into(), ..base.clone() };
        let matched = |matchers| Wanted { matchers, ..base.clone() };
        let any = || vec![Matcher::parse("a=~\".*\"").unwrap(), Matcher::parse("b!=c").unwrap()];
        let value = |length: usize| Matcher::new("a", Operator::Equal, "x".repeat(length)).unwrap();
        let later = |starts_at| Wanted { starts_at, ends_at: starts_at + MINUTE, ..base.clone() };
        for (fits, unfit, says) in [
            (matched(many(MATCHERS)), matched(many(MATCHERS + 1)), "it has `51` matchers"),
            (matched(vec![value(4_092)]), matched(vec![value(4_093)]), "a matcher of `a` is longer than 4096 bytes"),
            (base.clone(), matched(Vec::new()), "a silence needs a matcher"),
            (matched([any(), many(1)].concat()), matched(any()), "it would silence every alert"),
            (ends(NOW + LONGEST), ends(NOW + LONGEST + MINUTE), "it is longer, or later, than `365d`"),
            (later(NOW + LONGEST), later(NOW + LONGEST + MINUTE), "it is longer, or later, than `365d`"),
            (base.clone(), ends(NOW), "it ends before it begins"),
            (later(NOW - MINUTE / 2), later(NOW - MINUTE), "its end has passed"),
            (comment(COMMENT), comment(COMMENT + 1), "its comment is `2001` characters long"),
            (author(AUTHOR), author(AUTHOR + 1), "its author is `201` characters long"),
            (notes(ANNOTATIONS.1 - 1), notes(ANNOTATIONS.1), "its annotations are more than 32 or longer"),
        ] {
            assert_eq!(fits.check(NOW), Ok(()), "{says}");
            let said = unfit.check(NOW).unwrap_err().to_string();
            assert!(said.starts_with(says), "{said}");
        }
    }

    #[test]
    fn a_silence_becomes_another_only_if_its_past_stays() {
        let base = wanted();
        let silence = Silence {
            id: SilenceId(1),
            uuid: String::new(),
            matchers: Arc::from(base.matchers.clone()),
            starts_at: NOW,
            ends_at: NOW + 10 * MINUTE,
            author: base.author.clone(),
            comment: base.comment.clone(),
            annotations: BTreeMap::new(),
            set_by: Actor::Bot,
            updated_at: NOW,
            told: SilenceState::Active,
        };
        let longer = Wanted { ends_at: NOW + 60 * MINUTE, comment: "other".to_owned(), ..base.clone() };
        let later = NOW + MINUTE;
        assert!(longer.may_change(&silence, later), "end and comment may move");
        assert!(!Wanted { starts_at: later, ..longer.clone() }.may_change(&silence, later));
        assert!(!Wanted { matchers: many(1), ..longer.clone() }.may_change(&silence, later));
        assert!(!longer.may_change(&silence, NOW + 11 * MINUTE), "one that is over stays over");
        let pending = Silence { starts_at: NOW + 5 * MINUTE, ..silence };
        assert!(Wanted { starts_at: NOW + 2 * MINUTE, ..longer.clone() }.may_change(&pending, later));
        assert!(!longer.may_change(&pending, later), "one that was to begin later has not held before");
    }
}
