//! The runbooks of a folder, each read, checked and held against the configuration; the catalog of services; and the
//! templates of reviews.
//!
//! What is wrong is left out and told, never run by. A file that was good before keeps its old runbook while its edit is
//! bad, so nobody is left without a runbook in the middle of an incident because of a slip of the fingers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    config::{Config, Look, check, places},
    reviews,
};
use crate::{
    domain::{
        catalog::{self, Catalog},
        diagnostic::Diagnostic,
        reviews::Templates,
        runbooks::{self, Plan, words},
    },
    engine::{Rules, ports::Secrets, runs},
};

/// The runbooks in force, and what is wrong with others.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    /// By name: the file that it came from, and what it says.
    pub runbooks: BTreeMap<String, (PathBuf, Arc<Plan>)>,
    /// The services that people wrote down.
    pub catalog: Arc<Catalog>,
    /// What reviews look like.
    pub reviews: Templates,
    /// What is wrong with the files, in their order.
    pub problems: Vec<Diagnostic>,
    /// The files of which the rules do not say what they say: what they said before is in force, if anything is.
    pub refused: BTreeSet<PathBuf>,
}

impl Ruleset {
    /// Reads all files. One with problems keeps what it said `before`, if it said something.
    pub fn load(config: &Config, before: &Ruleset, look: Look) -> Self {
        let mut ruleset = Self { reviews: before.reviews.clone(), ..Self::default() };
        match reviews::templates(config) {
            Ok(templates) => ruleset.reviews = templates,
            Err(problems) => {
                ruleset.refused.extend(reviews::files(config));
                ruleset.refused.extend(problems.iter().map(|problem| problem.file.clone()));
                ruleset.problems.extend(problems);
            }
        }
        if let Some(file) = config.services_file() {
            match services(config, &file) {
                Ok(catalog) => ruleset.catalog = Arc::new(catalog),
                Err(problems) => {
                    ruleset.catalog = Arc::clone(&before.catalog);
                    ruleset.problems.extend(problems);
                    ruleset.refused.insert(file);
                }
            }
        }
        match runbook_files(config, before) {
            Ok(files) => ruleset.take(config, files, before, look),
            Err(problem) => {
                ruleset.refused.insert(problem.file.clone());
                ruleset.refused.extend(before.runbooks.values().map(|(file, _)| file.clone()));
                ruleset.problems.push(problem);
                ruleset.runbooks = before.runbooks.clone();
            }
        }
        let names: BTreeSet<String> = ruleset.runbooks.keys().cloned().collect();
        ruleset.problems.extend(check::unknown_runbooks(config, &names));
        if let Some(file) = config.services_file() {
            ruleset.problems.extend(unknown_in_catalog(&file, &ruleset.catalog, &names));
        }
        ruleset
    }

    /// Takes what is in order. A name that several files claim stays with the file that had it.
    fn take(&mut self, config: &Config, files: Vec<PathBuf>, before: &Ruleset, look: Look) {
        let mut claims: BTreeMap<String, Vec<(PathBuf, Arc<Plan>)>> = BTreeMap::new();
        for file in files {
            match read_fit(config, &file, look) {
                Ok(plan) => claims.entry(plan.name.clone()).or_default().push((file, Arc::new(plan))),
                Err(problems) => {
                    self.problems.extend(problems);
                    self.refused.insert(file);
                }
            }
        }
        for (name, mut claims) in claims {
            let had_it =
                |(file, _): &(PathBuf, Arc<Plan>)| before.runbooks.get(&name).is_some_and(|(before, _)| before == file);
            let winner = claims.remove(claims.iter().position(had_it).unwrap_or(0));
            for (file, _) in claims {
                let what = format!("there is a runbook `{name}` in `{}` already", winner.0.display());
                self.problems.push(Diagnostic::new(&file, what).hint("give each a name of its own"));
                self.refused.insert(file);
            }
            self.runbooks.insert(name, winner);
        }
        for (name, (file, plan)) in &before.runbooks {
            if self.refused.contains(file) {
                self.runbooks.entry(name.clone()).or_insert_with(|| (file.clone(), Arc::clone(plan)));
            }
        }
    }

    /// The rules in force with this configuration.
    pub fn rules(&self, config: &Config) -> Rules {
        let runbooks = self.runbooks.iter().map(|(name, (_, plan))| (name.clone(), Arc::clone(plan))).collect();
        Rules {
            runs: runs::Settings { runbooks, mode: config.file.runbooks.mode },
            reviews: self.reviews.clone(),
            catalog: Arc::clone(&self.catalog),
            ..config.rules()
        }
    }
}

