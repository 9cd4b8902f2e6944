//! Alerts as this API writes them, each once, and the answers that are put together from them.

use std::convert::Infallible;

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
/// How long a sheet is. A single text of all alerts would be copied again and again as it grows; and what is as long as this
/// the allocator gives back at once, where it keeps shorter ones for a while (jemalloc, `oversize_threshold`). Of a
/// short list only the beginning of its sheet is in memory.
const SHEET: usize = 8 * 1024 * 1024;
/// How much of a sheet is left for its last alert; a longer one lengthens the sheet.
const ROOM: usize = 16 * 1024;

/// The texts of alerts, each with a comma in front, one after the other on sheets.
#[derive(Default)]
pub(super) struct Page(Vec<String>);

/// Where a text stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    sheet: u32,
    start: u32,
    end: u32,
}

/// A part of an answer.
pub(super) enum Piece {
    /// What stands between alerts.
    Text(String),
    /// What is written in the page.
    Written(Place),
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Piece::Text(text.to_owned())
    }
}

/// An alert that was written down.
pub(super) struct Shown<'a> {
    place: Place,
    /// Where its fingerprint stands, with all that follows.
    fingerprint: Place,
    /// Its receiver.
    pub(super) channel: &'a str,
    /// Whether a silence covers it.
    pub(super) is_suppressed: bool,
}

impl Page {
    /// Writes an alert down.
    pub(super) fn write<'a>(
        &mut self,
        alert: &Open<'_>,
        channel: &'a str,
        silenced_by: &[&str],
    ) -> store::Result<Shown<'a>> {
        if self.0.last().is_none_or(|sheet| sheet.len() + ROOM > SHEET) {
            self.0.push(String::with_capacity(SHEET));
        }
        let number = self.0.len() - 1;
        let sheet = &mut self.0[number];
        let is_suppressed = !silenced_by.is_empty();
        let start = sheet.len();
        sheet.extend([
            r#",{"annotations":"#,
            alert.annotations_json(),
            r#","endsAt":"#,
            alert.until_json()?,
            r#","fingerprint":""#,
        ]);
        let fingerprint = sheet.len();
        sheet.extend([
            alert.key,
            r#"","receivers":[{"name":"#,
            &quoted(channel),
            r#"}],"startsAt":"#,
            alert.since_json(),
            r#","status":{"inhibitedBy":[],"mutedBy":[],"silencedBy":["#,
            &silenced_by.iter().map(|id| quoted(id)).collect::<Vec<_>>().join(","),
            r#"],"state":""#,
            if is_suppressed { "suppressed" } else { "active" },
            r#""},"updatedAt":"#,
            alert.last_seen_json(),
        ]);
        // A text without a scheme is no address, and strict readers refuse the whole answer for it.
        if let Some(url) = alert.generator_url_json().filter(|url| url.contains(':')) {
            sheet.extend([r#","generatorURL":"#, url]);
        }
        sheet.extend([r#","labels":"#, alert.labels_json(), "}"]);
        let end = sheet.len();
        let place = |start: usize| {
            let [sheet, start, end] = [number, start, end].map(|it| u32::try_from(it).unwrap_or(u32::MAX));
            Place { sheet, start, end }
        };
        Ok(Shown { place: place(start), fingerprint: place(fingerprint), channel, is_suppressed })
    }

    fn text(&self, place: Place) -> &str {
        let sheet = self.0.get(place.sheet as usize).map_or("", String::as_str);
        sheet.get(place.start as usize..place.end as usize).unwrap_or_default()
    }

    /// Puts these alerts in the order of their fingerprints.
    pub(super) fn sort(&self, alerts: &mut [Shown<'_>]) {
        alerts.sort_unstable_by(|one, other| self.text(one.fingerprint).cmp(self.text(other.fingerprint)));
    }

    /// The items of a list of these alerts.
    pub(super) fn items(alerts: Vec<Shown<'_>>) -> impl Iterator<Item = Piece> {
        let places = alerts.into_iter().map(|shown| shown.place).enumerate();
        // The first has no comma.
        places.map(|(number, place)| Place { start: place.start + u32::from(number == 0), ..place }).map(Piece::Written)
    }

    /// The answer that these pieces make up.
    pub(super) fn answer(self, pieces: Vec<Piece>) -> Response {
        let parts = stream::iter(Parts { page: self, pieces: pieces.into_iter() }.map(Ok::<_, Infallible>));
        ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(parts)).into_response()
    }
}

/// An answer, a part of a good size at a time.
struct Parts {
    page: Page,
    pieces: std::vec::IntoIter<Piece>,
}

impl Iterator for Parts {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut part = String::new();
        while part.len() < AT_A_TIME {
            match self.pieces.next() {
                Some(Piece::Text(text)) => part.push_str(&text),
                Some(Piece::Written(place)) => part.push_str(self.page.text(place)),
                None => break,
            }
        }
        (!part.is_empty()).then(|| part.into())
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
