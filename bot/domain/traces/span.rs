//! One span, before any protocol has written it.

use super::{Remote, SpanId, TraceId};
use crate::domain::time::Time;

/// Something that took its time, and belongs to a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace.
    pub trace: TraceId,
    /// Its name there.
    pub id: SpanId,
    /// The span that it belongs under.
    pub parent: Option<SpanId>,
    /// What it is, in few words that many spans share.
    pub name: String,
    /// Which way it points.
    pub kind: Kind,
    /// When it began, as committed where it was.
    pub start: Time,
    /// When it ended.
    pub end: Time,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened in it.
    pub happenings: Vec<Happening>,
    /// Spans of other traces that it comes from.
    pub links: Vec<Remote>,
    /// Whether it went wrong.
    pub is_failed: bool,
}

/// Which way a span points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It stays inside.
    Internal,
    /// Somebody outside asked for it.
    Server,
    /// It asks somebody outside.
    Client,
    /// It leaves something for others to read.
    Producer,
}

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
}

/// Something that happened at a moment within a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// What it was, in few words.
    pub name: String,
    /// When.
    pub at: Time,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
}

impl Span {
    /// A span of a trace, about which nothing more is known yet. It never ends before it begins.
    pub fn new(trace: TraceId, id: SpanId, name: impl Into<String>, (start, end): (Time, Time)) -> Self {
        Self {
            trace,
            id,
            parent: None,
            name: name.into(),
            kind: Kind::Internal,
            start,
            end: end.max(start),
            attributes: Vec::new(),
            happenings: Vec::new(),
            links: Vec::new(),
            is_failed: false,
        }
    }

    /// Puts it under another.
    #[must_use]
    pub fn under(mut self, parent: SpanId) -> Self {
        // What is on top of its trace stands under nothing.
        self.parent = (parent != self.id).then_some(parent);
        self
    }

    /// Says which way it points.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Adds what is known of it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Says whether it went wrong.
    #[must_use]
    pub fn failed(mut self, is_failed: bool) -> Self {
        self.is_failed = is_failed;
        self
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number)
    }
}
