//! What statements and the passing of time do to alerts.
//!
//! Only an explicit statement resolves an alert; a deadline that passes makes it stale. A statement about an episode
//! that is known to be over changes nothing, however late it comes. Every change of state is told as a [`Change`].

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::domain::{
    alerts::{
        signal::{Says, Signal},
        state::{Alert, AlertState, Doubted, Settings, VOICES, Voice},
    },
    ids::AlertKey,
    time::Time,
};

/// What happened to one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub what: What,
    /// The alert as it stands after it.
    pub alert: Arc<Alert>,
    /// The source whose statement caused it; none if it was the passing of time.
    pub source: Option<String>,
    /// When it happened by the source's clock, if the source says so.
    pub source_at: Option<Time>,
}

/// The kinds of change. Those that [`moves`](What::moves) change the state or begin an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It fires for the first time.
    Fired,
    /// It fires again after it was resolved, or after an end that no source told: a new episode.
    Refired,
    /// It was stale, and a source says that it still fires: the same episode goes on.
    HeardAgain,
    /// Said before; nothing new but that it was heard.
    Repeated,
    /// One replica says that it is over; another still says, or said last, that it fires.
    ReplicaResolved,
    /// A source said that it is over, and none says otherwise.
    Resolved,
    /// Resolved, but it was never known to fire: ignored, and not kept.
    ResolvedUnknown,
    /// A statement about an episode that is over, come late: ignored.
    Older,
    /// A firing so soon after the end of the same episode that it may be an old one: it waits for a word to the contrary.
    Doubted,
    /// Its deadline passed without a word.
    WentStale,
    /// Its deadline passed while nobody could be heard, so its source gets one more window.
    Extended,
    /// It changes too often; automation must not act on it.
    FlappingStarted,
    /// It has been quiet for long enough.
    FlappingEnded,
}

impl What {
    /// Whether it is a change of state or the beginning of an episode; these count towards flapping.
    pub fn moves(self) -> bool {
        match self {
            What::Fired | What::Refired | What::HeardAgain | What::Resolved | What::WentStale => true,
            What::Repeated
            | What::ReplicaResolved
            | What::ResolvedUnknown
            | What::Older
            | What::Doubted
            | What::Extended
            | What::FlappingStarted
            | What::FlappingEnded => false,
        }
    }

    /// Whether an episode begins with it.
    pub fn begins_episode(self) -> bool {
        matches!(self, What::Fired | What::Refired)
    }
}

/// What came of some statements or of the passing of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// What happened, in order: at least one for each statement.
    pub list: Vec<Change>,
    /// The alerts to be written, as they stand after all of it.
    pub alerts: BTreeMap<AlertKey, Arc<Alert>>,
}

impl Changes {
    fn tell(&mut self, what: What, alert: &Arc<Alert>, cause: Option<(&Signal, Option<Time>)>) {
        let source = cause.map(|(signal, _)| signal.source.clone());
        let source_at = cause.and_then(|(_, at)| at);
        self.list.push(Change { what, alert: Arc::clone(alert), source, source_at });
    }

    /// Keeps the alert as it stands, which the last change has told.
    fn keep_last(&mut self) {
        if let Some(Change { alert, .. }) = self.list.last() {
            self.alerts.insert(alert.key.clone(), Arc::clone(alert));
        }
    }

    fn calm(&mut self, alert: &mut Alert, now: Time, settings: &Settings) {
        let last = alert.changes.last().copied().unwrap_or(alert.first_seen);
        if alert.flapping && now.since(last) >= settings.flapping_within {
            alert.flapping = false;
            self.tell(What::FlappingEnded, &Arc::new(alert.clone()), None);
        }
    }
}

/// What these statements, in this order, do to the alerts that are known. Statements about others begin new ones.
///
/// Each statement comes with the identity of its alert. `known` need only hold the alerts that the statements are about.
/// Folding all at once or one after the other comes to the same.
pub fn fold<'a>(
    known: &BTreeMap<AlertKey, Arc<Alert>>,
    signals: impl IntoIterator<Item = (&'a AlertKey, &'a Signal)>,
    now: Time,
    settings: &Settings,
) -> Changes {
    let mut changes = Changes::default();
    for signal in signals {
        take(&mut changes, known, signal, now, settings);
    }
    changes
}

