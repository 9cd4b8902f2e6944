//! What can be done to a silence, whoever does it: it is written, told in the log and in chat together.

use std::{sync::Arc, time::Duration};

use super::cards;
use crate::{
    domain::{
        alerts::{AlertState, What},
        ids::{AlertKey, SilenceId},
        people::Actor,
        routes,
        silences::{Event, Silence, SilenceState, Wanted, wanted::STANDING},
        timeline::Draft,
    },
    engine::{
        Context, Refusal, Stop,
        alerts::News,
        chat::{
            Message,
            outbox::{self, Post},
        },
        decide::alerts_changed,
    },
    store::{self, Reader, alerts, silences, timers},
};

/// The timer that is due when a silence begins.
pub(super) const START: &str = "silence-start";
/// The timer that is due before a silence ends.
pub(super) const ENDING: &str = "silence-ending";
/// The timer that is due when a silence ends.
pub(super) const END: &str = "silence-end";
/// The timer that is due when something is left that is held back by no silence any more.
pub(super) const LEFT: &str = "silence-left";

/// How long before its end people are told that something fires under a silence.
const LEAD: Duration = Duration::from_mins(10);
/// How many alerts are told of at once when a silence ends; the others follow.
const AT_ONCE: usize = 500;
/// How many alerts a message names.
const NAMED: usize = 5;

/// The stable codes of why a silence ended.
pub(super) const TIME_IS_OVER: &str = "time_is_over";
pub(super) const EXPIRED: &str = "expired";
const REPLACED: &str = "replaced";

/// Alerts of which a message speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Under {
    /// How many fire.
    pub(super) firing: u64,
    /// How many fell silent.
    pub(super) silent: u64,
    /// The names of some that fire, each once.
    pub(super) names: Vec<String>,
}

impl Under {
    /// Counts the alert, if the silence matches it.
    fn see(&mut self, silence: &Silence, alert: &alerts::Open<'_>) -> store::Result<()> {
        let labels = alert.labels()?;
        if silence.matches(&labels) {
            self.count(alert, labels.alertname());
        }
        Ok(())
    }

    fn count(&mut self, alert: &alerts::Open<'_>, name: &str) {
        match alert.state {
            AlertState::Firing => {
                self.firing += 1;
                if self.names.len() < NAMED && !self.names.iter().any(|known| known == name) {
                    self.names.push(name.to_owned());
                }
            }
            AlertState::Stale => self.silent += 1,
            AlertState::Resolved => {}
        }
    }
}

/// The alerts that are not over and that the silence matches, held back or not.
pub(super) async fn under(reader: &mut Reader, silence: &Silence) -> store::Result<Under> {
    let mut under = Under::default();
    alerts::open(reader, |alert| under.see(silence, alert)).await?;
    Ok(under)
}

/// The alerts that the silence matches and that are held back.
pub(super) async fn held_by(reader: &mut Reader, silence: &Silence) -> store::Result<Under> {
    let mut held = Under::default();
    silences::each_held(reader, |alert| held.see(silence, alert)).await?;
    Ok(held)
}

/// Silences what is wanted: by changing the silence that it replaces if its past stays, else by another one.
pub(super) async fn set(
    context: &mut Context<'_>,
    actor: &Actor,
    replaced: Option<Silence>,
    wanted: &Wanted,
) -> Result<Silence, Stop> {
    wanted
        .check(context.now)
        .map_err(|unfit| Stop::Refused(Refusal::new(format!("Cannot silence: {unfit}")).hint(unfit.hint)))?;
    let may_change = replaced.as_ref().is_some_and(|silence| wanted.may_change(silence, context.now));
    if may_change && let Some(silence) = replaced {
        return Ok(change(context, actor, silence, wanted).await?);
    }
    if usize::try_from(silences::standing(context.tx, context.now).await?).is_ok_and(|count| count >= STANDING) {
        let refusal = Refusal::new(format!("Cannot silence: there are `{STANDING}` silences already"));
        return Err(refusal.hint("end some of them with `/silence expire`").into());
    }
    let replaced = replaced.filter(|silence| silence.state(context.now) != SilenceState::Expired);
    let mut silence = Silence {
        id: SilenceId(0),
        uuid: String::new(),
        matchers: wanted.matchers.clone().into(),
        starts_at: wanted.starts_at.max(context.now),
        ends_at: wanted.ends_at,
        author: author(actor, wanted),
        comment: wanted.comment.clone(),
        annotations: wanted.annotations.clone(),
        set_by: actor.clone(),
        updated_at: context.now,
        told: SilenceState::Pending,
    };
    silences::add(context.tx, &mut silence).await?;
    let event = Event::SilenceAdded {
        silence: silence.id,
        matchers: silence.written(),
        starts_at: silence.starts_at,
        ends_at: silence.ends_at,
        author: silence.author.clone(),
        comment: silence.comment.clone(),
        replaces: replaced.as_ref().map(|silence| silence.id),
    };
    context.tell_of(None, Draft::new(actor.clone(), &event)).await?;
    watch(context, &silence).await?;
    if silence.state(context.now) == SilenceState::Active {
        start(context, &mut silence).await?;
    }
    // Last, so that what both match is held back all the time.
    if let Some(replaced) = replaced {
        end(context, replaced, actor, (REPLACED, None)).await?;
    }
    Ok(silence)
}

/// Whose it is: whoever sets it, if they say nothing else.
fn author(actor: &Actor, wanted: &Wanted) -> String {
    if wanted.author.trim().is_empty() { actor.to_string() } else { wanted.author.clone() }
}

