//! What a process answers that waits to take over: it is alive and takes nothing, so that a load balancer asks another.

use std::{collections::BTreeMap, future::IntoFuture};

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::{answers::Trouble, health};

/// Answers `GET /healthz`, and everything else with 503, until the future is dropped.
pub async fn waiting(listener: TcpListener) {
    let site = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(unready))
        .fallback(async || {
            Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "Cannot take the request: another process is at work")
                .hint("send it to that one; this one takes over when it ends")
                .into_response()
        })
        // A connection that was kept would lead here for ever.
        .layer(map_response(async |mut answer: Response| {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            answer
        }));
    if let Err(error) = axum::serve(listener, site).into_future().await {
        tracing::error!(%error, "the HTTP side broke");
    }
}

async fn unready() -> Response {
    let reasons =
        BTreeMap::from([("waiting", "another process is at work; this one takes over when it ends".to_owned())]);
    health::readiness(&reasons, &BTreeMap::new())
}
