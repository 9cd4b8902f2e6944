//! A change of a service by anyone: what people want to know of when something breaks a while later.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{ids::RunId, time::Time};

/// Something that changed about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The service.
    pub service: String,
    /// Where, if it was at one place.
    pub environment: Option<String>,
    /// Of what kind it is.
    pub kind: ChangeKind,
    /// What it is, in a few words: `v42 (1f0c9a2) succeeded`.
    pub what: String,
    /// When it happened.
    pub at: Time,
    /// Who did it, if it is known.
    pub by: Option<String>,
    /// Where people look at it.
    pub url: Option<String>,
    /// The name under which it is told once.
    pub external: String,
    /// The run that made it, if one did.
    pub run: Option<RunId>,
}

/// Kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A deployment.
    Deployment,
    /// A pull request that was merged.
    Merge,
    /// A run of a workflow on the main branch.
    WorkflowRun,
}

impl ChangeKind {
    /// The word for it, as it is stored.
    pub fn word(self) -> &'static str {
        match self {
            ChangeKind::Deployment => "deployment",
            ChangeKind::Merge => "merge",
            ChangeKind::WorkflowRun => "workflow_run",
        }
    }
}

impl std::str::FromStr for ChangeKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [ChangeKind::Deployment, ChangeKind::Merge, ChangeKind::WorkflowRun];
        all.into_iter().find(|kind| kind.word() == word).ok_or_else(|| format!("`{word}` is no kind of change"))
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChangeKind::Deployment => "deployment",
            ChangeKind::Merge => "merge",
            ChangeKind::WorkflowRun => "workflow",
        })
    }
}
