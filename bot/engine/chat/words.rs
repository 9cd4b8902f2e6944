//! A line of words before any chat has escaped it: what came from outside stays text, whatever it contains.

use serde::{Deserialize, Serialize};

use crate::domain::{ids::IncidentId, people::PersonId, time::Time};

/// A part of a line, by what it is; each chat writes it in its own way and escapes what must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// Plain words.
    Text(String),
    /// A value, set apart.
    Code(String),
    /// Words that carry the line.
    Strong(String),
    /// A moment, in the reader's own zone where the chat can.
    Time(Time),
    /// A person, who is notified where the chat can.
    Person(PersonId),
    /// Everybody with a role of the configuration; they are notified where the chat can.
    Role(String),
    /// An incident, as a link where the chat can.
    Incident(IncidentId),
    /// A link; one that is not `http` or `https` is shown as text.
    Link {
        /// What is shown.
        text: String,
        /// Where it leads.
        url: String,
    },
}

/// A line, or a paragraph, of words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Line(pub Vec<Span>);

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line that starts with plain words.
    pub fn text(words: impl Into<String>) -> Self {
        Self(vec![Span::Text(words.into())])
    }

    /// A sentence of this program, which sets values apart with backticks.
    pub fn marked(sentence: &str) -> Self {
        let parts = sentence.split('`').enumerate().filter(|(_, part)| !part.is_empty());
        parts.fold(Self::new(), |line, (place, part)| if place % 2 == 0 { line.and(part) } else { line.code(part) })
    }

    /// Adds plain words.
    #[must_use]
    pub fn and(self, words: impl Into<String>) -> Self {
        self.with(Span::Text(words.into()))
    }

    /// Adds a value, set apart.
    #[must_use]
    pub fn code(self, value: impl Into<String>) -> Self {
        self.with(Span::Code(value.into()))
    }

    /// Adds words that carry the line.
    #[must_use]
    pub fn strong(self, words: impl Into<String>) -> Self {
        self.with(Span::Strong(words.into()))
    }

    /// Adds a moment.
    #[must_use]
    pub fn time(self, at: Time) -> Self {
        self.with(Span::Time(at))
    }

    /// Adds a person.
    #[must_use]
    pub fn person(self, person: &PersonId) -> Self {
        self.with(Span::Person(person.clone()))
    }

    /// Adds an incident.
    #[must_use]
    pub fn incident(self, incident: IncidentId) -> Self {
        self.with(Span::Incident(incident))
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds any part.
    #[must_use]
    pub fn with(mut self, span: Span) -> Self {
        self.0.push(span);
        self
    }

    /// The line as a terminal shows it.
    pub fn plain(&self) -> String {
        self.0
            .iter()
            .map(|span| match span {
                Span::Text(words) | Span::Strong(words) => words.clone(),
                Span::Code(value) => format!("`{value}`"),
                Span::Time(at) => at.long(),
                Span::Person(person) => person.to_string(),
                Span::Role(role) => role.clone(),
                Span::Incident(incident) => incident.to_string(),
                Span::Link { text, url } => format!("{text} ({url})"),
            })
            .collect()
    }
}

impl From<&str> for Line {
    fn from(words: &str) -> Self {
        Line::text(words)
    }
}

impl From<String> for Line {
    fn from(words: String) -> Self {
        Line::text(words)
    }
}
