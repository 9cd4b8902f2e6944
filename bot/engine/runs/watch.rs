//! Approvals that are withdrawn when something comes true while people are asked.
//!
//! The condition is looked at when the alert changes, every minute, and once more when somebody agrees. One that has no
//! answer counts as true: what cannot be read lets nothing through.

use std::time::Duration;

use futures::future::BoxFuture;

use crate::{
    domain::{
        ids::AlertKey,
        runbooks::condition,
        runs::{Approval, ApprovalState, Event, Hold, Reason, approvals::Asks, guards::Refused},
    },
    engine::{
        Context,
        runs::{case::Case, ends},
    },
    store::{self, approvals, guards as asked, timers},
};

/// The kind of timer by which open approvals are looked at.
pub(super) const TIMER: &str = "approval-watch";
/// How often.
const EVERY: Duration = Duration::from_mins(1);

/// Begins to watch the approval that the run has just asked for, if it is to be watched.
pub(super) async fn begin(case: &mut Case<'_, '_>) -> store::Result<()> {
    let is_watched = case.run.plan.approval.as_ref().is_some_and(|approval| approval.abort_when.is_some());
    if is_watched {
        let at = case.now() + EVERY;
        timers::set(case.context.tx, TIMER, &case.run.id.to_string(), at).await?;
    }
    Ok(())
}

/// A minute has passed.
pub(super) fn due<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let Ok(id) = due.subject.parse() else { return Ok(()) };
        let Some(mut case) = Case::open(context, id).await? else { return Ok(()) };
        look(&mut case).await
    })
}

/// Something happened to these alerts.
pub(super) async fn alerts_changed(context: &mut Context<'_>, alerts: &[AlertKey]) -> store::Result<()> {
    if alerts.is_empty() {
        return Ok(());
    }
    for (run, alert) in asked::waiting_for_people(context.tx).await? {
        if alerts.contains(&alert)
            && let Some(mut case) = Case::open(context, run).await?
        {
            look(&mut case).await?;
        }
    }
    Ok(())
}

/// Withdraws the open approval if what it is to end for is so; else it is looked at again.
async fn look(case: &mut Case<'_, '_>) -> store::Result<()> {
    if case.run.state.is_over() {
        return Ok(());
    }
    let Some(open) = open(case).await? else { return Ok(()) };
    match is_to_end(case).await? {
        Some(refused) => withdraw(case, open, &refused).await,
        None => begin(case).await,
    }
}

async fn open(case: &mut Case<'_, '_>) -> store::Result<Option<Approval>> {
    let asked = approvals::of_run(case.context.tx, case.run.id).await?;
    Ok(asked.into_iter().find(|approval| approval.state == ApprovalState::Open && approval.asks == Asks::Approval))
}

/// Why the approval is to be withdrawn, if it is.
pub(super) async fn is_to_end(case: &mut Case<'_, '_>) -> store::Result<Option<Refused>> {
    let declared = case.run.plan.approval.as_ref();
    let watched = declared.and_then(|it| Some((it.abort_when.clone()?, it.before.clone())));
    let Some((condition, before)) = watched else { return Ok(None) };
    let scope = case.scope(None, &before).await?;
    Ok(match condition::holds(&condition, &scope) {
        Ok(false) => None,
        Ok(true) => Some(Refused::new(Reason::AbortCondition, format!("`{condition}` holds"))),
        Err(error) => Some(Refused::new(Reason::AbortCondition, error.to_string())),
    })
}

/// Takes the question back, with the reason; the run ends, or is held if it has changed something.
pub(super) async fn withdraw(case: &mut Case<'_, '_>, mut approval: Approval, why: &Refused) -> store::Result<()> {
    approval.state = ApprovalState::Withdrawn;
    approval.decided_at = Some(case.now());
    approval.revision += 1;
    let event = Event::ApprovalWithdrawn {
        run: case.run.id,
        approval: approval.id,
        reason: why.reason,
        detail: why.detail.clone(),
    };
    let actor = case.itself();
    case.tell(actor, &event).await?;
    case.put(&approval).await?;
    if case.is_in_flight() {
        // It is stopped by the condition when it comes to this step again.
        return case.go_on().await;
    }
    let hold = Hold { reason: why.reason, path: Some(approval.path.clone()), detail: why.detail.clone() };
    ends::fail_for(case, hold).await
}
