//! Decides for runs: what alerts start, what workers may do next, and what wakes with time.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{
    Answer, Going, Input, Outcome, TIMER, Taken, Trigger, advance, approve, case::Case, finish, halt, restored,
    schedules, start, triggers, watch,
};
use crate::{
    domain::{
        ids::{AlertKey, RunId},
        people::Actor,
        runs::{RunState, StepKey},
    },
    engine::{Context, incidents},
    store::{
        self, Wake,
        runs::{self, Claimed},
        timers,
    },
};

/// How long a worker may drive a run without renewing.
pub const LEASE: Duration = Duration::from_secs(30);
/// How many runs a worker takes over at once: few enough that what else is to be decided does not wait long.
pub(super) const CLAIMED: usize = 16;
/// The epoch of a run that nobody drove before.
const FIRST_EPOCH: i64 = 1;

/// Starts what the news of incidents trigger.
pub async fn take(context: &mut Context<'_>, news: &[incidents::News]) -> store::Result<()> {
    let alert = |piece: &'_ incidents::News| match piece {
        incidents::News::Fired { alert, .. } | incidents::News::Cleared { alert, .. } => Some(alert.key.clone()),
        incidents::News::PhaseMoved { .. } => None,
    };
    let alerts: Vec<AlertKey> = news.iter().filter_map(alert).collect();
    Box::pin(watch::alerts_changed(context, &alerts)).await?;
    for piece in news {
        match piece {
            incidents::News::Fired { incident, alert, decision, .. } => {
                start::by_alert(context, Trigger { incident: *incident, alert, decision }).await?;
            }
            incidents::News::Cleared { .. } | incidents::News::PhaseMoved { .. } => {}
        }
    }
    Ok(())
}

/// Decides what a worker asks.
pub(in crate::engine) async fn decide(context: &mut Context<'_>, input: &Input) -> store::Result<Answer> {
    match input {
        Input::Orphan => {
            runs::orphan(context.tx).await?;
            Ok(Answer::Done)
        }
        Input::Claim { owner, begins, is_halt_file_there } => {
            let lease = (context.now, context.now + LEASE);
            let most = i64::try_from(CLAIMED).unwrap_or(i64::MAX);
            let mut taken = Vec::new();
            for Claimed { id, epoch, has_journal, driven } in runs::claim(context.tx, owner, lease, most).await? {
                let begun = match driven {
                    Ok(driven) if *begins && epoch == FIRST_EPOCH => {
                        let case = Case::driven(context, driven, !has_journal).await?;
                        Some(Box::pin(go_on(case, (None, None), *is_halt_file_there)).await?)
                    }
                    Ok(_) | Err(_) => None,
                };
                taken.push(Taken { run: id, epoch, begun });
            }
            if taken.len() == CLAIMED {
                // There may be more.
                context.tx.wake(Wake::Runs);
            }
            Ok(Answer::Taken(taken))
        }
        Input::Renew { owner } => {
            let until = context.now + LEASE;
            Ok(Answer::Driven(runs::renew(context.tx, owner, until).await?))
        }
        Input::LetGo { owner, runs: left } => {
            for (run, epoch) in left {
                runs::let_go(context.tx, *run, *epoch, owner).await?;
            }
            Ok(Answer::Done)
        }
        Input::Leave { owner } => {
            runs::leave(context.tx, owner).await?;
            Ok(Answer::Done)
        }
        Input::Step(step) => {
            let Some(driven) = runs::fence(context.tx, step.run, step.epoch, &step.owner).await? else {
                metrics::counter!("firewarden_runs_stale_writes_total").increment(1);
                return Ok(Answer::Next(None));
            };
            let case = Case::driven(context, driven, false).await?;
            let going = go_on(case, (step.outcome.as_ref(), step.in_hand.as_deref()), step.is_halt_file_there);
            Ok(Answer::Next(Box::pin(going).await?))
        }
        Input::Webhook(webhook) => Ok(Answer::Started(triggers::by_webhook(context, webhook).await?)),
    }
}

/// Takes a run on, perhaps by what came of its last effect, to its next one.
async fn go_on(
    mut case: Case<'_, '_>,
    (outcome, in_hand): (Option<&(StepKey, Outcome)>, Option<&[StepKey]>),
    is_file_there: bool,
) -> store::Result<Option<Going>> {
    if let Some((key, outcome)) = outcome {
        finish::finish(&mut case, key, outcome.clone()).await?;
    }
    if let Some(in_hand) = in_hand {
        advance::take_back(&mut case, in_hand).await?;
    }
    // The file was seen: that it is gone by now makes nothing go on by itself.
    let was_halted = matches!(outcome, Some((_, Outcome::Halted)));
    let going = advance::advance(&mut case, is_file_there || was_halted).await?;
    if going.as_ref().is_some_and(|going| outcome.is_some() || !going.works.is_empty()) {
        case.save().await?;
    }
    Ok(going)
}

/// Rules came into force: what the clock starts is due by them.
pub(in crate::engine) async fn keep_schedules(context: &mut Context<'_>) -> store::Result<()> {
    schedules::keep(context).await
}

/// Orders a halt for everything, or for one service, from outside any chat. Says whether it is new.
pub async fn halt(
    context: &mut Context<'_>,
    service: Option<&str>,
    reason: &str,
    actor: &Actor,
) -> store::Result<bool> {
    Ok(halt::order(context, service, reason, actor).await?.is_some())
}

/// Holds every run of a store that was restored from a copy.
pub(in crate::engine) async fn restored(context: &mut Context<'_>, from: &str) -> store::Result<restored::Held> {
    restored::hold(context, from).await
}

/// A run's moment has come: it goes on, or its question has expired.
pub(super) fn due<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        debug_assert_eq!(due.kind, TIMER);
        let Ok(id) = due.subject.parse::<RunId>() else { return Ok(()) };
        let Some(mut case) = Case::open(context, id).await? else { return Ok(()) };
        if case.run.state == RunState::Waiting {
            case.wakes().await?;
        } else if case.run.state == RunState::Approval {
            approve::expire(&mut case).await?;
        }
        Ok(())
    })
}
