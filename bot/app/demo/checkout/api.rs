//! The HTTP interface of the example service.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Json, Router,
    extract::{Request, State as Shared},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Checkout, Passing, Refused, state::Made, switches::Switch};

const KEY: &str = "idempotency-key";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deploy {
    version: String,
    expect_live: String,
    #[serde(default)]
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    replicas: u32,
    expect: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    to: String,
    expect: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flag {
    name: String,
    on: bool,
    expect: bool,
}

pub(super) fn routes(checkout: Checkout) -> Router {
    let counted = (checkout.clone(), Arc::new(AtomicU64::new(0)));
    Router::new()
        .route("/version", get(version))
        .route("/deployments", get(deployments).post(deploy))
        .route("/scale", post(scale))
        .route("/restart", post(restart))
        .route("/region", get(regions).post(move_region))
        .route("/flags", get(flags).post(flag))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(checkout)
        .layer(middleware::from_fn_with_state(counted, pass))
}

/// Lets a request through the wire, and its answer back.
async fn pass(
    Shared((checkout, counter)): Shared<(Checkout, Arc<AtomicU64>)>,
    request: Request,
    next: Next,
) -> Response {
    let passing = Passing {
        number: counter.fetch_add(1, Ordering::Relaxed) + 1,
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        key: key(request.headers()).map(str::to_owned),
    };
    if let Some(instead) = checkout.wire.arrived(&passing).await {
        return instead;
    }
    let is_change = request.method() != axum::http::Method::GET;
    let answer = if is_change && !is_allowed(&checkout, request.headers()) {
        refuse(StatusCode::UNAUTHORIZED, json!({ "error": "a bearer token is needed" }))
    } else {
        next.run(request).await
    };
    checkout.wire.carried_out(&passing).await.unwrap_or(answer)
}

async fn version(Shared(checkout): Shared<Checkout>) -> Json<Value> {
    let state = checkout.state();
    Json(json!({
        "live": state.live(),
        "previous": state.previous(),
        "since": state.since(),
        "replicas": state.replicas(),
        "generation": state.generation(),
    }))
}

async fn deployments(Shared(checkout): Shared<Checkout>) -> Json<Value> {
    let listed_until = checkout.now() - checkout.wire.listing_delay();
    let state = checkout.state();
    Json(json!({ "deployments": state.deployments_until(listed_until) }))
}

async fn deploy(Shared(checkout): Shared<Checkout>, headers: HeaderMap, body: Json<Deploy>) -> Response {
    let Some(key) = key(&headers) else { return needs_key() };
    let Json(wanted) = body;
    if !is_version(&wanted.version) {
        let error = "a version has 1 to 64 letters, digits, dots, dashes or underscores";
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, json!({ "error": error }));
    }
    let by = wanted.by.as_deref().unwrap_or("unknown");
    let now = checkout.now();
    let outcome = checkout.state().deploy(&wanted.version, &wanted.expect_live, by, key, now);
    answer(outcome, StatusCode::CREATED, "live")
}

async fn scale(Shared(checkout): Shared<Checkout>, headers: HeaderMap, body: Json<Scale>) -> Response {
    let Json(wanted) = body;
    if !(1..=100).contains(&wanted.replicas) {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, json!({ "error": "replicas are 1 to 100" }));
    }
    let now = checkout.now();
    let outcome = checkout.state().scale(wanted.replicas, wanted.expect, key(&headers), now);
    answer(outcome, StatusCode::OK, "replicas")
}

async fn restart(Shared(checkout): Shared<Checkout>, headers: HeaderMap) -> Response {
    let Some(key) = key(&headers) else { return needs_key() };
    let now = checkout.now();
    let outcome = checkout.state().restart(key, now);
    answer(outcome, StatusCode::OK, "generation")
}

async fn regions(Shared(checkout): Shared<Checkout>) -> Json<Value> {
    Json(checkout.state().switches.regions())
}

async fn move_region(Shared(checkout): Shared<Checkout>, headers: HeaderMap, body: Json<Move>) -> Response {
    let Json(Move { to, expect }) = body;
    switched(&checkout, &headers, &Switch::Region { to, expect }, "active")
}

async fn flags(Shared(checkout): Shared<Checkout>) -> Json<Value> {
    Json(checkout.state().switches.flags())
}

async fn flag(Shared(checkout): Shared<Checkout>, headers: HeaderMap, body: Json<Flag>) -> Response {
    let Json(Flag { name, on, expect }) = body;
    switched(&checkout, &headers, &Switch::Flag { name, on, expect }, "on")
}

fn switched(checkout: &Checkout, headers: &HeaderMap, wanted: &Switch, names: &str) -> Response {
    let Some(key) = key(headers) else { return needs_key() };
    let now = checkout.now();
    let outcome = checkout.state().switch(wanted, key, now);
    answer(outcome, StatusCode::OK, names)
}

async fn health(Shared(checkout): Shared<Checkout>) -> Response {
    Json(checkout.health()).into_response()
}

async fn metrics(Shared(checkout): Shared<Checkout>) -> Response {
    let now = checkout.now();
    let mut state = checkout.state();
    let (good, failed) = state.served(now);
    let text = format!(
        "# HELP http_requests_total Requests served, by the code of their answer.\n\
         # TYPE http_requests_total counter\n\
         http_requests_total{{service=\"checkout\",code=\"200\"}} {good}\n\
         http_requests_total{{service=\"checkout\",code=\"500\"}} {failed}\n\
         # HELP checkout_replicas Replicas that serve.\n\
         # TYPE checkout_replicas gauge\n\
         checkout_replicas{{service=\"checkout\"}} {}\n",
        state.replicas()
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Nobody may take this service's silence for an answer: a route that it does not have is remembered.
async fn unknown(Shared(checkout): Shared<Checkout>, request: Request) -> Response {
    let route = format!("{} {}", request.method(), request.uri().path());
    let answer = refuse(StatusCode::NOT_IMPLEMENTED, json!({ "error": format!("there is no `{route}`") }));
    checkout.unknown().push(route);
    answer
}

fn answer(outcome: Result<Made, Refused>, made: StatusCode, names: &str) -> Response {
    match outcome {
        Ok(Made { answer, is_repeat: false }) => (made, Json(answer)).into_response(),
        Ok(Made { answer, is_repeat: true }) => (StatusCode::OK, Json(answer)).into_response(),
        Err(Refused::Moved(live)) => {
            refuse(StatusCode::CONFLICT, json!({ "error": "the service is in another state", names: live }))
        }
        Err(Refused::KeyReused) => {
            let error = "this idempotency key was used for another request";
            refuse(StatusCode::UNPROCESSABLE_ENTITY, json!({ "error": error }))
        }
    }
}

fn refuse(status: StatusCode, why: Value) -> Response {
    (status, Json(why)).into_response()
}

fn needs_key() -> Response {
    refuse(StatusCode::BAD_REQUEST, json!({ "error": "the header Idempotency-Key is missing" }))
}

fn key(headers: &HeaderMap) -> Option<&str> {
    headers.get(KEY).and_then(|key| key.to_str().ok()).filter(|key| !key.is_empty())
}

fn is_allowed(checkout: &Checkout, headers: &HeaderMap) -> bool {
    let Some(token) = &checkout.token else { return true };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    subtle::ConstantTimeEq::ct_eq(given.as_bytes(), token.as_bytes()).into()
}

fn is_version(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}
