//! Where alerts come in: a 202 means that they are durable.
//!
//! A source proves itself before its body is read, unless the proof is a signature over the body. What cannot be
//! understood gets a 400 with its place in the body; while nothing can be written the answer is a 503, and senders come
//! again by themselves.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Site, Source, SourceKind,
    answers::{Trouble, whole},
    credentials::Shown,
    room::Place,
};
use crate::{domain::alerts::Malformed, engine::traces::Arrival};

/// `POST /webhooks/alertmanager`: the source is the one whose credentials these are.
pub(super) async fn alertmanager(site: State<Arc<Site>>, request: Request) -> Response {
    receive(&site, SourceKind::Alertmanager, None, request).await
}

/// `POST /webhooks/alertmanager/<source>`: the same, for one source.
pub(super) async fn alertmanager_named(site: State<Arc<Site>>, Path(name): Path<String>, request: Request) -> Response {
    receive(&site, SourceKind::Alertmanager, Some(&name), request).await
}

/// `POST /webhooks/generic/<source>`.
pub(super) async fn generic(site: State<Arc<Site>>, Path(name): Path<String>, request: Request) -> Response {
    receive(&site, SourceKind::Generic, Some(&name), request).await
}

async fn receive(site: &Site, kind: SourceKind, name: Option<&str>, request: Request) -> Response {
    let begun = Instant::now();
    let arrival = arrival(site, request.headers());
    let mut source = None;
    let taken = take(site, (kind, name), request, arrival, &mut source).await;
    let source = source.unwrap_or_else(|| "unknown".to_owned());
    let trouble = taken.as_ref().err().cloned();
    let response = taken.unwrap_or_else(IntoResponse::into_response);
    note(source, begun, trouble.as_ref(), response.status());
    response
}

/// Notes how a delivery was answered, in the log and in the metrics.
pub(super) fn note(source: String, begun: Instant, trouble: Option<&Trouble>, status: StatusCode) {
    if let Some(trouble) = trouble.filter(|trouble| trouble.status.is_client_error()) {
        // Senders do not repeat what was refused: the log is where its alerts can still be noticed.
        tracing::warn!(source, status = trouble.status.as_u16(), why = trouble.what, "a delivery was refused");
    }
    let code = status.as_str().to_owned();
    metrics::counter!("firewarden_intake_requests_total", "source" => source.clone(), "status" => code).increment(1);
    metrics::histogram!("firewarden_intake_seconds", "source" => source).record(begun.elapsed().as_secs_f64());
}

async fn take(
    site: &Site,
    (kind, name): (SourceKind, Option<&str>),
    request: Request,
    arrival: Option<Arrival>,
    known_as: &mut Option<String>,
) -> Result<Response, Trouble> {
    let keys = site.gate.keys();
    let (head, body) = request.into_parts();
    let proven = prove(site, (kind, &keys.sources), &head.headers, body).await?;
    let source = proven.source;
    *known_as = Some(source.name.clone());
    let is_here = source.kind == kind && name.is_none_or(|name| name == source.name);
    let Some(parse) = source.parse.as_ref().filter(|_| is_here) else {
        return Err(elsewhere(source));
    };
    let mut batch = parse(&proven.body).map_err(malformed)?;
    // The same signature is the same delivery: sent again, by its sender or by somebody who overheard it, it says
    // nothing new.
    if let (None, Some(signature)) = (&batch.source_key, proven.signature) {
        batch.source_key = Some(format!("signed:{signature}"));
    }
    let truncated = batch.truncated;
    let receipt = site.engine.receive_from(batch, arrival).await?;
    metrics::counter!("firewarden_intake_alerts_total", "source" => source.name.clone())
        .increment(receipt.alerts.try_into().unwrap_or(u64::MAX));
    Ok((StatusCode::ACCEPTED, Json(json!({ "alerts": receipt.alerts, "truncated": truncated }))).into_response())
}

/// What a source is told whose body is not understood.
pub(super) fn malformed(malformed: Malformed) -> Trouble {
    let place = if malformed.json_path.is_empty() { "body" } else { &malformed.json_path };
    let trouble = Trouble::new(StatusCode::BAD_REQUEST, format!("`{place}`: {}", malformed.what));
    match malformed.hint {
        Some(hint) => trouble.hint(hint),
        None => trouble,
    }
}

/// What a source is told that sends to an address which is not its own.
pub(super) fn elsewhere(source: &Source) -> Trouble {
    let place = match source.kind {
        SourceKind::Alertmanager => format!("/webhooks/alertmanager/{}", source.name),
        SourceKind::Generic => format!("/webhooks/generic/{}", source.name),
        SourceKind::Prometheus => "/api/v2/alerts".to_owned(),
        SourceKind::Github => format!("/webhooks/github/{}", source.name),
        SourceKind::Deployments => format!("/webhooks/deployments/{}", source.name),
    };
    Trouble::new(StatusCode::FORBIDDEN, format!("The source `{}` may not send to this address", source.name))
        .hint(format!("it sends to `{place}`"))
}

/// When a delivery came in, and which span of its sender it comes from; nothing if nobody looks at traces.
pub(super) fn arrival(site: &Site, headers: &HeaderMap) -> Option<Arrival> {
    site.engine.traces()?;
    let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    Some(Arrival { at: site.engine.now(), from: parent.and_then(|value| value.parse().ok()) })
}

/// A delivery whose sender is known.
pub(super) struct Proven<'a> {
    pub(super) source: &'a Source,
    pub(super) body: Bytes,
    pub(super) signature: Option<String>,
    /// Kept until it is answered.
    _place: Place,
}

/// The sender, by the credentials of its request, and what it sends.
pub(super) async fn prove<'a>(
    site: &Site,
    (kind, sources): (SourceKind, &'a [Source]),
    headers: &HeaderMap,
    body: Body,
) -> Result<Proven<'a>, Trouble> {
    let shown = Shown::read(headers);
    if let Some(source) = sources.iter().find(|source| source.admits(&shown)) {
        let place = site.room.enter(kind, headers)?;
        let body = whole(body, site.body_limit).await?;
        return Ok(Proven { source, body, signature: None, _place: place });
    }
    let signing: Vec<_> = sources.iter().filter_map(|source| Some((source, source.signing(headers)?))).collect();
    if signing.is_empty() {
        return Err(Trouble::new(StatusCode::UNAUTHORIZED, "The credentials are no source's")
            .hint("send the source's token as `Authorization: Bearer …`, its user and password, or a signature"));
    }
    let place = site.room.enter(kind, headers)?;
    let body = whole(body, site.body_limit).await?;
    let now = site.engine.now();
    for (source, signing) in signing {
        if let Some(signature) = signing.verified(headers, &body, now) {
            return Ok(Proven { source, body, signature: Some(signature), _place: place });
        }
    }
    let trouble = Trouble::new(StatusCode::UNAUTHORIZED, "The signature is not right, or too old");
    Err(trouble.hint(match kind {
        SourceKind::Github => "give the webhook the secret of its source, and the content type `application/json`",
        SourceKind::Alertmanager | SourceKind::Generic | SourceKind::Prometheus | SourceKind::Deployments => {
            "sign the time in Unix seconds, a dot and the body with HMAC-SHA256, and send time and signature in headers"
        }
    }))
}
