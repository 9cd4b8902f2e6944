//! Silences: people and their tools hold alerts back, and are told what comes of it.

mod acts;
mod cards;
mod commands;
pub mod decide;
#[cfg(test)]
mod tests;

use crate::{
    domain::{people::Actor, silences::Wanted},
    engine::{Refusal, chat::Lookup, features::Feature},
};

/// The stable code of the reason for which news of an alert were held back.
pub const SILENCED: &str = "silenced";

/// What is asked of silences by Alertmanager's API.
#[derive(Debug, Clone)]
pub enum Input {
    /// Alerts are to be held back.
    Set {
        /// Who wants it.
        actor: Actor,
        /// The silence that is to become this, by its name in the API.
        replaces: Option<String>,
        /// Which, from when to when, and why.
        wanted: Wanted,
    },
    /// A silence is to end.
    Expire {
        /// Who wants it.
        actor: Actor,
        /// The silence, by its name in the API.
        uuid: String,
    },
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The alerts are held back by the silence of this name in the API.
    Set(String),
    /// The silence has ended.
    Expired,
    /// There is no such silence.
    Unknown,
    /// It is refused.
    Refused(Refusal),
}

/// The feature `silences`.
pub static FEATURE: Feature = Feature {
    name: "silences",
    commands: commands::COMMANDS,
    timers: &[
        (acts::START, decide::starts),
        (acts::ENDING, decide::is_ending),
        (acts::END, decide::ends),
        (acts::LEFT, decide::looks_again),
    ],
    cards: &[],
    names: &[(Lookup::Silence, commands::names)],
};
