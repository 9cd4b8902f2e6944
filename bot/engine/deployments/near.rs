//! Tells incidents of changes near in time, and the ledger of incidents that opened before a deployment had baked.
//!
//! Near in time is not a cause: people are told what changed, and the ledger only stops calling it good.

use super::cards;
use crate::{
    domain::{
        deployments::{Change, Deployment, Event, Ledger},
        ids::IncidentId,
        incidents::Incident,
        people::Actor,
        timeline::Draft,
    },
    engine::{Context, chat::Message, incidents::acts},
    store::{self, deployments, incidents, incidents::Filter},
};

/// The most changes that an incident is told of when it opens: the newest.
const TOLD: i64 = 20;
/// The most incidents that a change is told to.
const INCIDENTS: i64 = 20;

/// An incident opened: what was live and had not baked is not good, and what changed before is told.
pub(super) async fn opened(context: &mut Context<'_>, incident: &Incident) -> store::Result<()> {
    let Some(service) = incident.service.clone() else { return Ok(()) };
    let places = match &incident.environment {
        Some(environment) => vec![environment.clone()],
        // Where it is, nobody knows: then it may be anywhere.
        None => deployments::environments(context.tx, &service).await?,
    };
    for environment in places {
        let ledger = deployments::ledger(context.tx, &service, &environment).await?;
        if let Some(deployment) = ledger.baking_at(incident.opened_at).cloned() {
            suspect(context, deployment, incident).await?;
        }
    }
    let window = context.rules.deployments.nearby;
    let between = (incident.opened_at - window, context.now);
    let mut changes = deployments::changes(context.tx, &service, between, TOLD).await?;
    changes.retain(|change| is_there(change.environment.as_deref(), incident));
    for change in &changes {
        tell(context, incident, change).await?;
    }
    if changes.is_empty() {
        let within_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        context.tell(incident.id, Draft::new(Actor::Bot, &Event::NoChangeNearby { service, within_ms })).await?;
    }
    Ok(())
}

/// Counts a deployment as not good because of an incident, unless another one made it so before.
pub(super) async fn suspect(
    context: &mut Context<'_>,
    mut deployment: Deployment,
    incident: &Incident,
) -> store::Result<()> {
    if deployment.incident.is_some() && !deployment.is_incident_declined {
        return Ok(());
    }
    deployment.incident = Some(incident.id);
    deployments::save(context.tx, &deployment).await?;
    let age = Ledger::age(&deployment, incident.opened_at);
    let event = Event::DeploymentSuspected {
        deployment: deployment.id,
        sha: deployment.sha,
        version: deployment.version,
        incident: incident.id,
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
    };
    context.tell(incident.id, Draft::new(Actor::Bot, &event)).await?;
    Ok(())
}

/// Tells the open incidents of the service of a change, but for the one in whose run it was made: that knows.
pub(super) async fn tell_open(
    context: &mut Context<'_>,
    change: &Change,
    own: Option<IncidentId>,
) -> store::Result<()> {
    for incident in open(context, &change.service, change.environment.as_deref()).await? {
        if Some(incident.id) != own {
            tell(context, &incident, change).await?;
            acts::say(context, &incident, Message::line(cards::nearby(change))).await?;
        }
    }
    Ok(())
}

/// The open incidents of a service that are, or may be, in this place.
pub(super) async fn open(
    context: &mut Context<'_>,
    service: &str,
    environment: Option<&str>,
) -> store::Result<Vec<Incident>> {
    let filter = Filter { service: Some(service), ..Filter::default() };
    let mut open = incidents::list(context.tx, filter, INCIDENTS).await?;
    open.retain(|incident| is_there(environment, incident));
    Ok(open)
}

fn is_there(environment: Option<&str>, incident: &Incident) -> bool {
    environment.is_none_or(|here| incident.environment.as_deref().is_none_or(|there| there == here))
}

async fn tell(context: &mut Context<'_>, incident: &Incident, change: &Change) -> store::Result<()> {
    let before = (change.at <= incident.opened_at).then(|| incident.opened_at.since(change.at));
    let event = Event::ChangeNearby {
        change: change.kind,
        service: change.service.clone(),
        environment: change.environment.clone(),
        what: change.what.clone(),
        at: change.at,
        by: change.by.clone(),
        url: change.url.clone(),
        before_ms: before.map(|before| u64::try_from(before.as_millis()).unwrap_or(u64::MAX)),
    };
    context.tell(incident.id, Draft::new(Actor::Bot, &event).source_at(change.at)).await?;
    Ok(())
}
