//! A silence and how it stands at a moment.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::{
    alerts::{Labels, Matcher},
    ids::SilenceId,
    people::Actor,
    time::Time,
};

/// An order to hold alerts back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its name in chat.
    pub id: SilenceId,
    /// Its name in Alertmanager's API.
    pub uuid: String,
    /// All of these must hold for an alert's labels.
    pub matchers: Arc<[Matcher]>,
    /// From when on it holds.
    pub starts_at: Time,
    /// From when on it does not hold any more.
    pub ends_at: Time,
    /// Whose it is, in the words of who set it.
    pub author: String,
    /// Why, in the words of who set it.
    pub comment: String,
    /// What else a tool wrote down with it.
    pub annotations: BTreeMap<String, String>,
    /// Who set it, or changed it last.
    pub set_by: Actor,
    /// When it was set or changed last.
    pub updated_at: Time,
    /// How people were last told that it stands: behind [`state`](Self::state) only until the timer is heard.
    pub told: SilenceState,
}

/// How a silence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceState {
    /// It holds alerts back.
    Active,
    /// It will.
    Pending,
    /// It does not any more.
    Expired,
}

impl SilenceState {
    /// The word for it, as it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            SilenceState::Active => "active",
            SilenceState::Pending => "pending",
            SilenceState::Expired => "expired",
        }
    }
}

impl std::str::FromStr for SilenceState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [SilenceState::Active, SilenceState::Pending, SilenceState::Expired];
        all.into_iter().find(|state| state.word() == word).ok_or_else(|| format!("`{word}` is no state of a silence"))
    }
}

impl fmt::Display for SilenceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Silence {
    /// How it stands at this moment.
    pub fn state(&self, now: Time) -> SilenceState {
        if now >= self.ends_at {
            SilenceState::Expired
        } else if now < self.starts_at {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// Whether it is about an alert with these labels, whatever the time.
    pub fn matches(&self, labels: &Labels) -> bool {
        Matcher::first_unmet(&self.matchers, labels).is_none()
    }

    /// Its matchers, as people read them: `{alertname="Disk", env=~"prod.*"}`.
    pub fn written(&self) -> String {
        let matchers: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
        format!("{{{}}}", matchers.join(", "))
    }
}

/// The name of a silence in Alertmanager's API: a UUID of version 8, made from the store's own name and the number.
///
/// It is made and not drawn, so that a decision that runs again comes to the same.
pub fn uuid(store: &str, id: SilenceId) -> String {
    let hash = Sha256::digest(format!("{store} {id}"));
    let mut text = hex::encode(&hash[..16]);
    text.replace_range(12..13, "8");
    text.replace_range(16..17, "8");
    for place in [20, 16, 12, 8] {
        text.insert(place, '-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::people::PersonId;

    #[test]
    fn its_state_is_a_matter_of_time() {
        let at = Time::from_millis;
        let silence = Silence {
            id: SilenceId(1),
            uuid: String::new(),
            matchers: [Matcher::parse("a=b").unwrap(), Matcher::parse("c=~\"d.*\"").unwrap()].into(),
            starts_at: at(10),
            ends_at: at(20),
            author: "ana".to_owned(),
            comment: String::new(),
            annotations: BTreeMap::new(),
            set_by: Actor::Person(PersonId("ana".to_owned())),
            updated_at: at(5),
            told: SilenceState::Pending,
        };
        let states = [9, 10, 19, 20].map(|millis| silence.state(at(millis)));
        assert_eq!(states.map(SilenceState::word), ["pending", "active", "active", "expired"]);
        assert_eq!(silence.written(), r#"{a="b", c=~"d.*"}"#);
        assert!(silence.matches(&Labels::from_iter([("a", "b"), ("c", "d1")])));
        assert!(!silence.matches(&Labels::from_iter([("a", "b")])), "all of them must hold");
    }

    #[test]
    fn its_uuid_is_one() {
        let text = uuid("store", SilenceId(7));
        let parsed = uuid::Uuid::parse_str(&text).unwrap();
        assert_eq!((parsed.get_version_num(), parsed.get_variant()), (8, uuid::Variant::RFC4122));
        assert_eq!(parsed.to_string(), text);
        assert_ne!(text, uuid("store", SilenceId(8)));
        assert_ne!(text, uuid("other", SilenceId(7)));
    }
}
