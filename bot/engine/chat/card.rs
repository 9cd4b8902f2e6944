//! What the bot says, before any chat has drawn it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Line, Shortcut};
use crate::domain::ids::{ApprovalId, IncidentId, RunId};

/// What a card is about: there is one card for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An incident.
    Incident(IncidentId),
    /// A run, with what it asks when it is held or in doubt.
    Run(RunId),
    /// An approval.
    Approval(ApprovalId),
}

impl Subject {
    /// The kind of subject, by which the feature that renders it is found.
    pub fn kind(&self) -> &'static str {
        match self {
            Subject::Incident(_) => "incident",
            Subject::Run(_) => "run",
            Subject::Approval(_) => "approval",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Incident(id) => id.fmt(f),
            Subject::Run(id) => id.fmt(f),
            Subject::Approval(id) => id.fmt(f),
        }
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is not the subject of a card");
        let (kind, _) = text.split_once('-').ok_or_else(refused)?;
        match kind {
            "INC" => text.parse().map(Subject::Incident).map_err(|_| refused()),
            "RUN" => text.parse().map(Subject::Run).map_err(|_| refused()),
            "APR" => text.parse().map(Subject::Approval).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }
}

/// How a card looks at a glance; its words say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// Nothing is asked of anybody.
    #[default]
    Calm,
    /// Something is wrong, or waits for a person.
    Urgent,
    /// Somebody is on it.
    Active,
    /// It ended well.
    Good,
}

/// One message about one subject, edited in place as the subject changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// How it looks at a glance.
    pub tone: Tone,
    /// Its first line.
    pub title: Line,
    /// Short facts, each with its name.
    pub facts: Vec<(String, Line)>,
    /// Paragraphs under the facts.
    pub blocks: Vec<Line>,
    /// Rows of buttons.
    pub controls: Vec<Vec<Button>>,
    /// Whom it is for: people and roles, who are notified when it is first sent and not when it changes.
    #[serde(default)]
    pub notify: Line,
    /// Whether it is too late to send it: it still takes the place of what was sent before.
    #[serde(default)]
    pub is_too_late: bool,
}

impl Card {
    /// A card with this title.
    pub fn new(tone: Tone, title: impl Into<Line>) -> Self {
        Self { tone, title: title.into(), ..Self::default() }
    }

    /// Says whether it is too late to send it to those who have not seen it.
    #[must_use]
    pub fn too_late(mut self, is_too_late: bool) -> Self {
        self.is_too_late = is_too_late;
        self
    }

    /// Says whom it is for.
    #[must_use]
    pub fn notify(mut self, whom: Line) -> Self {
        self.notify = whom;
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<Line>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn block(mut self, line: impl Into<Line>) -> Self {
        self.blocks.push(line.into());
        self
    }

    /// Adds a row of buttons, if there are any.
    #[must_use]
    pub fn row(mut self, buttons: Vec<Button>) -> Self {
        if !buttons.is_empty() {
            self.controls.push(buttons);
        }
        self
    }
}

/// How a button looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// One of several.
    #[default]
    Plain,
    /// What most people will want.
    Main,
    /// Changes production, or cannot be taken back.
    Danger,
}

/// A shortcut for a command, as a button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What it says: a verb.
    pub label: String,
    /// How it looks.
    pub style: Style,
    /// What pressing it asks for.
    pub press: Shortcut,
}

impl Button {
    /// A plain button.
    pub fn new(label: impl Into<String>, press: Shortcut) -> Self {
        Self { label: label.into(), style: Style::Plain, press }
    }

    /// The same button with another look.
    #[must_use]
    pub fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// A file that goes with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name, with its ending.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What is said at once: lines, perhaps a card, perhaps files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Lines above the card.
    #[serde(default)]
    pub lines: Vec<Line>,
    /// A card.
    #[serde(default)]
    pub card: Option<Card>,
    /// Whom it is for: people and roles, who are notified where the chat can.
    #[serde(default)]
    pub notify: Line,
    /// Files.
    #[serde(default)]
    pub files: Vec<File>,
}

impl Message {
    /// A message of one line.
    pub fn line(line: impl Into<Line>) -> Self {
        Self { lines: vec![line.into()], ..Self::default() }
    }

    /// A message that is a card, for those whom the card is for.
    pub fn card(mut card: Card) -> Self {
        let notify = std::mem::take(&mut card.notify);
        Self { card: Some(card), notify, ..Self::default() }
    }

    /// Says whom it is for.
    #[must_use]
    pub fn notify(mut self, whom: Line) -> Self {
        self.notify = whom;
        self
    }

    /// Adds a line.
    #[must_use]
    pub fn and(mut self, line: impl Into<Line>) -> Self {
        self.lines.push(line.into());
        self
    }
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// What is answered.
    pub message: Message,
    /// Whether only the person who asked sees it, where the chat can.
    pub is_private: bool,
}

impl Reply {
    /// An answer that everybody in the channel sees: somebody changed something.
    pub fn public(message: Message) -> Self {
        Self { message, is_private: false }
    }

    /// An answer for the person who asked.
    pub fn private(message: Message) -> Self {
        Self { message, is_private: true }
    }
}
