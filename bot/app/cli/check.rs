//! `firewarden check`: every problem of every file, before anything is run by them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Failure, rehearse, say};
use crate::{
    app::{
        config::{Config, Look},
        ruleset::{self, Ruleset},
    },
    domain::runbooks::{self, Plan},
};

/// Checks the configuration and all that it names.
pub(super) fn everything(path: &Path, look: Look) -> Result<(), Failure> {
    let (config, mut problems) = Config::examine(path, look)?;
    let ruleset = Ruleset::load(&config, &Ruleset::default(), look);
    problems.extend(ruleset.problems.iter().cloned());
    for file in rehearse::of_tests(&config.runbooks_directory()).unwrap_or_default() {
        // What is wrong with the runbook itself is told already.
        let found = rehearse::read(&file).err().unwrap_or_default();
        problems.extend(found.into_iter().filter(|problem| problem.file == file));
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    for note in notes(&config, &ruleset) {
        say(&format!("note: {note}"));
    }
    let file = &config.file;
    let counts = [
        ("people", file.people.len()),
        ("sources", file.sources.len()),
        ("routes", file.routes.len()),
        ("runbooks", ruleset.runbooks.len()),
        ("services", ruleset.catalog.services.len()),
    ];
    let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
    say(&format!("{} is in order: {}", path.display(), counts.join(", ")));
    Ok(())
}

/// What is in order and may surprise somebody all the same.
fn notes(config: &Config, ruleset: &Ruleset) -> Vec<String> {
    let mut notes = Vec::new();
    let runbooks = config.runbooks_directory();
    if !runbooks.is_dir() {
        notes.push(format!("there is no folder `{}`: no alert starts anything", runbooks.display()));
    }
    if config.file.discord.is_none() {
        let what = "there is no `[discord]`: the page is the chat and takes every page at once, so nobody is woken";
        notes.push(what.to_owned());
        if config.file.emergency.is_none() {
            let what = "there is no `[emergency]` either: nobody is told when nothing can be written";
            notes.push(what.to_owned());
        }
    }
    if config.file.github.is_none() {
        let acts = |(_, plan): &&(PathBuf, Arc<Plan>)| plan.steps.iter().any(|step| step.action.starts_with("github."));
        for (_, plan) in ruleset.runbooks.values().filter(acts) {
            notes.push(format!("there is no `[github]`: what `{}` does at GitHub fails", plan.name));
        }
    }
    notes
}

/// Checks single runbooks, and files of tests, by themselves.
pub(super) fn runbooks(files: &[PathBuf]) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for file in files {
        if runbooks::tested(file).is_some() {
            match rehearse::read(file) {
                Ok(beside) => {
                    let (name, count) = (&beside.plan.name, beside.tests.len());
                    say(&format!("{} is in order: `{name}`, tests {count}", file.display()));
                }
                Err(found) => problems.extend(found),
            }
            continue;
        }
        match ruleset::read(file) {
            Ok(plan) => say(&format!("{} is in order: `{}`, steps {}", file.display(), plan.name, plan.steps.len())),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
}
