//! Starts a run, attaches to the one that is at work, or says why not.

use std::collections::BTreeMap;

use crate::{
    domain::{
        alerts::Alert,
        ids::{IncidentId, RunId},
        people::Actor,
        routes,
        runbooks::plan::{Mode, Plan, Target},
        runs::{Cause, Event, Parent, Reason, guards::Refused},
        timeline::Draft,
    },
    engine::{
        Context,
        chat::{
            Line, Message, Subject,
            outbox::{self, Post, Stand},
        },
        incidents::acts,
        runs::{
            judge::{self, Aim, Judged, Verdict},
            triggers,
        },
    },
    store::{self, incidents, runs},
};

/// An alert that may start runbooks.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// The incident that took it.
    pub incident: IncidentId,
    /// The alert.
    pub alert: &'a Alert,
    /// Where it went, and which runbooks may be run for it.
    pub decision: &'a routes::Decision,
}

/// What came of a wish to start a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// A run was started.
    New(RunId),
    /// This run is for the same fault, or at work on the same target.
    Attached(RunId),
    /// No run was started.
    Refused(Refused),
}

/// A wish to start a run.
pub(super) struct Wish<'a> {
    pub(super) plan: &'a Plan,
    pub(super) incident: Option<IncidentId>,
    pub(super) cause: Option<Cause>,
    pub(super) requested_by: Actor,
    /// What makes a second wish the same as a first.
    pub(super) fault: String,
    pub(super) given: BTreeMap<String, String>,
    /// What its inputs may read where an alert has labels, if no alert starts it.
    pub(super) labels: BTreeMap<String, String>,
    /// The attempt that waits for the run's end, in whose name targets are locked, and how far its run may go.
    pub(super) parent: Option<(Parent, RunId, Mode)>,
}

impl<'a> Wish<'a> {
    /// A wish that no alert and no other run is behind, for no incident.
    pub(super) fn new(plan: &'a Plan, requested_by: Actor, fault: String) -> Self {
        let (given, labels) = (BTreeMap::new(), BTreeMap::new());
        Self { plan, incident: None, cause: None, requested_by, fault, given, labels, parent: None }
    }

    /// A wish that an alert is behind.
    pub(super) fn by_alert(plan: &'a Plan, incident: Option<IncidentId>, alert: &Alert) -> Self {
        let cause = Cause {
            key: alert.key.clone(),
            episode: alert.episode,
            name: alert.labels.alertname().to_owned(),
            labels: alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
        };
        let wish = Self::new(plan, Actor::Source(alert.source.clone()), cause.fault());
        Self { incident, cause: Some(cause), ..wish }
    }
}

/// Starts what an alert triggers. Every runbook whose matchers hold has an entry: started, attached, or why not.
pub(super) async fn by_alert(context: &mut Context<'_>, trigger: Trigger<'_>) -> store::Result<()> {
    let rules = context.rules;
    for plan in rules.runs.runbooks.values() {
        if !plan.trigger.fires_on(&trigger.alert.labels) {
            continue;
        }
        let wish = Wish::by_alert(plan, Some(trigger.incident), trigger.alert);
        let named = trigger.decision.runbooks.iter().any(|name| *name == plan.name || name == "*");
        let started = if !named {
            refuse(context, &wish, None, Refused::new(Reason::NotRouted, format!("route `{}`", trigger.decision.route)))
                .await?
        } else if is_out_of_scope(context, trigger, &plan.name) {
            refuse(context, &wish, None, Refused::new(Reason::SourceScope, trigger.alert.source.clone())).await?
        } else if let Some(refused) = triggers::not_yet(context, plan, trigger).await? {
            refuse(context, &wish, None, refused).await?
        } else {
            start(context, &wish).await?
        };
        // A runbook that the route leaves out on purpose is explained by `/why` and needs no message.
        if let Started::Refused(refused) = started
            && !matches!(refused.reason, Reason::NotRouted | Reason::TooFew | Reason::Delayed)
        {
            say_refused(context, Some(trigger.incident), &plan.name, &refused).await?;
        }
    }
    Ok(())
}