/// Reads one runbook.
pub fn read(file: &Path) -> Result<Plan, Vec<Diagnostic>> {
    runbooks::read(file, &bytes(file).map_err(|problem| vec![problem.hint("put the runbook's text there")])?)
}

/// What stands in a regular file: a pipe would be waited for.
fn bytes(file: &Path) -> Result<Vec<u8>, Diagnostic> {
    let unreadable = |error: io::Error| Diagnostic::new(file, format!("it cannot be read: {error}"));
    if !std::fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(Diagnostic::new(file, "it is no regular file"));
    }
    std::fs::read(file).map_err(unreadable)
}

/// Reads the catalog of services, whose owners the configuration knows.
fn services(config: &Config, file: &Path) -> Result<Catalog, Vec<Diagnostic>> {
    let hint = || format!("`[services] file` in `{}` names it", config.path.display());
    let bytes = bytes(file).map_err(|problem| vec![problem.hint(hint())])?;
    catalog::read(file, &bytes, |owner| somebody(config, owner))
}

/// The runbooks that the catalog names and that are not there.
fn unknown_in_catalog(file: &Path, catalog: &Catalog, known: &BTreeSet<String>) -> Vec<Diagnostic> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let missing: BTreeSet<&str> = catalog.runbooks().filter(|name| !known.contains(*name)).collect();
    let told = missing.into_iter().map(|name| {
        let hint = match words::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "put it into the folder of the runbooks".to_owned(),
        };
        let mut problem = Diagnostic::new(file, format!("there is no runbook `{name}`")).hint(hint);
        problem.place = text.find(name).map(|start| places::at(&text, &(start..start)));
        problem
    });
    told.collect()
}

/// Whether `role:on-call` or `person:ada` is in the configuration; else how to mend it.
fn somebody(config: &Config, text: &str) -> Result<(), String> {
    let (kind, name, known): (_, _, Vec<&str>) = match text.split_once(':') {
        Some(("role", role)) => ("role", role, config.file.roles.keys().map(String::as_str).collect()),
        Some(("person", person)) => ("person", person, config.file.people.keys().map(String::as_str).collect()),
        Some(_) | None => return Err("write `role:on-call` or `person:ada`".to_owned()),
    };
    if known.contains(&name) {
        return Ok(());
    }
    Err(match words::nearest(name, known) {
        Some(near) => format!("did you mean `{kind}:{near}`?"),
        None => format!("add it to `{}`", config.path.display()),
    })
}

/// Reads a runbook that finds in the configuration all that it asks for.
fn read_fit(config: &Config, file: &Path, look: Look) -> Result<Plan, Vec<Diagnostic>> {
    let plan = read(file)?;
    let problems = unfit(config, file, &plan, look);
    if problems.is_empty() { Ok(plan) } else { Err(problems) }
}

/// The runbook files of the configuration.
///
/// The usual folder may be missing as long as nobody has put a runbook into it; one that is named must be there.
fn runbook_files(config: &Config, before: &Ruleset) -> Result<Vec<PathBuf>, Diagnostic> {
    let directory = config.runbooks_directory();
    files(&directory).or_else(|error| {
        let is_optional = config.has_usual_runbooks_directory() && before.runbooks.is_empty();
        if is_optional && error.kind() == io::ErrorKind::NotFound {
            return Ok(Vec::new());
        }
        let problem = Diagnostic::new(directory, format!("the folder with the runbooks cannot be read: {error}"));
        Err(problem.hint(format!("`[runbooks] directory` in `{}` names it", config.path.display())))
    })
}

/// The runbook files in a folder, by name. Their tests are none.
///
/// # Errors
/// When the folder cannot be read.
pub fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let is_runbook = |path: &PathBuf| {
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        !is_hidden
            && runbooks::tested(path).is_none()
            && path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        files.extend(Some(entry?.path()).filter(is_runbook));
    }
    files.sort();
    Ok(files)
}