/// What the passing of time does to these alerts: silence makes them stale, quiet ends flapping, and a doubted firing
/// that nobody took back counts.
pub fn sweep<'a>(alerts: impl IntoIterator<Item = &'a Arc<Alert>>, now: Time, settings: &Settings) -> Changes {
    let mut changes = Changes::default();
    for before in alerts {
        let mut alert = Alert::clone(before);
        changes.calm(&mut alert, now, settings);
        believe(&mut changes, &mut alert, (now, settings));
        if alert.deadline().is_some_and(|deadline| deadline <= now) {
            alert.state = AlertState::Stale;
            alert = Alert::clone(&settle(&mut changes, What::WentStale, alert, None, (now, settings)));
        }
        if alert != **before {
            changes.alerts.insert(alert.key.clone(), Arc::new(alert));
        }
    }
    changes
}

/// Gives sources one more window after nobody could be heard: the bot was down, or nothing could be written.
///
/// To be called before anything else is folded or swept, with all alerts that are due.
pub fn after_deafness<'a>(alerts: impl IntoIterator<Item = &'a Arc<Alert>>, now: Time, settings: &Settings) -> Changes {
    let mut changes = Changes::default();
    for before in alerts {
        if before.deadline().is_none_or(|deadline| deadline > now) {
            continue;
        }
        let mut alert = Alert::clone(before);
        let usual = settings.silent_after(&alert.source);
        for voice in alert.voices.values_mut().filter(|voice| voice.firing && voice.deadline <= now) {
            let own = voice.ends_at.map(|ends_at| ends_at.since(voice.heard_at)).filter(|window| !window.is_zero());
            voice.deadline = now + own.unwrap_or(usual);
        }
        changes.tell(What::Extended, &Arc::new(alert), None);
        changes.keep_last();
    }
    changes
}

fn take(
    changes: &mut Changes,
    known: &BTreeMap<AlertKey, Arc<Alert>>,
    (key, signal): (&AlertKey, &Signal),
    now: Time,
    settings: &Settings,
) {
    let before = changes.alerts.get(key).or_else(|| known.get(key));
    let Some(before) = before else {
        let mut alert = unheard(key.clone(), signal, now, settings);
        match signal.says {
            Says::Firing { ends_at } => {
                let what = fire(&mut alert, signal, ends_at, now, settings);
                settle(changes, what, alert, Some((signal, signal.starts_at)), (now, settings));
                changes.keep_last();
            }
            Says::Resolved { at } => {
                hear(&mut alert, signal, now);
                changes.tell(What::ResolvedUnknown, &Arc::new(alert), Some((signal, at)));
            }
        }
        return;
    };
    let mut alert = Alert::clone(before);
    changes.calm(&mut alert, now, settings);
    let (what, source_at) = match signal.says {
        Says::Firing { ends_at } => (fire(&mut alert, signal, ends_at, now, settings), signal.starts_at),
        Says::Resolved { at } => (resolve(&mut alert, signal, at, now, settings), at),
    };
    settle(changes, what, alert, Some((signal, source_at)), (now, settings));
    changes.keep_last();
}

/// Counts and tells a change, and whether it makes the alert flap; the alert as it stands after it.
fn settle(
    changes: &mut Changes,
    what: What,
    mut alert: Alert,
    cause: Option<(&Signal, Option<Time>)>,
    (now, settings): (Time, &Settings),
) -> Arc<Alert> {
    let flapped = alert.flapping;
    if what.moves() {
        count(&mut alert, now, settings);
    }
    let alert = Arc::new(alert);
    changes.tell(what, &alert, cause);
    if alert.flapping && !flapped {
        changes.tell(What::FlappingStarted, &alert, None);
    }
    alert
}

/// Counts a change of state: so many of them, close together, make the alert flap.
fn count(alert: &mut Alert, now: Time, settings: &Settings) {
    alert.changes.push(now);
    let surplus = alert.changes.len().saturating_sub(settings.flapping_changes);
    alert.changes.drain(..surplus);
    let full = settings.flapping_changes > 0 && alert.changes.len() == settings.flapping_changes;
    let close = alert.changes.first().is_some_and(|first| now.since(*first) <= settings.flapping_within);
    alert.flapping |= full && close;
}

