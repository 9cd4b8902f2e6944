//! The page: what is going on, what waits for somebody, and a line to say something.
//!
//! Drawn whole by the server and readable without scripts. The script only keeps it current, completes commands and
//! puts answers into it. What can be done here is what the commands allow, no more.

mod act;
mod assets;
mod draw;
mod incident;
pub(super) mod live;
mod login;
mod overview;
pub(super) mod page;
mod review;
pub(super) mod session;

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};

use super::{Site, answers::Trouble};

/// The pages and what their forms send to.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(overview::overview))
        .route("/log", get(overview::log))
        .route("/incidents/{incident}", get(incident::show))
        .route("/incidents/{incident}/review", get(review::show))
        .route("/incidents/{incident}/review.md", get(review::markdown))
        .route("/login", get(login::ask).post(login::login))
        .route("/logout", post(login::logout))
        .route("/console/say", post(act::say))
        .route("/console/press", post(act::press))
        .route("/console/events", get(live::events))
        .route("/assets/console.css", get(assets::css))
        .route("/assets/console.js", get(assets::js))
        .route("/assets/icon.svg", get(assets::icon))
}

/// Whether this is a plain path of this site, which is safe to send somebody to.
fn is_own(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte))
}

/// A form of a session that has ended, or of another site.
fn stale() -> Trouble {
    Trouble::new(StatusCode::FORBIDDEN, "The form is not of your session")
        .hint("load the page again; nothing was changed")
}
