//! `firewarden runbook test`: plays the tests that stand beside runbooks. Nothing outside is reached, and no bot is asked.

use std::{
    cell::Cell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Failure, say, scratch::Scratch};
use crate::{
    app::{
        config::{Config, Look},
        ruleset,
    },
    domain::{
        diagnostic::Diagnostic,
        runbooks::{self, Plan},
        runs::rehearsals::{self, Rehearsal},
    },
    engine::runs::rehearse,
    store::{Fault, Store},
};

/// Where a file system keeps nothing but what is in memory, on most machines.
const MEMORY: &str = "/dev/shm";

/// A file of tests with its runbook, and those that it may start.
pub(super) struct Beside {
    /// The runbook.
    pub(super) plan: Plan,
    /// All runbooks of the folder, by their names.
    pub(super) plans: BTreeMap<String, Arc<Plan>>,
    /// The tests.
    pub(super) tests: Vec<Rehearsal>,
}

/// Plays the tests of these files, or of all in the folder with the runbooks.
pub(super) async fn test(config: &Path, files: Vec<PathBuf>) -> Result<(), Failure> {
    let files = if files.is_empty() { all(config)? } else { files };
    let mut problems = Vec::new();
    let (mut played, mut kills) = (0, 0);
    let stage = Stage::new().await?;
    for file in &files {
        match read(file) {
            Err(found) => problems.extend(found),
            Ok(beside) => {
                say(&format!("{}", file.display()));
                for test in &beside.tests {
                    let report = rehearse::rehearse(&beside.plans, &beside.plan, test, || stage.empty()).await?;
                    played += 1;
                    kills += report.kills;
                    let passed = if report.flaws.is_empty() { "ok    " } else { "FAILED" };
                    say(&format!("  {passed}  {} (killed {} times)", test.name, report.kills));
                    problems.extend(report.flaws.into_iter().map(|flaw| {
                        let place = flaw.place;
                        Diagnostic { place, ..Diagnostic::new(file, flaw.what).hint(flaw.hint) }
                    }));
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    say(&format!("tests {played}, runs killed and taken up again {kills}: all as expected"));
    Ok(())
}

/// The files of tests in the folder with the runbooks.
fn all(config: &Path) -> Result<Vec<PathBuf>, Failure> {
    let directory = if config.is_file() {
        Config::load(config, Look::WithoutSecrets)?.runbooks_directory()
    } else {
        PathBuf::from("runbooks")
    };
    let refused = |error: std::io::Error| {
        Failure::Refused(format!(
            "Cannot read the folder `{}`: {error}\nhint: name the files of tests, or the configuration with `--config`",
            directory.display()
        ))
    };
    let files = of_tests(&directory).map_err(refused)?;
    if files.is_empty() {
        let hint = "hint: put the tests of `NAME.yaml` into `NAME.test.yaml` beside it; `docs/trying.md` shows one";
        return Err(Failure::Refused(format!("There are no tests in `{}`\n{hint}", directory.display())));
    }
    Ok(files)
}

/// The files of tests in a folder, by name.
pub(super) fn of_tests(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| runbooks::tested(path).is_some()).collect();
    files.sort();
    Ok(files)
}

/// Reads a file of tests, with the runbook beside it.
pub(super) fn read(file: &Path) -> Result<Beside, Vec<Diagnostic>> {
    let unreadable = |error: std::io::Error| {
        let problem = Diagnostic::new(file, format!("it cannot be read: {error}"));
        vec![problem.hint("put the tests of the runbook in `NAME.yaml` into `NAME.test.yaml` beside it")]
    };
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let of = runbook_of(file).ok_or_else(|| {
        let problem = Diagnostic::new(file, "there is no runbook beside it");
        vec![problem.hint("the tests of `NAME.yaml` are in `NAME.test.yaml`")]
    })?;
    let plan = ruleset::read(&of)?;
    let mut plans = BTreeMap::new();
    for other in ruleset::files(of.parent().unwrap_or(Path::new("."))).unwrap_or_default() {
        if let Ok(plan) = ruleset::read(&other) {
            plans.insert(plan.name.clone(), plan);
        }
    }
    plans.insert(plan.name.clone(), plan.clone());
    let tests = rehearsals::read(file, &bytes, &plan, &plans)?;
    let plans = plans.into_iter().map(|(name, plan)| (name, Arc::new(plan))).collect();
    Ok(Beside { plan, plans, tests })
}

/// The runbook that the tests of this file are about.
fn runbook_of(file: &Path) -> Option<PathBuf> {
    let stem = runbooks::tested(file)?;
    ["yaml", "yml"].iter().map(|ending| file.with_file_name(format!("{stem}.{ending}"))).find(|path| path.is_file())
}

/// Where tests are played: a store for each play, as an empty one is.
struct Stage {
    folder: Scratch,
    next: Cell<usize>,
}

impl Stage {
    async fn new() -> Result<Self, Failure> {
        let folder = Scratch::new(Path::new(MEMORY)).or_else(|_| Scratch::new(&std::env::temp_dir()));
        let folder = folder.map_err(|error| {
            Failure::Refused(format!("Cannot make a folder for the stores of tests: {error}\nhint: set `TMPDIR`"))
        })?;
        let stage = Self { folder, next: Cell::new(0) };
        Store::open(crate::store::Address::File(stage.path("empty"))).await?.close().await;
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }

    async fn empty(&self) -> Result<Store, Fault> {
        let number = self.next.replace(self.next.get() + 1);
        // The one before is closed: every play closes its own.
        if let Some(before) = number.checked_sub(1) {
            let _gone = std::fs::remove_file(self.path(&before.to_string()));
        }
        let path = self.path(&number.to_string());
        std::fs::copy(self.path("empty"), &path)
            .map_err(|error| Fault::defect(format!("a store cannot be copied: {error}")))?;
        Store::open(crate::store::Address::File(path)).await
    }
}