/// An alert of which nothing is known yet, and nothing was heard.
fn unheard(key: AlertKey, signal: &Signal, now: Time, settings: &Settings) -> Alert {
    Alert {
        key,
        labels: settings.replica_labels.shared(&signal.labels),
        annotations: BTreeMap::new(),
        generator_url: None,
        source: String::new(),
        state: AlertState::Resolved,
        episode: 0,
        starts_at: signal.starts_at,
        first_seen: now,
        fired_at: now,
        last_seen: now,
        resolved_at: None,
        changes: Vec::new(),
        flapping: false,
        voices: BTreeMap::new(),
    }
}

fn fire(alert: &mut Alert, signal: &Signal, ends_at: Option<Time>, now: Time, settings: &Settings) -> What {
    let name = voice_of(signal, settings);
    let voice = alert.voices.get(&name).cloned();
    let deadline = ends_at.unwrap_or(now + settings.silent_after(&signal.source));
    match voice.as_ref().and_then(|voice| Some((voice, voice.comes_late(signal.starts_at?, now, settings)?))) {
        Some((_, Late::Surely)) => return What::Older,
        Some((voice, Late::Perhaps { until })) => {
            let doubted = Some(Doubted { heard_at: now, until, ends_at, deadline });
            alert.voices.insert(name, Voice { doubted, ..voice.clone() });
            return What::Doubted;
        }
        None => {}
    }
    let ended = voice.as_ref().and_then(|voice| voice.ended);
    // What goes on from the same beginning is not over any more.
    let ended = ended.filter(|ended| signal.starts_at.is_none_or(|starts_at| *ended < starts_at));
    let others_fire = alert.voices.iter().any(|(other, voice)| *other != name && voice.firing && voice.deadline > now);
    let heard = voice.as_ref().map_or(alert.last_seen, |voice| voice.heard_at);
    let known_start = voice.as_ref().and_then(|voice| voice.starts_at).or(alert.starts_at);
    // A source whose clock is ahead says the same beginning again and again: that is no later one.
    let began_later = signal.starts_at.is_some_and(|starts_at| {
        starts_at > heard + settings.new_episode_after && known_start.is_none_or(|known| starts_at > known)
    });
    let what = match alert.state {
        AlertState::Resolved if alert.episode == 0 => What::Fired,
        AlertState::Resolved => What::Refired,
        AlertState::Firing | AlertState::Stale if began_later && !others_fire => What::Refired,
        AlertState::Firing => What::Repeated,
        AlertState::Stale => What::HeardAgain,
    };
    let starts_at = signal.starts_at;
    let fresh =
        Voice { firing: true, starts_at, ended, cleared_at: None, heard_at: now, ends_at, deadline, doubted: None };
    let spoken = match voice {
        Some(old) if old.firing && !what.begins_episode() => {
            Voice { starts_at: earliest(old.starts_at, fresh.starts_at), deadline: old.deadline.max(deadline), ..fresh }
        }
        // The end of the episode before was missed: whatever still comes of it is old.
        Some(old) if old.firing => Voice { ended: latest(ended, old.starts_at), ..fresh },
        Some(_) | None => fresh,
    };
    speak(alert, &name, spoken);
    if what.begins_episode() {
        alert.episode = alert.episode.saturating_add(1);
        alert.starts_at = signal.starts_at;
        alert.fired_at = now;
    } else {
        alert.starts_at = earliest(alert.starts_at, signal.starts_at);
    }
    alert.state = AlertState::Firing;
    alert.resolved_at = None;
    hear(alert, signal, now);
    what
}