/// Moves the times of a silence, and what is said of it. Only the log tells: tools prolong theirs again and again.
async fn change(context: &mut Context<'_>, actor: &Actor, silence: Silence, wanted: &Wanted) -> store::Result<Silence> {
    let is_pending = silence.state(context.now) == SilenceState::Pending;
    let mut silence = Silence {
        starts_at: if is_pending { wanted.starts_at } else { silence.starts_at },
        ends_at: wanted.ends_at,
        author: author(actor, wanted),
        comment: wanted.comment.clone(),
        annotations: wanted.annotations.clone(),
        set_by: actor.clone(),
        updated_at: context.now,
        ..silence
    };
    silences::save(context.tx, &silence).await?;
    let event = Event::SilenceChanged {
        silence: silence.id,
        starts_at: silence.starts_at,
        ends_at: silence.ends_at,
        author: silence.author.clone(),
        comment: silence.comment.clone(),
    };
    context.tell_of(None, Draft::new(actor.clone(), &event)).await?;
    watch(context, &silence).await?;
    if silence.state(context.now) == SilenceState::Active && silence.told == SilenceState::Pending {
        start(context, &mut silence).await?;
    }
    Ok(silence)
}

/// Tells that a silence holds from now on, and whether it matches anything.
pub(super) async fn start(context: &mut Context<'_>, silence: &mut Silence) -> store::Result<()> {
    silence.told = SilenceState::Active;
    silences::save(context.tx, silence).await?;
    let under = under(context.tx, silence).await?;
    let event = Event::SilenceStarted { silence: silence.id, firing: under.firing };
    context.tell_of(None, Draft::new(Actor::Bot, &event)).await?;
    say(context, cards::started(silence, &under)).await
}

/// Ends a silence, for a reason with a stable code and perhaps one in words, and tells of what it held back.
pub(super) async fn end(
    context: &mut Context<'_>,
    silence: Silence,
    actor: &Actor,
    (reason, comment): (&str, Option<&str>),
) -> store::Result<()> {
    let now = context.now;
    let has_begun = silence.starts_at <= now;
    let mut silence = Silence { told: SilenceState::Expired, ..silence };
    if silence.ends_at > now {
        silence = Silence { starts_at: silence.starts_at.min(now), ends_at: now, updated_at: now, ..silence };
    }
    if *actor != Actor::Bot {
        silence.set_by = actor.clone();
    }
    silences::save(context.tx, &silence).await?;
    for kind in [START, ENDING, END] {
        timers::clear(context.tx, kind, &silence.id.to_string()).await?;
    }
    let left = if has_begun { release(context).await? } else { Under::default() };
    let event = Event::SilenceEnded {
        silence: silence.id,
        reason: reason.to_owned(),
        comment: comment.map(str::to_owned),
        told: left.firing,
    };
    context.tell_of(None, Draft::new(actor.clone(), &event)).await?;
    say(context, cards::ended(&silence, actor, (reason, comment), has_begun.then_some(&left))).await
}

/// Tells incidents of what was held back, fires, and is matched by no silence any more, as news of this moment.
pub(super) async fn release(context: &mut Context<'_>) -> store::Result<Under> {
    silences::forget_over(context.tx).await?;
    let active = silences::active(context.tx, context.now).await?;
    let mut left = Under::default();
    let mut keys = Vec::new();
    silences::each_held(context.tx, |alert| {
        let labels = alert.labels()?;
        if active.iter().any(|silence| silence.matches(&labels)) {
            return Ok(());
        }
        left.count(alert, labels.alertname());
        if alert.state == AlertState::Firing && keys.len() < AT_ONCE {
            keys.push(AlertKey(alert.key.to_owned()));
        }
        Ok(())
    })
    .await?;
    let rules = context.rules;
    let known = alerts::known(context.tx, &keys).await?;
    let news: Vec<News> = keys
        .iter()
        .filter_map(|key| known.get(key))
        .map(|alert| News {
            what: if alert.episode > 1 { What::Refired } else { What::Fired },
            alert: Arc::clone(alert),
            source: None,
            source_at: None,
            decision: Arc::new(routes::choose(&rules.routes, &rules.default_route, &alert.labels)),
            truncated: 0,
        })
        .collect();
    alerts_changed(context, &news).await?;
    if left.firing > u64::try_from(keys.len()).unwrap_or(u64::MAX) {
        timers::set(context.tx, LEFT, "", context.now).await?;
    }
    Ok(left)
}

/// Sets the timers of a silence to its times.
async fn watch(context: &mut Context<'_>, silence: &Silence) -> store::Result<()> {
    let name = silence.id.to_string();
    let warned_at = silence.ends_at - LEAD;
    for (kind, at) in [(START, silence.starts_at), (ENDING, warned_at), (END, silence.ends_at)] {
        let is_of_use = match kind {
            START => at > context.now,
            ENDING => at > context.now.max(silence.starts_at),
            _ => true,
        };
        if is_of_use {
            timers::set(context.tx, kind, &name, at).await?;
        } else {
            timers::clear(context.tx, kind, &name).await?;
        }
    }
    Ok(())
}

/// Says something in the channel for what belongs to no route.
pub(super) async fn say(context: &mut Context<'_>, message: Message) -> store::Result<()> {
    let channel = context.rules.default_channel.clone();
    outbox::post(context, Post { channel, incident: None, message, is_page: false, expires_at: None }).await
}
