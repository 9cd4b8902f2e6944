//! Where deployers and code hosts tell of what they did: a 202 means that it is durable, or of no use here.
//!
//! As with alerts, a source proves itself first. One that sends a delivery again is answered as before, and nothing is
//! changed by it.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Site, SourceKind,
    answers::Trouble,
    webhooks::{elsewhere, malformed, note, prove},
};
use crate::{
    domain::deployments::Delivery,
    engine::{self, Input, deployments::Answer},
    store::Fault,
};

/// `POST /webhooks/github`: the source is the one whose secret has signed it.
pub(super) async fn github(site: State<Arc<Site>>, request: Request) -> Response {
    receive(&site, SourceKind::Github, None, request).await
}

/// `POST /webhooks/github/<source>`: the same, for one source.
pub(super) async fn github_named(site: State<Arc<Site>>, Path(name): Path<String>, request: Request) -> Response {
    receive(&site, SourceKind::Github, Some(&name), request).await
}

/// `POST /webhooks/deployments`: the source is the one whose credentials these are.
pub(super) async fn deployments(site: State<Arc<Site>>, request: Request) -> Response {
    receive(&site, SourceKind::Deployments, None, request).await
}

/// `POST /webhooks/deployments/<source>`: the same, for one source.
pub(super) async fn deployments_named(site: State<Arc<Site>>, Path(name): Path<String>, request: Request) -> Response {
    receive(&site, SourceKind::Deployments, Some(&name), request).await
}

async fn receive(site: &Site, kind: SourceKind, name: Option<&str>, request: Request) -> Response {
    let begun = Instant::now();
    let mut source = None;
    let taken = take(site, (kind, name), request, &mut source).await;
    let trouble = taken.as_ref().err().cloned();
    let response = taken.unwrap_or_else(IntoResponse::into_response);
    note(source.unwrap_or_else(|| "unknown".to_owned()), begun, trouble.as_ref(), response.status());
    response
}

async fn take(
    site: &Site,
    (kind, name): (SourceKind, Option<&str>),
    request: Request,
    known_as: &mut Option<String>,
) -> Result<Response, Trouble> {
    let keys = site.gate.keys();
    let (head, body) = request.into_parts();
    let proven = prove(site, (kind, &keys.sources), &head.headers, body).await?;
    let source = proven.source;
    *known_as = Some(source.name.clone());
    let is_here = source.kind == kind && name.is_none_or(|name| name == source.name);
    let Some(read) = source.feed.as_ref().filter(|_| is_here) else {
        return Err(elsewhere(source));
    };
    let event = header(&head.headers, "x-github-event").unwrap_or_default();
    let report = read(event, &proven.body).map_err(malformed)?;
    // GitHub's name for the delivery, which is the same when it is sent again.
    // <https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers>
    let delivery = header(&head.headers, "x-github-delivery").or_else(|| header(&head.headers, "idempotency-key"));
    let source_key = delivery.map(|delivery| format!("delivery:{}:{delivery}", source.name));
    let event = if event.is_empty() { "deployment".to_owned() } else { known(event).to_owned() };
    let delivery = Delivery { source: source.name.clone(), source_key, report };
    let answer = match site.engine.submit(Input::Deployment(delivery)).await? {
        engine::Answer::Deployment(answer) => answer,
        engine::Answer::Received(_)
        | engine::Answer::Reply(_)
        | engine::Answer::Run(_)
        | engine::Answer::Silences(_)
        | engine::Answer::Done => return Err(Fault::defect("a report of a deployment was not answered").into()),
    };
    let (outcome, told) = match answer {
        Answer::Taken(services) => ("taken", json!({ "services": services })),
        Answer::Ignored(reason) => ("ignored", json!({ "ignored": reason })),
        Answer::OutOfScope(service) => {
            let what = format!("The source `{}` may not speak of `{service}`", source.name);
            return Err(
                Trouble::new(StatusCode::FORBIDDEN, what).hint("its `services` in the configuration say of which")
            );
        }
    };
    let name = source.name.clone();
    metrics::counter!("firewarden_changes_total", "source" => name, "event" => event, "outcome" => outcome)
        .increment(1);
    Ok((StatusCode::ACCEPTED, Json(told)).into_response())
}

/// The event's name in the metrics: what others send must not grow them.
fn known(event: &str) -> &'static str {
    const EVENTS: [&str; 6] = ["deployment", "deployment_status", "pull_request", "workflow_run", "push", "ping"];
    EVENTS.into_iter().find(|known| *known == event).unwrap_or("other")
}

/// A short header of printable letters.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().filter(|text| !text.is_empty() && text.len() <= 100)
}
