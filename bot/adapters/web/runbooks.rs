//! `POST /webhooks/runbooks/<name>`: a source starts a runbook that its configuration names. A 202 means that the run is
//! durable; the same `Idempotency-Key` again is the same run.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Site, SourceKind, answers::Trouble, webhooks::prove};
use crate::engine::{
    Answer, Input,
    runs::{self, Started, Webhook},
};

/// What is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    /// Values of its inputs, as a person would write them.
    inputs: BTreeMap<String, Value>,
}

pub(super) async fn start(site: State<Arc<Site>>, Path(name): Path<String>, request: Request) -> Response {
    begin(&site, name, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn begin(site: &Site, runbook: String, request: Request) -> Result<Response, Trouble> {
    let keys = site.gate.keys();
    let (head, body) = request.into_parts();
    let proven = prove(site, (SourceKind::Generic, &keys.sources), &head.headers, body).await?;
    let wanted = read(&proven.body)?;
    let key = head.headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let webhook = Webhook {
        source: proven.source.name.clone(),
        runbook,
        inputs: wanted.inputs.into_iter().map(|(name, value)| (name, written(&value))).collect(),
        key: key.or_else(|| proven.signature.clone()),
    };
    let (source, name) = (webhook.source.clone(), webhook.runbook.clone());
    let Answer::Run(runs::Answer::Started(started)) =
        site.engine.submit(Input::Run(runs::Input::Webhook(webhook))).await?
    else {
        return Err(Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, "A request was not answered"));
    };
    match started {
        Some(Started::New(run)) => Ok((StatusCode::ACCEPTED, Json(json!({ "run": run }))).into_response()),
        Some(Started::Attached(run)) => {
            Ok((StatusCode::ACCEPTED, Json(json!({ "run": run, "attached": true }))).into_response())
        }
        Some(Started::Refused(refused)) => {
            let detail = if refused.detail.is_empty() { String::new() } else { format!(": {}", refused.detail) };
            let what = format!("`{name}` was not started: {}{detail}", refused.reason.words());
            Err(Trouble::new(StatusCode::CONFLICT, what).hint(format!("the reason is `{}`", refused.reason)))
        }
        None => {
            let what = format!("The source `{source}` may not start `{name}`");
            let hint = "name it in the `runbooks` of the source, and add `webhook: {}` under the runbook's `trigger`";
            Err(Trouble::new(StatusCode::FORBIDDEN, what).hint(hint))
        }
    }
}

fn read(body: &[u8]) -> Result<Wanted, Trouble> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Wanted::default());
    }
    serde_json::from_slice(body).map_err(|error| {
        Trouble::new(StatusCode::BAD_REQUEST, format!("`body`: {error}"))
            .hint("send `{\"inputs\": {\"name\": \"value\"}}`, or nothing")
    })
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
