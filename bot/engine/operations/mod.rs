//! Looks after the bot itself: says how it is, cries for help without the store, and shows that it is alive.
//!
//! Everything else is durable before it is told. The emergency page is the one exception, for the case that nothing can
//! be made durable any more.

pub mod commands;
pub mod decide;
pub mod emergency;
pub mod metrics;
pub mod restored;
pub mod work;

use serde::{Deserialize, Serialize};

use crate::{
    domain::{ids::RunId, time::Time, timeline},
    engine::features::Feature,
};

/// Files with rules were read: at the start, or because they were edited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Whether the bot has just started, so that no rules were in force before.
    pub is_start: bool,
    /// The files whose change is in force.
    pub adopted: Vec<String>,
    /// The files whose change is not: what they said before is in force, if anything is.
    pub refused: Vec<Flaw>,
    /// Files that are in force although something is wrong with them, such as a name for which there is nothing.
    pub flawed: Vec<Flaw>,
    /// What changed and is taken up only by a restart.
    pub at_restart: Vec<String>,
}

/// A file with what is wrong with it; nothing if it is refused only because of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flaw {
    /// The file.
    pub file: String,
    /// What is wrong, each with its place and a hint.
    pub problems: Vec<String>,
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
    /// The bot started without what some files say.
    RulesLeftOut {
        /// The files.
        files: Vec<String>,
        /// What is wrong with them.
        problems: Vec<String>,
    },
    /// Something is wrong with files that are in force.
    RulesFlawed {
        /// The files.
        files: Vec<String>,
        /// What is wrong with them.
        problems: Vec<String>,
    },
    /// The store is one that was restored from a copy.
    StoreRestored {
        /// What it was restored from.
        from: String,
        /// When the copy was made, if that is known.
        made_at: Option<Time>,
        /// Who restored it.
        by: String,
        /// The runs that are held because of it.
        held: Vec<RunId>,
        /// Those of them of which a step is in doubt.
        in_doubt: Vec<RunId>,
        /// How many messages of before are not sent.
        unsaid: u64,
    },
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        let named = |files: &[String]| format!("`{}`", files.join("`, `"));
        let counted = |problems: &[String]| match problems.len() {
            1 => "a problem".to_owned(),
            many => format!("{many} problems"),
        };
        match self {
            Event::RulesAdopted { files } => format!("took up the change of {}", named(files)),
            Event::RulesRefused { files, problems } => {
                format!("did not take up the change of {}: it has {}", named(files), counted(problems))
            }
            Event::RulesLeftOut { files, problems } => {
                format!("started without {}: it has {}", named(files), counted(problems))
            }
            Event::RulesFlawed { files, problems } => format!("found {} in {}", counted(problems), named(files)),
            Event::StoreRestored { from, made_at, by, held, in_doubt, unsaid } => {
                let made_at = made_at.map(|at| format!(", made at {}", at.long())).unwrap_or_default();
                let counts = format!("{} held, {} in doubt, {unsaid} messages not sent", held.len(), in_doubt.len());
                format!("went on from `{from}`{made_at}, restored by `{by}`: {counts}")
            }
        }
    }
}

/// The part of the bot's [`Signs`](crate::engine::Signs) that is not well while the halt file is there.
pub const HALT_FILE: &str = "halt file";

/// The feature `operations`.
pub static FEATURE: Feature =
    Feature { name: "operations", commands: commands::COMMANDS, timers: &[], cards: &[], names: &[] };
