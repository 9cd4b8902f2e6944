//! What every request gets whatever becomes of it: an answer in time, in words, with headers that keep a browser safe.

use std::{fmt::Display, panic::AssertUnwindSafe, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::{FutureExt, StreamExt};
use serde_json::json;

use crate::{
    engine::Refusal,
    store::{Fault, FaultKind},
};

/// The longest time from the head of a request to its answer. Alertmanager gives up after its group interval, browsers
/// after minutes; a commit takes milliseconds.
const LONGEST: Duration = Duration::from_secs(30);

/// An answer that is no success: a status, what is wrong, and what to do.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, what: impl Into<String>) -> Self {
        Self { status, what: what.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<Fault> for Trouble {
    /// What the sender can act on: nothing was kept, come again. The details go to the log.
    fn from(fault: Fault) -> Self {
        let words = fault.to_string();
        match fault.kind {
            FaultKind::Stopping => {}
            FaultKind::Defect => tracing::error!(fault = words, "a request failed"),
            FaultKind::Full
            | FaultKind::Locked
            | FaultKind::Corrupt
            | FaultKind::Newer
            | FaultKind::Older
            | FaultKind::ReadOnly
            | FaultKind::Device
            | FaultKind::Unreachable
            | FaultKind::Denied => tracing::warn!(fault = words, "the store did not take a request"),
        }
        Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "Cannot take the request: the store is not available")
            .hint("send it again: nothing of it was kept")
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, what: refusal.what, hint: refusal.hint }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let body = match &self.hint {
            Some(hint) => json!({ "error": self.what, "hint": hint }),
            None => json!({ "error": self.what }),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"firewarden\""));
        }
        response
    }
}

/// The whole body, if it is no longer than `limit` bytes.
pub(super) async fn whole(body: Body, limit: usize) -> Result<Bytes, Trouble> {
    let mut stream = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|_| {
            Trouble::new(StatusCode::BAD_REQUEST, "The body ended early").hint("send it again: nothing of it was kept")
        })?;
        if all.len() + part.len() > limit {
            return Err(Trouble::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The body is longer than `{limit}` bytes"),
            )
            .hint("send fewer alerts in one delivery, or raise `web.body_limit`"));
        }
        all.extend_from_slice(&part);
    }
    Ok(all.into())
}

/// Answers in time and after a panic too, and adds the headers that keep a browser safe.
pub(super) async fn surely(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(LONGEST, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(path, "a request ended in a panic");
            Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, "The request could not be carried out")
                .hint("this is a defect of the program: its log says more")
                .into_response()
        }
        Err(_) => Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "The request took too long")
            .hint("send it again; what it changed, if anything, is in the timeline")
            .into_response(),
    };
    for (name, value) in SAFE {
        response.headers_mut().entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Nothing inline, nothing from elsewhere, never in a frame. The referrer stays `same-origin` because a stricter one
/// makes browsers send `Origin: null` with forms.
const SAFE: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];
