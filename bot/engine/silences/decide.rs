//! What silences hold back, what comes of their times, and what tools ask of them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use futures::future::BoxFuture;

use super::{Answer, Input, SILENCED, acts, cards};
use crate::{
    domain::{
        alerts::{Matcher, What},
        ids::{AlertKey, SilenceId},
        people::Actor,
        silences::{Event, Silence, SilenceState, verdict},
        timeline::Draft,
    },
    engine::{Context, Stop, alerts::News},
    store::{self, Fault, incidents, silences, timers},
};

/// Leaves out what is held back, in as many statements however many the news are: in one if no silence is active.
pub async fn hold_back<'a>(context: &mut Context<'_>, news: &'a [News]) -> store::Result<Cow<'a, [News]>> {
    if news.is_empty() {
        return Ok(Cow::Borrowed(news));
    }
    let (active, is_any_held) = silences::in_force(context.tx, context.now).await?;
    if active.is_empty() && !is_any_held {
        return Ok(Cow::Borrowed(news));
    }
    let is_silenced = |item: &News| active.iter().any(|all| Matcher::first_unmet(all, &item.alert.labels).is_none());
    let before = if is_any_held {
        silences::held(context.tx, news.iter().map(|item| &item.alert.key)).await?
    } else {
        BTreeMap::new()
    };
    let judged: Vec<(&News, bool)> = news.iter().map(|item| (item, is_silenced(item))).collect();
    let concerned = judged.iter().filter(|(item, silenced)| *silenced || before.contains_key(&item.alert.key));
    let concerned: BTreeSet<&AlertKey> = concerned.map(|(item, _)| &item.alert.key).collect();
    if concerned.is_empty() {
        return Ok(Cow::Borrowed(news));
    }
    let told = incidents::not_over(context.tx, concerned).await?;

    let mut held: BTreeSet<&AlertKey> = before.keys().collect();
    let mut passed = Vec::with_capacity(news.len());
    let mut ignored = Vec::new();
    for (item, silenced) in judged {
        let key = &item.alert.key;
        let verdict = verdict(item.what, held.contains(key), silenced, told.contains(key));
        if verdict.passes {
            passed.push(item.clone());
        } else if matches!(item.what, What::Fired | What::Refired | What::HeardAgain) {
            ignored.push((key, SILENCED, item.alert.source.as_str()));
        }
        if verdict.is_held {
            held.insert(key)
        } else {
            held.remove(key)
        };
    }
    let is_new = |key: &&&AlertKey| !before.contains_key(**key);
    let new: Vec<&AlertKey> = held.iter().filter(is_new).copied().collect();
    silences::hold(context.tx, &new, context.now).await?;
    let free: Vec<&AlertKey> = before.keys().filter(|key| !held.contains(key)).collect();
    silences::let_go(context.tx, &free).await?;
    store::alerts::suppressed(context.tx, &ignored, context.now).await?;
    Ok(Cow::Owned(passed))
}

/// Does what a tool asks.
pub async fn decide(context: &mut Context<'_>, input: &Input) -> store::Result<Answer> {
    match input {
        Input::Set { actor, replaces, wanted } => {
            let replaced = match replaces {
                Some(uuid) => match silences::by_uuid(context.tx, uuid).await? {
                    Some(silence) => Some(silence),
                    None => return Ok(Answer::Unknown),
                },
                None => None,
            };
            match Stop::sort(acts::set(context, actor, replaced, wanted).await)? {
                Ok(silence) => Ok(Answer::Set(silence.uuid)),
                Err(refusal) => Ok(Answer::Refused(refusal)),
            }
        }
        Input::Expire { actor, uuid } => {
            let Some(silence) = silences::by_uuid(context.tx, uuid).await? else { return Ok(Answer::Unknown) };
            if silence.state(context.now) != SilenceState::Expired {
                acts::end(context, silence, actor, (acts::EXPIRED, None)).await?;
            }
            Ok(Answer::Expired)
        }
    }
}

/// A silence begins to hold.
pub(super) fn starts<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let Some(mut silence) = named(context, due).await? else { return Ok(()) };
        // One that is over by now, because the bot was down, is told the end of.
        if silence.state(context.now) == SilenceState::Active && silence.told == SilenceState::Pending {
            acts::start(context, &mut silence).await?;
        }
        Ok(())
    })
}

/// A silence is about to end: people are told if something fires under it.
pub(super) fn is_ending<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let Some(silence) = named(context, due).await? else { return Ok(()) };
        if silence.state(context.now) != SilenceState::Active {
            return Ok(());
        }
        let under = acts::under(context.tx, &silence).await?;
        if under.firing == 0 {
            return Ok(());
        }
        let event = Event::SilenceEnding { silence: silence.id, ends_at: silence.ends_at, firing: under.firing };
        context.tell_of(None, Draft::new(Actor::Bot, &event)).await?;
        acts::say(context, cards::ending(&silence, context.now, &under)).await
    })
}

/// The time of a silence is over.
pub(super) fn ends<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let Some(silence) = named(context, due).await? else { return Ok(()) };
        if silence.told != SilenceState::Expired && silence.state(context.now) == SilenceState::Expired {
            acts::end(context, silence, &Actor::Bot, (acts::TIME_IS_OVER, None)).await?;
        }
        Ok(())
    })
}

/// Tells of what is left that is held back although no silence matches it any more.
pub(super) fn looks_again<'a>(context: &'a mut Context<'_>, _: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move { acts::release(context).await.map(drop) })
}

async fn named(context: &mut Context<'_>, due: &timers::Due) -> store::Result<Option<Silence>> {
    let id: SilenceId = due.subject.parse().map_err(|error| Fault::defect(format!("{error}")))?;
    silences::by_id(context.tx, id).await
}