fn resolve(alert: &mut Alert, signal: &Signal, at: Option<Time>, now: Time, settings: &Settings) -> What {
    let name = voice_of(signal, settings);
    let ended_at = at.map_or(now, |at| at.min(now));
    let old = alert.voices.get(&name).cloned();
    if let Some(old) = old.as_ref().filter(|old| old.firing) {
        let before_it = |moment: Option<Time>| moment.zip(old.starts_at).is_some_and(|(moment, start)| moment < start);
        let of_old_episode = signal.starts_at.zip(old.ended).is_some_and(|(start, ended)| start <= ended);
        if of_old_episode || (before_it(at) && (signal.starts_at.is_none() || before_it(signal.starts_at))) {
            return What::Older;
        }
    }
    let spoke_of_firing = old.as_ref().is_some_and(|old| old.firing);
    let silent = Voice {
        firing: false,
        starts_at: signal.starts_at,
        ended: latest(old.as_ref().and_then(|old| latest(old.ended, old.starts_at)), signal.starts_at),
        cleared_at: old.as_ref().and_then(|old| old.cleared_at).or(Some(now)),
        heard_at: old.as_ref().map_or(now, |old| old.heard_at),
        ends_at: None,
        deadline: now,
        doubted: None,
    };
    speak(alert, &name, silent);
    hear(alert, signal, now);
    if alert.state == AlertState::Resolved {
        return What::Repeated;
    }
    let mut firing = alert.voices.values().filter(|voice| voice.firing).peekable();
    if firing.peek().is_none() && spoke_of_firing {
        alert.state = AlertState::Resolved;
        alert.resolved_at = Some(ended_at);
        return What::Resolved;
    }
    if alert.state == AlertState::Firing && firing.all(|voice| voice.deadline <= now) {
        alert.state = AlertState::Stale;
        return What::WentStale;
    }
    What::ReplicaResolved
}

/// Lets a firing count that was doubted and that its voice did not take back in time: a new episode begins.
fn believe(changes: &mut Changes, alert: &mut Alert, (now, settings): (Time, &Settings)) {
    let is_due = |voice: &&mut Voice| voice.doubted.is_some_and(|doubted| doubted.until <= now);
    let mut heard_at = None;
    for voice in alert.voices.values_mut().filter(is_due) {
        let Some(doubted) = voice.doubted.take() else { continue };
        heard_at = heard_at.max(Some(doubted.heard_at));
        let Doubted { heard_at, ends_at, deadline, .. } = doubted;
        *voice = Voice { firing: true, ended: None, cleared_at: None, heard_at, ends_at, deadline, ..voice.clone() };
    }
    let Some(heard_at) = heard_at else { return };
    let what = match std::mem::replace(&mut alert.state, AlertState::Firing) {
        AlertState::Firing => return,
        AlertState::Stale => What::HeardAgain,
        AlertState::Resolved => What::Refired,
    };
    if what.begins_episode() {
        alert.episode = alert.episode.saturating_add(1);
        alert.fired_at = heard_at;
    }
    alert.resolved_at = None;
    *alert = Alert::clone(&settle(changes, what, alert.clone(), None, (now, settings)));
}

/// The voice that speaks: the source, with its replica if it names one.
fn voice_of(signal: &Signal, settings: &Settings) -> String {
    match settings.replica_labels.replica(&signal.labels) {
        replica if replica.is_empty() => signal.source.clone(),
        replica => format!("{} {replica}", signal.source),
    }
}

/// How late a firing comes that is of an episode which its voice has ended.
enum Late {
    /// It began before the episode that was ended.
    Surely,
    /// It began with that episode, and came so soon that it may have been on its way before the end.
    Perhaps { until: Time },
}

impl Voice {
    fn comes_late(&self, starts_at: Time, now: Time, settings: &Settings) -> Option<Late> {
        let ended = self.ended?;
        match self.cleared_at {
            _ if starts_at < ended => Some(Late::Surely),
            _ if starts_at > ended => None,
            // A newer episode has begun since.
            None => Some(Late::Surely),
            Some(cleared_at) => {
                let until = cleared_at + settings.late_within;
                (now <= until).then_some(Late::Perhaps { until })
            }
        }
    }
}

/// Keeps what a voice said, and no more voices than [`VOICES`].
fn speak(alert: &mut Alert, name: &str, voice: Voice) {
    alert.voices.insert(name.to_owned(), voice);
    if alert.voices.len() > VOICES {
        let others = alert.voices.iter().filter(|(other, _)| *other != name);
        let oldest = others.min_by_key(|(_, voice)| (voice.firing, voice.heard_at)).map(|(other, _)| other.clone());
        if let Some(oldest) = oldest {
            alert.voices.remove(&oldest);
        }
    }
}

fn hear(alert: &mut Alert, signal: &Signal, now: Time) {
    alert.last_seen = now;
    alert.source.clone_from(&signal.source);
    alert.annotations.clone_from(&signal.annotations);
    if signal.generator_url.is_some() {
        alert.generator_url.clone_from(&signal.generator_url);
    }
}

fn earliest(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    [a, b].into_iter().flatten().min()
}

fn latest(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    [a, b].into_iter().flatten().max()
}

#[cfg(test)]
mod tests;
