//! The HTTP side: alerts come in, people look and answer, machines ask how the bot is.
//!
//! Nothing is answered with success before it is durable, and whoever is not known gets nowhere: sources prove
//! themselves for each delivery, people with a personal token. Every page is readable without scripts.

mod answers;
mod api_v2;
mod caller;
pub mod console;
pub mod credentials;
mod feeds;
mod health;
mod plain;
mod room;
mod runbooks;
mod say;
#[cfg(test)]
mod tests;
mod webhooks;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::answers::Trouble;
pub use self::credentials::{Auth, Feed, Fingerprint, Gate, Keys, Parse, Source, SourceKind};
use crate::{domain::time::Time, engine::Engine};

/// The longest delivery that is taken if the configuration says nothing else.
pub const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// What the HTTP side is made of.
pub struct Web {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Who may come in.
    pub gate: Arc<Gate>,
    /// The longest delivery that is taken, in bytes.
    pub body_limit: usize,
    /// Where the metrics are read from.
    pub metrics: Option<PrometheusHandle>,
    /// Whether people reach the page over TLS, so that its cookie travels over nothing else.
    pub is_behind_tls: bool,
    /// Cancelled when the program stops: streams end and `/readyz` turns people away.
    pub stop: CancellationToken,
}

/// What every request is answered from.
struct Site {
    engine: Arc<Engine>,
    gate: Arc<Gate>,
    body_limit: usize,
    metrics: Option<PrometheusHandle>,
    is_behind_tls: bool,
    stop: CancellationToken,
    sessions: console::session::Sessions,
    marks: console::live::Marks,
    /// Since when requests are answered.
    begun: Time,
    /// Where deliveries are while they are taken.
    room: room::Room,
    /// The turns of those who ask for all alerts, so that many of them do not need much memory at once.
    lists: Semaphore,
}

/// How many are answered at once who ask for all alerts.
const LISTS: usize = 2;

/// Everything that can be asked over HTTP.
pub fn router(web: Web) -> Router {
    let Web { engine, gate, body_limit, metrics, is_behind_tls, stop } = web;
    let sessions = console::session::Sessions::default();
    let marks = console::live::Marks::default();
    let (begun, room, lists) = (engine.now(), room::Room::new(body_limit), Semaphore::new(LISTS));
    let site =
        Arc::new(Site { engine, gate, body_limit, metrics, is_behind_tls, stop, sessions, marks, begun, room, lists });
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/webhooks/alertmanager", post(webhooks::alertmanager))
        .route("/webhooks/alertmanager/{source}", post(webhooks::alertmanager_named))
        .route("/webhooks/generic/{source}", post(webhooks::generic))
        .route("/webhooks/runbooks/{name}", post(runbooks::start))
        .route("/webhooks/github", post(feeds::github))
        .route("/webhooks/github/{source}", post(feeds::github_named))
        .route("/webhooks/deployments", post(feeds::deployments))
        .route("/webhooks/deployments/{source}", post(feeds::deployments_named))
        .route("/api/say", post(say::say))
        .route("/api/commands", get(say::commands))
        .route("/api/complete", get(say::complete))
        .merge(api_v2::routes())
        .merge(console::routes())
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn(answers::surely))
        .with_state(site)
}

async fn nothing(headers: HeaderMap) -> Response {
    let trouble = Trouble::new(StatusCode::NOT_FOUND, "There is nothing at this address");
    let kinds = headers.get(header::ACCEPT).and_then(|kinds| kinds.to_str().ok());
    if kinds.is_some_and(|kinds| kinds.contains("text/html")) {
        return console::page::sorry(&trouble);
    }
    trouble.into_response()
}

async fn not_so() -> Response {
    Trouble::new(StatusCode::METHOD_NOT_ALLOWED, "This address does not take that method").into_response()
}