/// Tells people that a runbook was not started.
pub(super) async fn say_refused(
    context: &mut Context<'_>,
    incident: Option<IncidentId>,
    runbook: &str,
    refused: &Refused,
) -> store::Result<()> {
    let known = match incident {
        Some(id) => incidents::by_id(context.tx, id).await?,
        None => None,
    };
    let channel = known.map_or_else(|| context.rules.default_channel.clone(), |incident| incident.channel);
    let line = Line::text("Did not start runbook ")
        .code(runbook)
        .and(format!(": {}", refused.reason.words()))
        .and(if refused.detail.is_empty() { String::new() } else { format!(" ({})", refused.detail) });
    let post = Post { channel, incident, message: Message::line(line), is_page: false, expires_at: None };
    outbox::post(context, post).await
}

fn is_out_of_scope(context: &Context<'_>, trigger: Trigger<'_>, runbook: &str) -> bool {
    let scope = context.rules.scopes.get(&trigger.alert.source);
    scope.and_then(|scope| scope.runbooks.as_ref()).is_some_and(|runbooks| !runbooks.contains(runbook))
}

/// Starts a run, unless a run of the runbook is at work on the target or a guard does not hold.
pub(super) async fn start(context: &mut Context<'_>, wish: &Wish<'_>) -> store::Result<Started> {
    let plan = wish.plan;
    let judged = match judge::judge(&mut context.view(), wish).await? {
        Ok(judged) => judged,
        Err(refused) => return refuse(context, wish, None, refused).await,
    };
    let Judged { aim: Aim { inputs, target, together }, key, mode, verdict } = judged;
    let behind = match verdict {
        Verdict::Start => None,
        Verdict::Queue(behind) => Some(behind),
        Verdict::Attach(run) => return attach(context, wish, run).await,
        Verdict::Refuse(refused) => return refuse(context, wish, Some(&target), refused).await,
    };
    let plan_hash = plan.hash();
    let new = runs::NewRun {
        plan,
        plan_hash: &plan_hash,
        trigger_key: &key,
        target: &target,
        incident: wish.incident,
        cause: wish.cause.as_ref(),
        requested_by: &wish.requested_by,
        mode,
        inputs: &inputs,
        concurrency: together.as_ref().map(|(key, _, _)| (key.as_str(), behind.is_some())),
        parent: wish.parent.as_ref().map(|(parent, holder, _)| (parent, *holder)),
    };
    let id = runs::add(context.tx, &new, context.now).await?;
    let event = Event::RunTriggered {
        run: id,
        runbook: plan.name.clone(),
        plan_hash,
        target: target.to_string(),
        mode,
        by_alert: wish.cause.as_ref().map(|cause| cause.name.clone()),
    };
    context.tell_of(wish.incident, Draft::new(wish.requested_by.clone(), &event)).await?;
    if let (Some((key, _, _)), Some(behind)) = (&together, behind) {
        let (runbook, reason) = (plan.name.clone(), Reason::Concurrency);
        let event = Event::RunQueued { run: id, runbook, key: key.clone(), behind, reason };
        context.tell_of(wish.incident, Draft::new(wish.requested_by.clone(), &event)).await?;
    }
    let incident = match wish.incident {
        Some(incident) => acts::count_runs(context, incident, 1).await?,
        None => None,
    };
    let channel = incident.map_or_else(|| context.rules.default_channel.clone(), |incident| incident.channel);
    let stand = Stand { channel, incident: wish.incident, is_page: false };
    outbox::show(context, Subject::Run(id), &stand).await?;
    Ok(Started::New(id))
}

/// Lets the wish count for a run that is at work.
async fn attach(context: &mut Context<'_>, wish: &Wish<'_>, run: RunId) -> store::Result<Started> {
    if let Some(cause) = &wish.cause {
        let event = Event::RunAttached { run, runbook: wish.plan.name.clone(), by_alert: cause.name.clone() };
        context.tell_of(wish.incident, Draft::new(wish.requested_by.clone(), &event)).await?;
    }
    Ok(Started::Attached(run))
}

pub(super) async fn refuse(
    context: &mut Context<'_>,
    wish: &Wish<'_>,
    target: Option<&Target>,
    refused: Refused,
) -> store::Result<Started> {
    let event = Event::RunRefused {
        runbook: wish.plan.name.clone(),
        target: target.map_or_else(|| wish.plan.target.service.clone(), ToString::to_string),
        reason: refused.reason,
        detail: refused.detail.clone(),
    };
    context.tell_of(wish.incident, Draft::new(wish.requested_by.clone(), &event)).await?;
    Ok(Started::Refused(refused))
}
