//! When to cry for help another way: pure rules over what is wrong and what was said of it already.
//!
//! Somebody is told at once, and again while it lasts, but never in a flood: what comes together is told together.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{duration, time::Time};

/// So long nothing could be written, or read, before it is an emergency.
pub const UNWRITTEN: Duration = Duration::from_secs(30);
/// So long a page waited for the chat before it goes out another way.
pub const UNDELIVERED: Duration = Duration::from_mins(1);

/// Told again after this while it lasts.
const AGAIN: Duration = Duration::from_mins(15);
/// The least time between two cries about pages.
const APART: Duration = Duration::from_mins(1);
/// The pause after a cry that nobody took.
const AFTER_FAILURE: Duration = Duration::from_secs(15);
/// The most pages that one cry spells out.
const SPELLED: usize = 5;

/// What is wrong with the bot itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Since how long nothing could be written, and what the store says.
    pub unwritten: Option<(Duration, String)>,
    /// Since how long the outbox cannot be read, so that nobody knows which pages wait, and why.
    pub unread: Option<(Duration, String)>,
    /// Pages that wait too long: what each is known by, since when, and what it says.
    pub pages: Vec<(String, Time, String)>,
}

/// A cry for help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cry {
    /// What it says.
    pub text: String,
    about: Vec<String>,
}

impl Cry {
    /// The pages that it is about, by what each is known by.
    pub fn pages(&self) -> Vec<String> {
        self.about.iter().filter(|about| *about != STORE).cloned().collect()
    }
}

/// What was cried already.
#[derive(Debug, Clone, Default)]
pub struct Alarm {
    told: BTreeMap<String, Time>,
    pages_at: Option<Time>,
    not_before: Option<Time>,
}

const STORE: &str = "store";
const READS: &str = "reads";

impl Alarm {
    /// What is to be cried, if anything.
    pub fn cry(&mut self, trouble: &Trouble, now: Time) -> Option<Cry> {
        let lasts = |what: &Option<(Duration, String)>| what.as_ref().is_some_and(|(length, _)| *length >= UNWRITTEN);
        let (is_unwritten, is_unread) = (lasts(&trouble.unwritten), lasts(&trouble.unread));
        // What is over may be cried anew when it comes back.
        self.told.retain(|about, _| match about.as_str() {
            STORE => is_unwritten,
            READS => is_unread,
            // Nobody knows whether it still waits.
            _ if trouble.unread.is_some() => true,
            page => trouble.pages.iter().any(|(key, ..)| key == page),
        });
        if self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        if let Some((length, why)) = trouble.unwritten.as_ref().filter(|_| is_unwritten && self.is_due(STORE, now)) {
            let text = format!(
                "Firewarden cannot write anything for {}: {why}\nAlerts are answered with 503 until it can.",
                duration::human(*length)
            );
            return Some(Cry { text, about: vec![STORE.to_owned()] });
        }
        if let Some((length, why)) = trouble.unread.as_ref().filter(|_| is_unread && self.is_due(READS, now)) {
            let text = format!(
                "Firewarden cannot read its store for {}: {why}\nNobody knows which pages wait: look at the incidents yourself.",
                duration::human(*length)
            );
            return Some(Cry { text, about: vec![READS.to_owned()] });
        }
        if self.pages_at.is_some_and(|at| now < at + APART) {
            return None;
        }
        let due: Vec<_> = trouble
            .pages
            .iter()
            .filter(|(key, since, _)| now.since(*since) >= UNDELIVERED && self.is_due(key, now))
            .collect();
        let (_, oldest, _) = due.first()?;
        let count = if due.len() == 1 { "A page waits".to_owned() } else { format!("{} pages wait", due.len()) };
        let mut text = format!("{count} for {} and the chat takes none:", duration::human(now.since(*oldest)));
        for (_, _, page) in due.iter().take(SPELLED) {
            text.push_str(&format!("\n{page}"));
        }
        if due.len() > SPELLED {
            text.push_str(&format!("\nand {} more", due.len() - SPELLED));
        }
        Some(Cry { text, about: due.iter().map(|(key, ..)| key.clone()).collect() })
    }

