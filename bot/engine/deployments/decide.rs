//! What deployers and code hosts say, and what deployments have to do with an incident that opens.

use std::collections::BTreeSet;

use futures::future::BoxFuture;

use super::{Answer, acts, near};
use crate::{
    domain::{
        deployments::{About, Change, Delivery, Event, Report},
        ids::IncidentId,
        people::Actor,
        timeline::Draft,
    },
    engine::{Context, incidents::News},
    store::{self, Fault, deployments, incidents, inputs, timers},
};

/// Why a delivery was not noted.
const OTHER_EVENT: &str = "other_event";
const NOT_IN_CATALOG: &str = "not_in_catalog";

/// Takes a delivery; one that comes again changes nothing and gets the first answer.
pub async fn receive(context: &mut Context<'_>, delivery: &Delivery) -> store::Result<Answer> {
    if let Some(key) = &delivery.source_key
        && let Some(answer) = inputs::answered(context.tx, key).await?
    {
        return Ok(serde_json::from_str(&answer)?);
    }
    let answer = match &delivery.report {
        Some(report) => note(context, &delivery.source, report).await?,
        None => Answer::Ignored(OTHER_EVENT.to_owned()),
    };
    if let Some(key) = &delivery.source_key {
        let now = context.now;
        inputs::remember(context.tx, key, now, &serde_json::to_string(&answer)?).await?;
    }
    Ok(answer)
}

async fn note(context: &mut Context<'_>, source: &str, report: &Report) -> store::Result<Answer> {
    let (about, environment) = match report {
        Report::Deployment(seen) => (&seen.about, Some(seen.environment.as_str())),
        Report::Change { about, .. } => (about, None),
    };
    let rules = context.rules;
    let services: Vec<&str> = match about {
        About::Service(service) => vec![service],
        About::Repository { name, service } => {
            let mut found = rules.catalog.of_repository(name, environment);
            found.retain(|known| service.as_deref().is_none_or(|meant| meant == *known));
            found
        }
    };
    let scope = rules.scopes.get(source).and_then(|scope| scope.services.as_ref());
    if let Some(outside) = scope.and_then(|scope| services.iter().find(|service| !scope.contains(**service))) {
        return Ok(Answer::OutOfScope((*outside).to_owned()));
    }
    if services.is_empty() {
        return Ok(Answer::Ignored(NOT_IN_CATALOG.to_owned()));
    }
    let actor = Actor::Source(source.to_owned());
    for service in &services {
        match report {
            Report::Deployment(seen) => {
                let run = match &seen.key {
                    Some(key) => deployments::run_of(context.tx, key).await?,
                    None => None,
                };
                acts::record(context, service, seen, &acts::Teller { actor: actor.clone(), run, incident: None })
                    .await?;
            }
            Report::Change { kind, what, at, by, url, external, .. } => {
                let change = Change {
                    service: (*service).to_owned(),
                    environment: None,
                    kind: *kind,
                    what: what.clone(),
                    at: at.unwrap_or(context.now).min(context.now),
                    by: by.clone(),
                    url: url.clone(),
                    external: external.clone(),
                    run: None,
                };
                changed(context, &change, &actor).await?;
            }
        }
    }
    Ok(Answer::Taken(services.into_iter().map(str::to_owned).collect()))
}

/// Notes a change that is no deployment, once.
async fn changed(context: &mut Context<'_>, change: &Change, actor: &Actor) -> store::Result<()> {
    if !deployments::add_change(context.tx, change).await? {
        return Ok(());
    }
    let event = Event::ChangeReported {
        change: change.kind,
        service: change.service.clone(),
        what: change.what.clone(),
        at: change.at,
        by: change.by.clone(),
        url: change.url.clone(),
    };
    context.tell_of(None, Draft::new(actor.clone(), &event).source_at(change.at)).await?;
    near::tell_open(context, change, None).await
}

/// Holds the incidents that alerts opened against what was deployed and changed before.
pub async fn take(context: &mut Context<'_>, news: &[News]) -> store::Result<()> {
    let opened: Vec<(IncidentId, &str)> = news
        .iter()
        .filter_map(|item| match item {
            News::Fired { incident, decision, is_new_incident: true, .. } => {
                Some((*incident, decision.service.as_deref()?))
            }
            News::Fired { .. } | News::Cleared { .. } | News::PhaseMoved { .. } => None,
        })
        .collect();
    let services: BTreeSet<&str> = opened.iter().map(|(_, service)| *service).collect();
    if services.is_empty() {
        return Ok(());
    }
    let reported = deployments::reported(context.tx, services).await?;
    for (incident, _) in opened.into_iter().filter(|(_, service)| reported.contains(*service)) {
        if let Some(incident) = incidents::by_id(context.tx, incident).await? {
            near::opened(context, &incident).await?;
        }
    }
    Ok(())
}

/// The same for an incident that a person declared.
pub(super) fn incident_opened<'a>(
    context: &'a mut Context<'_>,
    due: &'a timers::Due,
) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let id: IncidentId = due.subject.parse().map_err(|error| Fault::defect(format!("{error}")))?;
        let Some(incident) = incidents::by_id(context.tx, id).await? else { return Ok(()) };
        let Some(service) = &incident.service else { return Ok(()) };
        if deployments::reported(context.tx, [service.as_str()]).await?.is_empty() {
            return Ok(());
        }
        near::opened(context, &incident).await
    })
}
