//! Talking with people, the same in every chat: words, cards, commands, and messages that are sure to arrive.

pub mod card;
pub mod command;
pub mod console;
pub mod delivery;
pub mod outbox;
pub mod shortcut;
pub mod words;

pub use self::{
    card::{Button, Card, File, Message, Reply, Style, Subject, Tone},
    command::{Args, Call, Command, Does, Kind, Lookup, Opt, START},
    shortcut::Shortcut,
    words::{Line, Span},
};
use super::features::Feature;

/// The feature `chat`.
pub static FEATURE: Feature = Feature { name: "chat", commands: &[], timers: &[], cards: &[], names: &[] };