    /// The cry was taken.
    pub fn heard(&mut self, cry: Cry, now: Time) {
        self.not_before = None;
        if cry.about.iter().any(|about| about != STORE && about != READS) {
            self.pages_at = Some(now);
        }
        self.told.extend(cry.about.into_iter().map(|about| (about, now)));
    }

    /// Nobody took the cry: it is tried again soon.
    pub fn unheard(&mut self, now: Time) {
        self.not_before = Some(now + AFTER_FAILURE);
    }

    fn is_due(&self, about: &str, now: Time) -> bool {
        self.told.get(about).is_none_or(|at| now >= *at + AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> Time {
        Time::EPOCH + Duration::from_secs(second)
    }

    fn unwritten(seconds: u64) -> Trouble {
        Trouble { unwritten: Some((Duration::from_secs(seconds), "no space is left".to_owned())), ..Trouble::default() }
    }

    fn page(key: &str, since: u64) -> (String, Time, String) {
        (key.to_owned(), second(since), format!("text of {key}"))
    }

    #[test]
    fn a_store_that_cannot_be_written_is_cried_after_half_a_minute_and_not_in_a_flood() {
        let mut alarm = Alarm::default();
        assert_eq!(alarm.cry(&unwritten(29), second(29)), None);
        let cry = alarm.cry(&unwritten(30), second(30)).unwrap();
        assert!(cry.text.starts_with("Firewarden cannot write anything for 30 s: no space is left"), "{}", cry.text);
        alarm.heard(cry, second(30));
        assert_eq!(alarm.cry(&unwritten(60), second(60)), None);
        assert!(alarm.cry(&unwritten(930), second(930)).is_some());
        assert_eq!(alarm.cry(&Trouble::default(), second(931)), None);
        assert!(alarm.cry(&unwritten(30), second(1000)).is_some());
    }

    #[test]
    fn a_cry_that_nobody_took_is_tried_again() {
        let mut alarm = Alarm::default();
        alarm.cry(&unwritten(30), second(30)).unwrap();
        alarm.unheard(second(30));
        assert_eq!(alarm.cry(&unwritten(40), second(40)), None);
        assert!(alarm.cry(&unwritten(45), second(45)).is_some());
    }

    #[test]
    fn pages_that_wait_are_told_together_and_each_once() {
        let mut alarm = Alarm::default();
        let mut trouble = Trouble { pages: vec![page("a", 0), page("b", 10)], ..Trouble::default() };
        assert_eq!(alarm.cry(&trouble, second(59)), None);
        let cry = alarm.cry(&trouble, second(75)).unwrap();
        assert_eq!(cry.text, "2 pages wait for 1 min 15 s and the chat takes none:\ntext of a\ntext of b");
        alarm.heard(cry, second(75));
        trouble.pages.push(page("c", 20));
        assert_eq!(alarm.cry(&trouble, second(100)), None);
        let cry = alarm.cry(&trouble, second(135)).unwrap();
        assert!(cry.text.ends_with("none:\ntext of c"), "{}", cry.text);
    }

    #[test]
    fn a_store_that_cannot_be_read_is_trouble_and_forgets_no_page() {
        let mut alarm = Alarm::default();
        let waits = Trouble { pages: vec![page("a", 0)], ..Trouble::default() };
        let cry = alarm.cry(&waits, second(60)).unwrap();
        alarm.heard(cry, second(60));
        let unread = |seconds| Trouble {
            unread: Some((Duration::from_secs(seconds), "the file is damaged".to_owned())),
            ..Trouble::default()
        };
        assert_eq!(alarm.cry(&unread(29), second(150)), None);
        let cry = alarm.cry(&unread(30), second(151)).unwrap();
        assert!(cry.text.starts_with("Firewarden cannot read its store for 30 s: the file is damaged"), "{}", cry.text);
        alarm.heard(cry, second(151));
        assert_eq!(alarm.cry(&unread(60), second(181)), None);
        assert_eq!(alarm.cry(&waits, second(200)), None, "what was told before is not told as if it were new");
    }
}
