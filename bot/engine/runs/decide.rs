//! Decides for runs: what alerts start, what workers may do next, and what wakes with time.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{
    Answer, Input, Outcome, Step, TIMER, Trigger, advance, approve, case::Case, finish, halt, restored, start,
};
use crate::{
    domain::{ids::RunId, people::Actor, runs::RunState},
    engine::{Context, incidents},
    store::{self, runs, timers},
};

/// How long a worker may drive a run without renewing.
pub const LEASE: Duration = Duration::from_secs(30);
/// How many runs a worker takes over at once.
pub(super) const CLAIMED: usize = 64;

/// Starts what the news of incidents trigger.
pub async fn take(context: &mut Context<'_>, news: &[incidents::News]) -> store::Result<()> {
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
        Input::Claim { owner } => {
            let lease = (context.now, context.now + LEASE);
            let most = i64::try_from(CLAIMED).unwrap_or(i64::MAX);
            Ok(Answer::Runs(runs::claim(context.tx, owner, lease, most).await?))
        }
        Input::Renew { owner } => {
            let until = context.now + LEASE;
            Ok(Answer::Runs(runs::renew(context.tx, owner, until).await?))
        }
        Input::LetGo { owner, runs: left } => {
            for (run, epoch) in left {
                runs::let_go(context.tx, *run, *epoch, owner).await?;
            }
            Ok(Answer::Done)
        }
        Input::Step(step) => go_on(context, step).await,
    }
}

async fn go_on(context: &mut Context<'_>, step: &Step) -> store::Result<Answer> {
    if !runs::fence(context.tx, step.run, step.epoch, &step.owner).await? {
        metrics::counter!("firewarden_runs_stale_writes_total").increment(1);
        return Ok(Answer::Next(None));
    }
    let Some(mut case) = Case::open(context, step.run).await? else { return Ok(Answer::Next(None)) };
    if let Some((key, outcome)) = &step.outcome {
        finish::finish(&mut case, key, outcome.clone()).await?;
    }
    // The file was seen: that it is gone by now makes nothing go on by itself.
    let was_halted = matches!(&step.outcome, Some((_, Outcome::Halted)));
    let work = advance::advance(&mut case, step.is_halt_file_there || was_halted).await?;
    if work.is_some() {
        case.save().await?;
    }
    Ok(Answer::Next(work))
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
            case.go_on().await?;
        } else if case.run.state == RunState::Approval {
            approve::expire(&mut case).await?;
        }
        Ok(())
    })
}
