//! Looks after the bot itself: says how it is, cries for help without the store, and shows that it is alive.
//!
//! Everything else is durable before it is told. The emergency page is the one exception, for the case that nothing can
//! be made durable any more.

pub mod commands;
pub mod decide;
pub mod emergency;
pub mod metrics;
pub mod work;

use serde::{Deserialize, Serialize};

use crate::{domain::timeline, engine::features::Feature};

/// Files with rules were edited while the bot runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// The files that changed.
    pub files: Vec<String>,
    /// What is wrong with them; if anything is, the rules before the edit stay in force.
    pub problems: Vec<String>,
    /// What changed in them and is taken up only by a restart.
    pub at_restart: Vec<String>,
}

/// What the log says of the bot itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Other rules are in force.
    RulesAdopted {
        /// The files that changed.
        files: Vec<String>,
    },
    /// An edit was not taken up.
    RulesRefused {
        /// The files that changed.
        files: Vec<String>,
        /// What is wrong with them.
        problems: Vec<String>,
    },
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::RulesAdopted { files } => format!("took up the change of `{}`", files.join("`, `")),
            Event::RulesRefused { files, problems } => {
                let count = match problems.len() {
                    1 => "a problem".to_owned(),
                    many => format!("{many} problems"),
                };
                format!("did not take up the change of `{}`: it has {count}", files.join("`, `"))
            }
        }
    }
}

/// The feature `operations`.
pub static FEATURE: Feature =
    Feature { name: "operations", commands: commands::COMMANDS, timers: &[], cards: &[], names: &[] };
