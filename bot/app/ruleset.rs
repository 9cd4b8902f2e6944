//! The runbooks of a folder, each read, checked and held against the configuration; and the templates of reviews.
//!
//! What is wrong is left out and told, never run by. A file that was good before keeps its old runbook while its edit is
//! bad, so nobody is left without a runbook in the middle of an incident because of a slip of the fingers.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    config::{Config, Look, check},
    reviews,
};
use crate::{
    domain::{
        diagnostic::Diagnostic,
        reviews::Templates,
        runbooks::{self, Plan, plan::Approver, words},
    },
    engine::{Rules, ports::Secrets, runs},
};

/// The runbooks in force, and what is wrong with others.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    /// By name: the file that it came from, and what it says.
    pub runbooks: BTreeMap<String, (PathBuf, Arc<Plan>)>,
    /// What reviews look like.
    pub reviews: Templates,
    /// What is wrong with the files, in their order.
    pub problems: Vec<Diagnostic>,
}

impl Ruleset {
    /// Reads all runbooks. A file with problems keeps the runbook that it had `before`, if it had one.
    pub fn load(config: &Config, before: &Ruleset, look: Look) -> Self {
        let mut ruleset = Self { reviews: before.reviews.clone(), ..Self::default() };
        match reviews::templates(config) {
            Ok(templates) => ruleset.reviews = templates,
            Err(problems) => ruleset.problems.extend(problems),
        }
        for file in files(&config.runbooks_directory()) {
            match read(&file) {
                Ok(plan) => {
                    ruleset.problems.extend(unfit(config, &file, &plan, look));
                    ruleset.add(file, Arc::new(plan));
                }
                Err(problems) => {
                    ruleset.problems.extend(problems);
                    if let Some((path, plan)) = before.runbooks.values().find(|(path, _)| *path == file) {
                        ruleset.add(path.clone(), Arc::clone(plan));
                    }
                }
            }
        }
        let names: BTreeSet<String> = ruleset.runbooks.keys().cloned().collect();
        ruleset.problems.extend(check::unknown_runbooks(config, &names));
        ruleset
    }

    fn add(&mut self, file: PathBuf, plan: Arc<Plan>) {
        if let Some((other, _)) = self.runbooks.get(&plan.name) {
            let what = format!("there is a runbook `{}` in `{}` already", plan.name, other.display());
            self.problems.push(Diagnostic::new(file, what).hint("give each a name of its own"));
            return;
        }
        self.runbooks.insert(plan.name.clone(), (file, plan));
    }

    /// The rules in force with this configuration.
    pub fn rules(&self, config: &Config) -> Rules {
        let runbooks = self.runbooks.iter().map(|(name, (_, plan))| (name.clone(), Arc::clone(plan))).collect();
        Rules {
            runs: runs::Settings { runbooks, mode: config.file.runbooks.mode },
            reviews: self.reviews.clone(),
            ..config.rules()
        }
    }
}

/// Reads one runbook.
pub fn read(file: &Path) -> Result<Plan, Vec<Diagnostic>> {
    let bytes =
        std::fs::read(file).map_err(|error| vec![Diagnostic::new(file, format!("it cannot be read: {error}"))])?;
    runbooks::read(file, &bytes)
}

/// The runbook files in a folder, by name.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let is_runbook = |path: &PathBuf| {
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        !is_hidden && path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_runbook).collect();
    files.sort();
    files
}

/// What a runbook asks of the configuration that is not there.
fn unfit(config: &Config, file: &Path, plan: &Plan, look: Look) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for approver in plan.approval.iter().flat_map(|approval| &approval.by) {
        let (kind, name, known): (_, _, Vec<&str>) = match approver {
            Approver::Role(role) => ("role", role, config.file.roles.keys().map(String::as_str).collect()),
            Approver::Person(person) => ("person", person, config.file.people.keys().map(String::as_str).collect()),
        };
        if !known.contains(&name.as_str()) {
            let hint = match words::nearest(name, known) {
                Some(near) => format!("did you mean `{kind}:{near}`?"),
                None => format!("add it to `{}`", config.path.display()),
            };
            problems.push(Diagnostic::new(file, format!("nobody can approve as `{approver}`")).hint(hint));
        }
    }
    if look == Look::ForSecrets {
        for name in plan.secrets() {
            if let Err(why) = config.secrets.find(&name) {
                problems.push(Diagnostic::new(file, why).hint("set it where the program is started"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path) -> Config {
        let text = "[roles.on-call]\nmay = \"operate\"\n[[routes]]\nname = \"a\"\nrunbooks = [\"rollback-servise\"]\n";
        Config::read(&folder.join("firewarden.toml"), text, Look::WithoutSecrets).unwrap_or_else(|_| panic!())
    }

    #[test]
    fn the_shipped_runbooks_are_in_order_and_a_bad_edit_keeps_the_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let runbooks = folder.path().join("runbooks");
        std::fs::create_dir(&runbooks).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks");
        for file in files(&shipped) {
            std::fs::copy(&file, runbooks.join(file.file_name().unwrap())).unwrap();
        }
        let config = config(folder.path());
        let good = Ruleset::load(&config, &Ruleset::default(), Look::WithoutSecrets);
        assert!(good.runbooks.contains_key("rollback-service"), "{:?}", good.problems);
        let told: Vec<&str> = good.problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
        assert_eq!(told, ["did you mean `rollback-service`?"], "{:?}", good.problems);

        std::fs::write(runbooks.join("rollback-service.yaml"), "name: [").unwrap();
        let bad = Ruleset::load(&config, &good, Look::WithoutSecrets);
        assert_eq!(bad.problems.len(), 2, "{:?}", bad.problems);
        assert_eq!(bad.runbooks["rollback-service"].1, good.runbooks["rollback-service"].1);
        assert!(
            !Ruleset::load(&config, &Ruleset::default(), Look::WithoutSecrets)
                .runbooks
                .contains_key("rollback-service")
        );
    }
}
