//! Starts a run, attaches to the one that is at work, or says why not.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    domain::{
        alerts::Alert,
        ids::{IncidentId, RunId},
        people::Actor,
        routes,
        runbooks::{
            inputs,
            plan::{Mode, Plan, Target, trigger_key},
            scope::Scope,
            words,
        },
        runs::{
            Cause, Event, Reason,
            guards::{self, Moment, Refused},
        },
        timeline::Draft,
    },
    engine::{
        Context,
        chat::{
            Line, Message, Subject,
            outbox::{self, Post, Stand},
        },
        incidents::acts,
        runs::facts,
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
}

/// Starts what an alert triggers. Every runbook whose matchers hold has an entry: started, attached, or why not.
pub(super) async fn by_alert(context: &mut Context<'_>, trigger: Trigger<'_>) -> store::Result<()> {
    let rules = context.rules;
    for plan in rules.runs.runbooks.values() {
        if !plan.trigger.fires_on(&trigger.alert.labels) {
            continue;
        }
        let cause = Cause {
            key: trigger.alert.key.clone(),
            episode: trigger.alert.episode,
            name: trigger.alert.labels.alertname().to_owned(),
            labels: trigger.alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            annotations: trigger.alert.annotations.clone(),
            starts_at: trigger.alert.starts_at,
        };
        let wish = Wish {
            plan,
            incident: Some(trigger.incident),
            fault: cause.fault(),
            cause: Some(cause),
            requested_by: Actor::Source(trigger.alert.source.clone()),
            given: BTreeMap::new(),
        };
        let named = trigger.decision.runbooks.iter().any(|name| *name == plan.name || name == "*");
        let started = if !named {
            refuse(context, &wish, None, Refused::new(Reason::NotRouted, format!("route `{}`", trigger.decision.route)))
                .await?
        } else if is_out_of_scope(context, trigger, &plan.name) {
            refuse(context, &wish, None, Refused::new(Reason::SourceScope, trigger.alert.source.clone())).await?
        } else {
            start(context, &wish).await?
        };
        // A runbook that the route leaves out on purpose is explained by `/why` and needs no message.
        if let Started::Refused(refused) = started
            && refused.reason != Reason::NotRouted
        {
            let channel = incidents::by_id(context.tx, trigger.incident)
                .await?
                .map_or_else(|| context.rules.default_channel.clone(), |incident| incident.channel);
            let line = Line::text("Did not start runbook ")
                .code(&plan.name)
                .and(format!(": {}", refused.reason.words()))
                .and(if refused.detail.is_empty() { String::new() } else { format!(" ({})", refused.detail) });
            let post = Post {
                channel,
                incident: Some(trigger.incident),
                message: Message::line(line),
                is_page: false,
                expires_at: None,
            };
            outbox::post(context, post).await?;
        }
    }
    Ok(())
}

fn is_out_of_scope(context: &Context<'_>, trigger: Trigger<'_>, runbook: &str) -> bool {
    let scope = context.rules.scopes.get(&trigger.alert.source);
    scope.and_then(|scope| scope.runbooks.as_ref()).is_some_and(|runbooks| !runbooks.contains(runbook))
}

/// Starts a run, unless a run of the runbook is at work on the target or a guard does not hold.
pub(super) async fn start(context: &mut Context<'_>, wish: &Wish<'_>) -> store::Result<Started> {
    let plan = wish.plan;
    let (inputs, target) = match aim(context, wish) {
        Ok(aimed) => aimed,
        Err(what) => return refuse(context, wish, None, Refused::new(Reason::BadInputs, what)).await,
    };
    let key = trigger_key(&plan.name, &target, &wish.fault);
    let mode = plan.mode.min(context.rules.runs.mode);
    let same = match runs::by_trigger(context.tx, &key).await? {
        Some(run) => Some(run),
        None if mode == Mode::Observe => None,
        None => runs::at_work(context.tx, &plan.name, &target).await?,
    };
    if let Some((run, _)) = same {
        if let Some(cause) = &wish.cause {
            let event = Event::RunAttached { run, runbook: plan.name.clone(), by_alert: cause.name.clone() };
            context.tell_of(wish.incident, Draft::new(wish.requested_by.clone(), &event)).await?;
        }
        return Ok(Started::Attached(run));
    }
    let about = facts::Subject {
        run: None,
        plan,
        target: &target,
        cause: wish.cause.as_ref(),
        requester: wish.requested_by.person(),
        mode,
    };
    let mut facts = facts::of(context, about, false).await?;
    if mode == Mode::Observe {
        facts.locked_by = None;
        facts.halted = None;
    }
    if let Err(refused) = guards::evaluate(&plan.guards, Moment::Start, &facts, context.now) {
        return refuse(context, wish, Some(&target), refused).await;
    }
    let new = runs::NewRun {
        plan,
        trigger_key: &key,
        target: &target,
        incident: wish.incident,
        cause: wish.cause.as_ref(),
        requested_by: &wish.requested_by,
        mode,
        inputs: &inputs,
    };
    let id = runs::add(context.tx, &new, context.now).await?;
    let event = Event::RunTriggered {
        run: id,
        runbook: plan.name.clone(),
        plan_hash: plan.hash(),
        target: target.to_string(),
        mode,
        by_alert: wish.cause.as_ref().map(|cause| cause.name.clone()),
    };
    context.tell_of(wish.incident, Draft::new(wish.requested_by.clone(), &event)).await?;
    let mut channel = context.rules.default_channel.clone();
    if let Some(incident) = wish.incident {
        acts::count_runs(context, incident, 1).await?;
        if let Some(incident) = incidents::by_id(context.tx, incident).await? {
            channel = incident.channel;
        }
    }
    let stand = Stand { channel, incident: wish.incident, is_page: false };
    outbox::show(context, Subject::Run(id), &stand).await?;
    Ok(Started::New(id))
}

/// The inputs and the target of a wish, or what is wrong with them.
fn aim(context: &Context<'_>, wish: &Wish<'_>) -> Result<(BTreeMap<String, Value>, Target), String> {
    let labels = wish.cause.as_ref().map(|cause| cause.labels.clone()).unwrap_or_default();
    let inputs = inputs::resolve(wish.plan, &wish.given, &labels).map_err(|problem| problem.to_string())?;
    let mut scope = Scope::new();
    scope.extend(inputs.clone());
    let target = wish.plan.target(&scope).map_err(|error| error.to_string())?;
    let known = context.rules.services();
    for service in wish.plan.aimed_at(&inputs, &target) {
        if !known.is_empty() && !known.contains(service) {
            let shown: String = service.chars().take(60).collect();
            let hint = match words::nearest(service, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name it in a route, or in the `services` of a source".to_owned(),
            };
            return Err(format!("`{shown}` is not a service of the configuration; {hint}"));
        }
    }
    let allowed = match &wish.requested_by {
        Actor::Source(source) => context.rules.scopes.get(source).and_then(|scope| scope.services.as_ref()),
        Actor::Person(_) | Actor::Run(_) | Actor::Bot => None,
    };
    if allowed.is_some_and(|services| !services.contains(&target.service)) {
        return Err(format!("the source may not act on `{}`", target.service));
    }
    Ok((inputs, target))
}

async fn refuse(
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
