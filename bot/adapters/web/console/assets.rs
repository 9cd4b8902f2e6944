//! The page's own files, which are part of the program. Their addresses change with them, so browsers may keep them.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use super::page::{CSS, ICON, JS};

const KEPT: &str = "public, max-age=31536000, immutable";

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEPT)], text).into_response()
}

/// `GET /assets/console.css`.
pub(in crate::adapters::web) async fn css() -> Response {
    file("text/css; charset=utf-8", CSS)
}

/// `GET /assets/console.js`.
pub(in crate::adapters::web) async fn js() -> Response {
    file("text/javascript; charset=utf-8", JS)
}

/// `GET /assets/icon.svg`.
pub(in crate::adapters::web) async fn icon() -> Response {
    file("image/svg+xml", ICON)
}