/// What a runbook asks of the configuration that is not there.
fn unfit(config: &Config, file: &Path, plan: &Plan, look: Look) -> Vec<Diagnostic> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut problems = Vec::new();
    let mut add = |word: &str, what: String, hint: String| {
        let mut problem = Diagnostic::new(file, what).hint(hint);
        problem.place = text.find(word).map(|start| places::at(&text, &(start..start)));
        problems.push(problem);
    };
    for approver in plan.approval.iter().flat_map(|approval| &approval.by) {
        let name = approver.to_string();
        if let Err(hint) = somebody(config, &name) {
            add(&name, format!("nobody can approve as `{name}`"), hint);
        }
    }
    let servers = &config.file.prometheus.servers;
    for step in plan.steps.iter().filter(|step| step.action.starts_with("prometheus.")) {
        match step.with.get("server").and_then(serde_json::Value::as_str) {
            None if config.file.prometheus.url.is_none() => {
                let hint = format!("set `[prometheus] url` in `{}`", config.path.display());
                add(&step.action, format!("step `{}` has no server to ask", step.name), hint);
            }
            Some(name) if !runbooks::template::is_template(name) && !servers.contains_key(name) => {
                let hint = match words::nearest(name, servers.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("add `[prometheus.servers.{name}]` to `{}`", config.path.display()),
                };
                add(name, format!("there is no server `{name}` of Prometheus"), hint);
            }
            Some(_) | None => {}
        }
    }
    if look == Look::ForSecrets {
        for name in plan.secrets() {
            if let Err(why) = config.secrets.find(&name) {
                add(&name, why, "set it where the program is started".to_owned());
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
        for file in files(&shipped).unwrap() {
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

    /// A folder with a configuration and these runbooks, and what comes of them.
    fn rules(folder: &Path, runbooks: &[(&str, &str)], before: &Ruleset) -> Ruleset {
        let directory = folder.join("runbooks");
        std::fs::create_dir_all(&directory).unwrap();
        for (name, text) in runbooks {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let text = "[roles.on-call]\nmay = \"operate\"\n";
        let config = Config::read(&folder.join("firewarden.toml"), text, Look::ForSecrets).ok().unwrap();
        Ruleset::load(&config, before, Look::ForSecrets)
    }

    fn runbook(name: &str, approver: &str, text: &str) -> String {
        format!(
            "name: {name}\ntrigger: {{ chat: {{}} }}\ntarget: {{ service: a, environment: b }}\n\
             approval:\n  before: tell\n  by: [\"{approver}\"]\nsteps:\n  - name: tell\n    action: announce\n    with: {{ text: \"{text}\" }}\n"
        )
    }

    #[test]
    fn a_runbook_that_nobody_can_approve_takes_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let bad = runbook("a", "role:on-cal", "new");
        let start = rules(folder.path(), &[("a.yaml", &bad)], &Ruleset::default());
        assert!(start.runbooks.is_empty(), "at the start it is left out");
        let said = start.problems[0].to_string();
        let place =
            format!("{}:6:9: nobody can approve as `role:on-cal`", folder.path().join("runbooks/a.yaml").display());
        assert!(said.starts_with(&place) && said.ends_with("hint: did you mean `role:on-call`?"), "{said}");

        let good = rules(folder.path(), &[("a.yaml", &runbook("a", "role:on-call", "old"))], &start);
        assert_eq!(good.problems, []);
        let after = rules(folder.path(), &[("a.yaml", &bad)], &good);
        assert_eq!(after.runbooks["a"].1, good.runbooks["a"].1, "the one before stays");
        assert_eq!(after.refused.len(), 1);
    }

    #[test]
    fn a_name_stays_with_the_file_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let (a, z) = (runbook("a", "role:on-call", "a"), runbook("z", "role:on-call", "z"));
        let good = rules(folder.path(), &[("a.yaml", &a), ("z.yaml", &z)], &Ruleset::default());
        let taken = runbook("z", "role:on-call", "a");
        let after = rules(folder.path(), &[("a.yaml", &taken)], &good);
        assert_eq!(after.runbooks, good.runbooks, "the edit of one file does not take the other one's place");
        assert_eq!(after.problems.len(), 1);
    }

    #[test]
    fn a_folder_that_is_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let good = runbook("a", "role:on-call", "a");
        let before = rules(folder.path(), &[("a.yaml", &good)], &Ruleset::default());
        let load = |text: &str, before: &Ruleset| {
            let config = Config::read(&folder.path().join("firewarden.toml"), text, Look::WithoutSecrets).ok().unwrap();
            Ruleset::load(&config, before, Look::WithoutSecrets)
        };
        let misspelled = "[roles.on-call]\nmay = \"operate\"\n[runbooks]\ndirectory = \"runbook\"\n";
        let after = load(misspelled, &before);
        assert_eq!(after.runbooks, before.runbooks, "what was there stays in force");
        let said = after.problems[0].to_string();
        assert!(said.contains("the folder with the runbooks cannot be read") && said.contains("hint: "), "{said}");

        std::fs::remove_dir_all(folder.path().join("runbooks")).unwrap();
        assert_eq!(load("", &Ruleset::default()).problems, [], "nobody has runbooks yet");
        assert_eq!(load("", &before).runbooks, before.runbooks, "a folder that is moved away is no order");
    }

    #[test]
    fn what_is_no_file_is_told_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("odd.yaml");
        std::fs::create_dir(&odd).unwrap();
        let problems = read(&odd).unwrap_err();
        assert!(problems[0].to_string().contains("it is no regular file"), "{problems:?}");
    }
}
