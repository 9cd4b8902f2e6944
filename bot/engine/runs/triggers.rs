//! What starts runbooks beside people and single alerts: alerts that come back or go on, incidents, other runs, requests.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{
    Webhook,
    start::{self, Started, Trigger, Wish},
};
use crate::{
    domain::{
        alerts::AlertState,
        ids::{AlertKey, IncidentId},
        incidents::Incident,
        people::Actor,
        runbooks::plan::{OnIncident, Plan, RunEnd},
        runs::{Reason, Run, RunState, guards::Refused},
    },
    engine::Context,
    store::{self, alerts, firings, incidents, runs, timers},
};

/// The timer that is due when an alert has fired for as long as a runbook wants it to.
pub(super) const DELAYED: &str = "run-delayed";
/// How many runs may have started each other.
const LONGEST_CHAIN: usize = 10;

/// An alert that has to go on firing.
#[derive(Debug, Serialize, Deserialize)]
struct Delayed {
    runbook: String,
    incident: IncidentId,
    alert: AlertKey,
    episode: u32,
}

/// Why a runbook is not started by this alert yet, if it waits for more of it.
pub(super) async fn not_yet(
    context: &mut Context<'_>,
    plan: &Plan,
    trigger: Trigger<'_>,
) -> store::Result<Option<Refused>> {
    if let Some(after) = plan.trigger.after {
        let window = (context.now - after.within, context.now);
        let fired = firings::count(context.tx, &plan.name, trigger.incident, window).await?;
        if fired < i64::from(after.count) {
            return Ok(Some(Refused::new(Reason::TooFew, format!("{fired} of {}", after.count))));
        }
    }
    let Some(delay) = plan.trigger.delay else { return Ok(None) };
    let delayed = Delayed {
        runbook: plan.name.clone(),
        incident: trigger.incident,
        alert: trigger.alert.key.clone(),
        episode: trigger.alert.episode,
    };
    let at = context.now + delay;
    timers::set(context.tx, DELAYED, &serde_json::to_string(&delayed)?, at).await?;
    Ok(Some(Refused::new(Reason::Delayed, format!("until {}", at.long()))))
}

/// An alert has had its time: if it still fires, the runbook is started.
pub(super) fn delayed<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let Ok(delayed) = serde_json::from_str::<Delayed>(&due.subject) else { return Ok(()) };
        let rules = context.rules;
        let Some(plan) = rules.runs.runbooks.get(&delayed.runbook) else { return Ok(()) };
        let known = alerts::known(context.tx, [&delayed.alert]).await?.remove(&delayed.alert);
        let Some(alert) = known.filter(|alert| alert.episode == delayed.episode) else { return Ok(()) };
        let incident = incidents::follow(context.tx, delayed.incident).await?.map(|incident| incident.id);
        let wish = Wish::by_alert(plan, incident, &alert);
        if alert.state == AlertState::Firing {
            return begin(context, &wish).await.map(drop);
        }
        let refused = Refused::new(Reason::StillFiring, "it did not go on firing");
        start::refuse(context, &wish, None, refused).await.map(drop)
    })
}

/// An incident was opened, rated or moved: what starts when it reaches that is started.
pub(super) fn moved<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let Ok(id) = due.subject.parse::<IncidentId>() else { return Ok(()) };
        let Some(incident) = incidents::by_id(context.tx, id).await? else { return Ok(()) };
        let rules = context.rules;
        for plan in rules.runs.runbooks.values() {
            let Some(wanted) = plan.trigger.incident.filter(|wanted| has_reached(&incident, *wanted)) else { continue };
            // Once for each severity, and each time that the phase is reached anew.
            let since = wanted.phase.map_or_else(String::new, |_| incident.phase_since.to_string());
            let wish = Wish {
                incident: Some(id),
                labels: labels(&incident),
                ..Wish::new(plan, Actor::Bot, format!("{id}#{since}"))
            };
            begin(context, &wish).await?;
        }
        Ok(())
    })
}

