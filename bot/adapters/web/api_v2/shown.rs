//! Alerts as this API writes them: one buffer holds them all, and an answer is sent from it in pieces.

use std::{convert::Infallible, ops::Range};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::Value;

use crate::store::{self, alerts::Open};

/// How much of an answer is sent at a time.
const AT_A_TIME: usize = 64 * 1024;

/// The texts of alerts, one after the other.
#[derive(Default)]
pub(super) struct Page(String);

/// A part of an answer.
pub(super) enum Piece {
    /// What stands between alerts.
    Text(String),
    /// An alert, by its place in the page.
    Alert(Range<usize>),
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Piece::Text(text.to_owned())
    }
}

impl From<String> for Piece {
    fn from(text: String) -> Self {
        Piece::Text(text)
    }
}

/// An alert that was written down.
pub(super) struct Shown {
    /// Its place in the page.
    pub(super) place: Piece,
    /// Its receiver.
    pub(super) channel: String,
    /// Whether a silence covers it.
    pub(super) is_suppressed: bool,
}

impl Page {
    /// Writes an alert down.
    pub(super) fn write(&mut self, alert: &Open<'_>, channel: &str, silenced_by: &[&str]) -> store::Result<Piece> {
        let start = self.0.len();
        let state = if silenced_by.is_empty() { "active" } else { "suppressed" };
        let parts = [
            r#"{"annotations":"#,
            alert.annotations_json(),
            r#","endsAt":"#,
            alert.until_json()?,
            r#","fingerprint":""#,
            alert.key,
            r#"","receivers":[{"name":"#,
            &quoted(channel),
            r#"}],"startsAt":"#,
            alert.since_json(),
            r#","status":{"inhibitedBy":[],"mutedBy":[],"silencedBy":["#,
            &silenced_by.iter().map(|id| quoted(id)).collect::<Vec<_>>().join(","),
            r#"],"state":""#,
            state,
            r#""},"updatedAt":"#,
            alert.last_seen_json(),
        ];
        self.0.extend(parts);
        // A text without a scheme is no address, and strict readers refuse the whole answer for it.
        if let Some(url) = alert.generator_url_json().filter(|url| url.contains(':')) {
            self.0.extend([r#","generatorURL":"#, url]);
        }
        self.0.extend([r#","labels":"#, alert.labels_json(), "}"]);
        Ok(Piece::Alert(start..self.0.len()))
    }

    /// The answer that these pieces make up.
    pub(super) fn answer(self, pieces: Vec<Piece>) -> Response {
        let parts = stream::iter(Parts { page: self.0, pieces: pieces.into_iter() }.map(Ok::<_, Infallible>));
        ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(parts)).into_response()
    }
}

/// An answer, a part of a good size at a time.
struct Parts {
    page: String,
    pieces: std::vec::IntoIter<Piece>,
}

impl Iterator for Parts {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut part = String::new();
        while part.len() < AT_A_TIME {
            match self.pieces.next() {
                Some(Piece::Text(text)) => part.push_str(&text),
                Some(Piece::Alert(place)) => part.push_str(self.page.get(place).unwrap_or_default()),
                None => break,
            }
        }
        (!part.is_empty()).then(|| part.into())
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
