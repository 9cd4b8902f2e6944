//! `firewarden check`: every problem of every file, before anything is run by them.

use std::path::{Path, PathBuf};

use super::{Failure, say};
use crate::app::{
    config::{Config, Look},
    ruleset::{self, Ruleset},
};

/// Checks the configuration and all that it names.
pub(super) fn everything(path: &Path, look: Look) -> Result<(), Failure> {
    let config = Config::load(path, look)?;
    let ruleset = Ruleset::load(&config, &Ruleset::default(), look);
    if !ruleset.problems.is_empty() {
        return Err(ruleset.problems.into());
    }
    let file = &config.file;
    let counts = [
        ("people", file.people.len()),
        ("sources", file.sources.len()),
        ("routes", file.routes.len()),
        ("runbooks", ruleset.runbooks.len()),
    ];
    let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
    say(&format!("{} is in order: {}", path.display(), counts.join(", ")));
    Ok(())
}

/// Checks single runbooks, by themselves.
pub(super) fn runbooks(files: &[PathBuf]) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for file in files {
        match ruleset::read(file) {
            Ok(plan) => say(&format!("{} is in order: `{}`, steps {}", file.display(), plan.name, plan.steps.len())),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
}
