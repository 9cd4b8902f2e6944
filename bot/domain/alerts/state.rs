//! One alert as it stands: its state, its episode, and who still says that it fires.
//!
//! Each replica of each source is a voice of its own, so that one of them resolving does not hide that another still
//! fires. Of one voice the latest statement wins.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::domain::{
    alerts::labels::{Identity, Labels},
    duration,
    ids::AlertKey,
    time::Time,
};

/// Whether an alert fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// A source says that it fires, and still vouches for it.
    Firing,
    /// Every source that said it fires has said that it is over.
    Resolved,
    /// It fired, and its source fell silent. Nothing is known of it; it is not recovered.
    Stale,
}

impl AlertState {
    /// The word for it, as it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
            AlertState::Stale => "stale",
        }
    }

    /// The state that this word names.
    pub fn named(word: &str) -> Option<Self> {
        [AlertState::Firing, AlertState::Resolved, AlertState::Stale].into_iter().find(|state| state.word() == word)
    }
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An alert as it stands. Times are the bot's clock, but for those that a source gives, which say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its identity.
    pub key: AlertKey,
    /// Its labels, without those of replicas.
    pub labels: Labels,
    /// The latest texts about it.
    pub annotations: BTreeMap<String, String>,
    /// The source's page about it.
    pub generator_url: Option<String>,
    /// The source that spoke last.
    pub source: String,
    /// Whether it fires.
    pub state: AlertState,
    /// How often it began to fire, from 1. With the key, it names one fault.
    pub episode: u32,
    /// When the episode began, by the source's clock and the earliest that any replica says.
    pub starts_at: Option<Time>,
    /// When the first statement about it came.
    pub first_seen: Time,
    /// When the statement that began the episode came.
    pub fired_at: Time,
    /// When the latest statement that counted came.
    pub last_seen: Time,
    /// When it ended, while it is resolved: by the source's clock, else when the statement came; never in the future.
    pub resolved_at: Option<Time>,
    /// The latest changes of its state, oldest first; only as many as make it flap.
    pub changes: Vec<Time>,
    /// Whether it changes too often for automation to act on it.
    pub flapping: bool,
    /// What each voice said last: by source, with the replica if one is named (`prometheus replica=a`).
    pub voices: BTreeMap<String, Voice>,
}

/// What one replica of one source said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    /// Whether it said that the alert fires.
    pub firing: bool,
    /// When the episode began, by its own clock.
    pub starts_at: Option<Time>,
    /// The beginning of the newest episode that it ended.
    pub ended: Option<Time>,
    /// When it said so, while it does not say that the alert fires.
    pub cleared_at: Option<Time>,
    /// When it last said that the alert fires.
    pub heard_at: Time,
    /// Until when it vouches for that, by its own clock, if it says so.
    pub ends_at: Option<Time>,
    /// When its silence is noticed.
    pub deadline: Time,
    /// A firing that came so soon after the end of the same episode that it may only have been delivered late.
    pub doubted: Option<Doubted>,
}

/// A firing that is taken for a new episode if its voice does not say until a moment that it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubted {
    /// When it came.
    pub heard_at: Time,
    /// When it counts.
    pub until: Time,
    /// Until when the voice vouches for it, by its own clock, if it says so.
    pub ends_at: Option<Time>,
    /// When its silence is noticed.
    pub deadline: Time,
}

/// The most voices that are kept for one alert; the longest unheard goes first, those that resolved before the rest.
pub const VOICES: usize = 32;

impl Alert {
    /// When its silence is noticed, while it fires.
    pub fn deadline(&self) -> Option<Time> {
        let voices = self.voices.values().filter(|voice| voice.firing);
        voices.map(|voice| voice.deadline).max().filter(|_| self.state == AlertState::Firing)
    }

    /// Since when nothing was heard of it, while it is stale.
    pub fn silent_since(&self) -> Option<Time> {
        let voices = self.voices.values().filter(|voice| voice.firing);
        voices.map(|voice| voice.heard_at).max().filter(|_| self.state == AlertState::Stale)
    }

    /// The last moment at which it is known to have fired: `now` while it does.
    pub fn last_fired(&self, now: Time) -> Time {
        match self.state {
            AlertState::Firing => now,
            AlertState::Resolved => self.resolved_at.unwrap_or(self.last_seen),
            AlertState::Stale => self.silent_since().unwrap_or(self.last_seen),
        }
    }

    /// When [`sweep`](super::sweep) should look at it next, if nothing is heard before.
    pub fn due_at(&self, settings: &Settings) -> Option<Time> {
        let calm = self.changes.last().map(|last| *last + settings.flapping_within).filter(|_| self.flapping);
        let doubted = self.voices.values().filter_map(|voice| voice.doubted).map(|doubted| doubted.until).min();
        [self.deadline(), calm, doubted].into_iter().flatten().min()
    }
}

/// What the configuration says about alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The labels that tell replicas apart.
    pub replica_labels: Identity,
    /// How long a source may be silent about a firing alert that came without an end of its own. Longer than the
    /// sender's repeat interval (4 h in Alertmanager, by default), or every alert goes stale between two repeats.
    #[serde(with = "duration")]
    pub silent_after: Duration,
    /// The same for single sources, by name.
    pub silent_after_of: BTreeMap<String, Silence>,
    /// A firing that began this much after the alert was last heard is a new one, whose predecessor's end was missed.
    #[serde(with = "duration")]
    pub new_episode_after: Duration,
    /// So long after a resolved, a firing that began at the same moment may be one that was delivered late: it counts only
    /// then, if no resolved came after it. It may as well be a new one: Alertmanager resolves what it does not hear of, and
    /// when it hears again the beginning is the same.
    #[serde(with = "duration")]
    pub late_within: Duration,
    /// So many changes of state make an alert flap,
    pub flapping_changes: usize,
    /// within this time; so long without one ends it.
    #[serde(with = "duration")]
    pub flapping_within: Duration,
}

/// A length of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Silence(#[serde(with = "duration")] pub Duration);

impl Default for Settings {
    /// Silent after 5 hours; a new episode after 2 minutes; late within 2 minutes; flapping at 3 changes in 15 minutes.
    fn default() -> Self {
        Self {
            replica_labels: Identity::default(),
            silent_after: Duration::from_hours(5),
            silent_after_of: BTreeMap::new(),
            new_episode_after: Duration::from_mins(2),
            late_within: Duration::from_mins(2),
            flapping_changes: 3,
            flapping_within: Duration::from_mins(15),
        }
    }
}

impl Settings {
    /// How long this source may be silent about a firing alert.
    pub fn silent_after(&self, source: &str) -> Duration {
        self.silent_after_of.get(source).map_or(self.silent_after, |silence| silence.0)
    }
}