fn has_reached(incident: &Incident, wanted: OnIncident) -> bool {
    wanted.severity.is_none_or(|severity| incident.severity >= severity)
        && wanted.phase.is_none_or(|phase| incident.phase == phase)
}

/// What inputs may read of an incident, where an alert has labels.
fn labels(incident: &Incident) -> BTreeMap<String, String> {
    let known = [("service", &incident.service), ("environment", &incident.environment)];
    let mut labels: BTreeMap<String, String> =
        known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect();
    labels.insert("incident".to_owned(), incident.id.to_string());
    labels.insert("severity".to_owned(), incident.severity.to_string());
    labels
}

/// A run has ended: what starts by that is started.
pub(super) async fn by_run(context: &mut Context<'_>, run: &Run, state: RunState) -> store::Result<()> {
    let ended = if state == RunState::Done {
        RunEnd::Done
    } else if matches!(state, RunState::Failed | RunState::Undone | RunState::Released) {
        RunEnd::Failed
    } else {
        return Ok(());
    };
    let rules = context.rules;
    for plan in rules.runs.runbooks.values() {
        let is_it =
            |wanted: &crate::domain::runbooks::plan::OnRun| wanted.runbook == run.plan.name && wanted.ended == ended;
        if !plan.trigger.run.as_ref().is_some_and(is_it) {
            continue;
        }
        let labels = [("service", &run.target.service), ("environment", &run.target.environment)];
        let wish = Wish {
            incident: run.incident,
            cause: run.cause.clone(),
            labels: labels.map(|(name, value)| (name.to_owned(), value.clone())).into(),
            ..Wish::new(plan, Actor::Run(run.id), run.id.to_string())
        };
        if is_circular(context, plan, run).await? {
            let refused = Refused::new(Reason::Circular, format!("by {}", run.id));
            start::refuse(context, &wish, None, refused.clone()).await?;
            start::say_refused(context, run.incident, &plan.name, &refused).await?;
            continue;
        }
        Box::pin(begin(context, &wish)).await?;
    }
    Ok(())
}

/// Whether a run of the runbook is among those that led to this one.
async fn is_circular(context: &mut Context<'_>, plan: &Plan, run: &Run) -> store::Result<bool> {
    let mut before = Some(run.clone());
    for _ in 0..LONGEST_CHAIN {
        let Some(run) = before else { return Ok(false) };
        if run.plan.name == plan.name {
            return Ok(true);
        }
        before = match run.requested_by {
            Actor::Run(id) => runs::by_id(context.tx, id).await?,
            Actor::Person(_) | Actor::Source(_) | Actor::Bot => None,
        };
    }
    Ok(before.is_some())
}

/// A source asks for a run. It may only ask for what its configuration names.
pub(super) async fn by_webhook(context: &mut Context<'_>, webhook: &Webhook) -> store::Result<Option<Started>> {
    let rules = context.rules;
    let named = rules.scopes.get(&webhook.source).and_then(|scope| scope.runbooks.as_ref());
    let is_named = named.is_some_and(|runbooks| runbooks.contains(&webhook.runbook));
    let Some(plan) = rules.runs.runbooks.get(&webhook.runbook).filter(|plan| is_named && plan.trigger.webhook) else {
        return Ok(None);
    };
    let delivery = webhook.key.clone().unwrap_or_else(|| format!("@{}", context.now.millis()));
    let fault = format!("webhook/{}/{delivery}", webhook.source);
    let wish = Wish { given: webhook.inputs.clone(), ..Wish::new(plan, Actor::Source(webhook.source.clone()), fault) };
    start::start(context, &wish).await.map(Some)
}

/// Starts a run for which nobody waits; people are told if it is refused.
pub(super) async fn begin(context: &mut Context<'_>, wish: &Wish<'_>) -> store::Result<Started> {
    let started = start::start(context, wish).await?;
    if let Started::Refused(refused) = &started {
        start::say_refused(context, wish.incident, &wish.plan.name, refused).await?;
    }
    Ok(started)
}
