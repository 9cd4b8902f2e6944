//! One request to a cluster, and what its answer means: what certainly was not done is told apart from what may have been.

use std::{error::Error, time::Duration};

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kube::{
    Client,
    client::{AuthError, Body},
    core::{Request as Path, params::ListParams},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::engine::cluster::Trouble;

/// The longest answer that is read, in bytes.
const LONGEST: usize = 32 * 1024 * 1024;
/// The pause of a 429 that names none.
const PAUSE: Duration = Duration::from_secs(1);
/// The name under which the cluster keeps who owns which field.
const MANAGER: &str = "firewarden";
/// The most characters of what a cluster says that are kept.
const WORDS: usize = 400;

/// A patch, by its sort.
pub(super) enum Patch {
    /// RFC 7386.
    Merge(Value),
    /// RFC 6902.
    Steps(Value),
}

/// What of a list is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// All of it, or the one object that the path names.
    All,
    /// What bears these labels.
    Labelled(&'a str),
    /// What has these fields.
    With(&'a str),
}

/// Reads an object or a list.
pub(super) async fn read(client: &Client, path: &str, which: Which<'_>) -> Result<Value, Trouble> {
    let list = |params: ListParams| Path::new(path).list(&params).map_err(|error| Trouble::Refused(error.to_string()));
    let request = match which {
        Which::All => Request::get(path).body(Vec::new()).map_err(|error| Trouble::Refused(error.to_string()))?,
        Which::Labelled(labels) => list(ListParams::default().labels(labels))?,
        Which::With(fields) => list(ListParams::default().fields(fields))?,
    };
    let response = client.send(request.map(Body::from)).await.map_err(|error| unsent(&error))?;
    let (status, pause) = (response.status(), pause(response.headers()));
    let body = Limited::new(response.into_body(), LONGEST).collect().await;
    let body = body.map_err(|error| Trouble::Unknown(format!("the answer broke off: {error}")))?.to_bytes();
    if status.is_success() {
        serde_json::from_slice(&body).map_err(|error| Trouble::Unknown(format!("the answer is no JSON: {error}")))
    } else {
        Err(refused(status, pause, &body))
    }
}

/// Changes an object.
pub(super) async fn patch(client: &Client, place: &str, patch: &Patch) -> Result<(), Trouble> {
    let (sort, content) = match patch {
        Patch::Merge(content) => ("application/merge-patch+json", content),
        Patch::Steps(content) => ("application/json-patch+json", content),
    };
    write(client, (Method::PATCH, place), (sort, content)).await
}

/// Makes an object.
pub(super) async fn make(client: &Client, place: &str, object: &Value) -> Result<(), Trouble> {
    write(client, (Method::POST, place), ("application/json", object)).await
}

async fn write(
    client: &Client,
    (method, place): (Method, &str),
    (sort, content): (&str, &Value),
) -> Result<(), Trouble> {
    let request = Request::builder()
        .method(method)
        .uri(format!("{place}?fieldManager={MANAGER}"))
        .header(header::CONTENT_TYPE, sort)
        .header(header::ACCEPT, "application/json")
        .body(Body::from(content.to_string().into_bytes()))
        .map_err(|error| Trouble::Refused(error.to_string()))?;
    let response = client.send(request).await.map_err(|error| unsent(&error))?;
    let (status, pause) = (response.status(), pause(response.headers()));
    if status.is_success() {
        return Ok(());
    }
    // What it says is for people; that it refuses is known already.
    let body = Limited::new(response.into_body(), LONGEST).collect().await.map(http_body_util::Collected::to_bytes);
    Err(refused(status, pause, &body.unwrap_or_default()))
}

/// What was read, as the API describes it.
pub(super) fn typed<T: DeserializeOwned>(object: Value) -> Result<T, Trouble> {
    serde_json::from_value(object)
        .map_err(|error| Trouble::Refused(format!("the cluster answers what it should not: {error}")))
}

fn pause(headers: &header::HeaderMap) -> Duration {
    let named = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    named.map_or(PAUSE, Duration::from_secs)
}

fn refused(status: StatusCode, pause: Duration, body: &[u8]) -> Trouble {
    let said: Option<Value> = serde_json::from_slice(body).ok();
    let causes = said.as_ref().map(causes).unwrap_or_default();
    let said = said.as_ref().and_then(|said| said.get("message")?.as_str().map(str::to_owned));
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned()) + &causes;
    let why: String = format!("it answers {}: {said}", status.as_u16()).chars().take(WORDS).collect();
    match status {
        StatusCode::NOT_FOUND => Trouble::Missing(why),
        StatusCode::CONFLICT => Trouble::Moved(why),
        StatusCode::TOO_MANY_REQUESTS => Trouble::Wait(pause, why),
        // It gave up waiting for the request, or does not know itself.
        StatusCode::REQUEST_TIMEOUT => Trouble::Unknown(why),
        status if status.is_server_error() => Trouble::Unknown(why),
        _ => Trouble::Refused(why),
    }
}

/// What an answer says beyond its message: which disruption budget it is that does not allow an eviction.
fn causes(said: &Value) -> String {
    let causes = said.pointer("/details/causes").and_then(Value::as_array);
    let budget = |cause: &&Value| cause.get("reason").and_then(Value::as_str) == Some("DisruptionBudget");
    let messages = causes.into_iter().flatten().filter(budget).filter_map(|cause| cause.get("message")?.as_str());
    messages.flat_map(|message| [" ", message]).collect()
}

/// What became of a request that has no answer.
fn unsent(error: &kube::Error) -> Trouble {
    let mut words = Vec::new();
    let mut is_known = matches!(error, kube::Error::Auth(_));
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let connecting = error.downcast_ref::<hyper_util::client::legacy::Error>();
        is_known |= connecting.is_some_and(hyper_util::client::legacy::Error::is_connect);
        is_known |= error.downcast_ref::<AuthError>().is_some();
        let text = error.to_string();
        if !words.iter().any(|said: &String| said.contains(&text)) {
            words.push(text);
        }
        cause = error.source();
    }
    let why: String = words.join(": ").chars().take(WORDS).collect();
    if is_known { Trouble::Unreachable(why) } else { Trouble::Unknown(why) }
}
