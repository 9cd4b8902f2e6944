//! Takes up edits of the configuration and the runbooks while the bot runs.
//!
//! A bad edit never takes the place of a good one: the rules before it stay in force, and people are told what is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use super::{
    config::{Config, Look},
    reviews,
    ruleset::{self, Ruleset},
};
use crate::{
    adapters::web::Gate,
    domain::diagnostic::Diagnostic,
    engine::{
        Engine, Input,
        operations::{Edit, Flaw},
    },
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What is known of a file without reading it.
type Stamp = Option<(SystemTime, u64)>;

/// Tells people what is wrong with the files that the bot started with.
pub async fn tell_start(engine: &Engine, ruleset: &Ruleset) {
    let flaws = flaws(&ruleset.problems, &ruleset.refused);
    if !flaws.is_empty() {
        let (refused, flawed) = flaws.into_iter().partition(|flaw| ruleset.refused.contains(Path::new(&flaw.file)));
        tell(engine, Edit { is_start: true, refused, flawed, ..Edit::default() }).await;
    }
}

/// Looks for edits until it is told to stop.
pub async fn work(config: Config, ruleset: Ruleset, (engine, gate): (Arc<Engine>, Arc<Gate>), stop: CancellationToken) {
    let seen = stamps(&config);
    let (refused, problems) = (ruleset.refused.clone(), ruleset.problems.clone());
    let mut watch = Watch { config, ruleset, refused, problems, engine, gate, seen };
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
        watch.look().await;
    }
}

struct Watch {
    config: Config,
    ruleset: Ruleset,
    /// The files that are not in force as they are, and what is wrong: what was told already.
    refused: BTreeSet<PathBuf>,
    problems: Vec<Diagnostic>,
    engine: Arc<Engine>,
    gate: Arc<Gate>,
    seen: BTreeMap<PathBuf, Stamp>,
}

impl Watch {
    async fn look(&mut self) {
        let found = stamps(&self.config);
        if found == self.seen {
            return;
        }
        let differs = |path: &&PathBuf| found.get(*path) != self.seen.get(*path);
        let changed: BTreeSet<PathBuf> = found.keys().chain(self.seen.keys()).filter(differs).cloned().collect();
        self.seen = found;
        let edit = self.take_up(&changed);
        tell(&self.engine, edit).await;
    }

    /// Puts in force what is in order, and says exactly what is and what is not.
    fn take_up(&mut self, changed: &BTreeSet<PathBuf>) -> Edit {
        let mut edit = Edit::default();
        let mut problems = Vec::new();
        let mut refused = BTreeSet::new();
        let mut waiting = BTreeSet::new();
        for (section, file) in self.config.secret_files_at_start() {
            if changed.contains(&file) {
                edit.at_restart.push(section.to_owned());
                waiting.insert(file);
            }
        }
        match Config::load(&self.config.path, Look::ForSecrets) {
            Ok(config) => {
                edit.at_restart.extend(at_restart(&self.config, &config));
                self.gate.adopt(config.keys());
                self.config = config;
            }
            Err(found) => {
                refused.extend(self.config.token_files().into_iter().filter(|file| changed.contains(file)));
                refused.insert(self.config.path.clone());
                problems.extend(found);
            }
        }
        // What is named now is watched from before it is read: a change meanwhile is looked at again.
        let named = stamps(&self.config).into_iter();
        self.seen = named.map(|(path, stamp)| (path.clone(), *self.seen.get(&path).unwrap_or(&stamp))).collect();
        edit.at_restart.sort();
        edit.at_restart.dedup();
        let ruleset = Ruleset::load(&self.config, &self.ruleset, Look::ForSecrets);
        self.engine.adopt(ruleset.rules(&self.config));
        refused.extend(ruleset.refused.iter().cloned());
        problems.extend(ruleset.problems.iter().cloned());

        // What was refused before and no longer is has been taken up with this edit, though it did not change itself.
        let mended = self.refused.difference(&refused);
        let adopted: BTreeSet<&PathBuf> = changed.difference(&refused).chain(mended).collect();
        let adopted = adopted.into_iter().filter(|file| !waiting.contains(*file));
        edit.adopted = adopted.map(|file| file.display().to_string()).collect();
        // What was told before, of a file that did not change, is not told again.
        let is_news = |problem: &&Diagnostic| changed.contains(&problem.file) || !self.problems.contains(*problem);
        let news: Vec<Diagnostic> = problems.iter().filter(is_news).cloned().collect();
        let touched: BTreeSet<PathBuf> = refused.intersection(changed).cloned().collect();
        (edit.refused, edit.flawed) =
            flaws(&news, &touched).into_iter().partition(|flaw| refused.contains(Path::new(&flaw.file)));
        (self.ruleset, self.refused, self.problems) = (ruleset, refused, problems);
        edit
    }
}

async fn tell(engine: &Engine, edit: Edit) {
    if !edit.adopted.is_empty() {
        tracing::info!(files = edit.adopted.join(", "), "an edit was taken up");
    }
    for (flaws, is_refused) in [(&edit.refused, true), (&edit.flawed, false)] {
        for flaw in flaws {
            let problems = flaw.problems.join("\n");
            match (is_refused, edit.is_start) {
                (true, true) => tracing::warn!(flaw.file, problems, "a file was left out"),
                (true, false) => tracing::warn!(flaw.file, problems, "an edit was not taken up"),
                (false, _) => tracing::warn!(flaw.file, problems, "a file in force has problems"),
            }
        }
    }
    if let Err(fault) = engine.submit(Input::Edited(edit)).await {
        tracing::error!(%fault, "nobody could be told of an edit");
    }
}

/// The problems by their files, with the files that are refused for no problem of their own.
fn flaws(problems: &[Diagnostic], refused: &BTreeSet<PathBuf>) -> Vec<Flaw> {
    let mut by_file: BTreeMap<&PathBuf, Vec<String>> = refused.iter().map(|file| (file, Vec::new())).collect();
    for problem in problems {
        by_file.entry(&problem.file).or_default().push(problem.to_string());
    }
    by_file.into_iter().map(|(file, problems)| Flaw { file: file.display().to_string(), problems }).collect()
}

/// The settings that differ and are looked at only when the program starts.
fn at_restart(before: &Config, after: &Config) -> Vec<String> {
    let differs = |name: &str, settings: fn(&Config) -> Option<String>| {
        (settings(before) != settings(after)).then(|| name.to_owned())
    };
    let sections = [
        differs("[store]", |config| serde_json::to_string(&config.file.store).ok()),
        differs("[web]", |config| {
            let web = &config.file.web;
            serde_json::to_string(&(&web.listen, &web.public_url, web.body_limit)).ok()
        }),
        differs("[secrets]", |config| serde_json::to_string(&config.file.secrets).ok()),
        differs("[discord]", |config| serde_json::to_string(&config.file.discord).ok()),
        differs("[kubernetes]", |config| serde_json::to_string(&config.file.kubernetes).ok()),
        differs("[github]", |config| serde_json::to_string(&config.file.github).ok()),
        differs("[emergency]", |config| serde_json::to_string(&config.file.emergency).ok()),
        differs("[heartbeat]", |config| serde_json::to_string(&config.file.heartbeat).ok()),
        differs("[prometheus]", |config| serde_json::to_string(&config.file.prometheus).ok()),
        differs("[retention]", |config| serde_json::to_string(&config.file.retention).ok()),
        differs("[traces]", |config| {
            let traces = config.file.traces.as_ref()?;
            serde_json::to_string(&(&traces.endpoint, &traces.headers, &traces.service)).ok()
        }),
        differs("[log]", |config| serde_json::to_string(&config.file.log).ok()),
    ];
    sections.into_iter().flatten().collect()
}

/// The files that are watched, as they are.
fn stamps(config: &Config) -> BTreeMap<PathBuf, Stamp> {
    let mut files = vec![config.path.clone()];
    files.extend(config.token_files());
    files.extend(config.secret_files_at_start().into_iter().map(|(_, file)| file));
    files.extend(config.secrets_in_directory());
    // A folder that cannot be read has no files: whatever was in it differs then, and is kept.
    files.extend(ruleset::files(&config.runbooks_directory()).unwrap_or_default());
    files.extend(config.services_file());
    files.extend(reviews::files(config));
    files.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}

fn stamp(path: &Path) -> Stamp {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        domain::timeline::Chain,
        engine::{Rules, trial::Trial},
        store::timeline,
    };

    const CONFIG: &str = "[roles.on-call]\nmay = \"operate\"\n[people.ana]\ntoken = { file = \"ana\" }\n";
    const RUNBOOK: &str = "name: a\ntrigger: { chat: {} }\ntarget: { service: a, environment: b }\nsteps:\n  \
                           - name: tell\n    action: announce\n    with: { text: hello }\n";

    struct Case {
        trial: Trial,
        watch: Watch,
        folder: tempfile::TempDir,
        edits: u64,
    }

    impl Case {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("runbooks")).unwrap();
            fs::write(folder.path().join("runbooks/a.yaml"), RUNBOOK).unwrap();
            fs::write(folder.path().join("ana"), "the-first-token-of-ana").unwrap();
            fs::write(folder.path().join("firewarden.toml"), CONFIG).unwrap();
            let config = Config::load(&folder.path().join("firewarden.toml"), Look::ForSecrets).ok().unwrap();
            let ruleset = Ruleset::load(&config, &Ruleset::default(), Look::ForSecrets);
            assert_eq!(ruleset.problems, []);
            let trial = Trial::new(Rules::default()).await;
            let (engine, gate, seen) = (Arc::clone(&trial.engine), Gate::new(config.keys()), stamps(&config));
            let (refused, problems) = (BTreeSet::new(), Vec::new());
            let watch = Watch { config, ruleset, refused, problems, engine, gate, seen };
            Self { trial, watch, folder, edits: 0 }
        }

        /// Edits a file; what the log says of it then.
        async fn edit(&mut self, file: &str, text: &str) -> Vec<String> {
            let path = self.folder.path().join(file);
            fs::write(&path, text).unwrap();
            // The clock of the files may be too coarse for a test.
            self.edits += 1;
            let at = SystemTime::now() + Duration::from_secs(self.edits);
            fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
            let before = self.log().await.len();
            self.watch.look().await;
            self.log().await.split_off(before)
        }

        async fn log(&self) -> Vec<String> {
            let mut reader = self.trial.engine.read().await.unwrap();
            let entries = timeline::entries(&mut reader, Chain::System).await.unwrap();
            let folder = format!("{}/", self.folder.path().display());
            entries.iter().map(|entry| entry.draft.text.replace(&folder, "")).collect()
        }
    }

    #[tokio::test]
    async fn a_standing_problem_does_not_make_a_good_edit_a_bad_one() {
        let mut case = Case::new().await;
        let bad = case.edit("runbooks/b.yaml", "name: [").await;
        assert_eq!(bad, ["did not take up the change of `runbooks/b.yaml`: it has a problem"]);
        let good = case.edit("runbooks/a.yaml", &RUNBOOK.replace("hello", "hi")).await;
        assert_eq!(good, ["took up the change of `runbooks/a.yaml`"]);
        assert!(case.watch.ruleset.runbooks.contains_key("a"));

        let broken = case.edit("firewarden.toml", "[").await;
        assert_eq!(broken, ["did not take up the change of `firewarden.toml`: it has a problem"]);
        let good = case.edit("runbooks/a.yaml", RUNBOOK).await;
        assert_eq!(good, ["took up the change of `runbooks/a.yaml`"], "a runbook does not wait for the configuration");
        let mended = case.edit("firewarden.toml", CONFIG).await;
        assert_eq!(mended, ["took up the change of `firewarden.toml`"]);
    }

    #[tokio::test]
    async fn a_runbook_comes_into_force_when_what_it_asks_for_is_there() {
        let mut case = Case::new().await;
        let text = format!("{RUNBOOK}approval:\n  before: tell\n  by: [\"role:admin\"]\n");
        let refused = case.edit("runbooks/a.yaml", &text).await;
        assert_eq!(refused, ["did not take up the change of `runbooks/a.yaml`: it has a problem"]);
        assert_eq!(case.watch.ruleset.runbooks["a"].1.approval, None, "what was there before stays");
        let route = format!("{CONFIG}[[routes]]\nname = \"a\"\nrunbooks = [\"nowhere\"]\n");
        let flawed = case.edit("firewarden.toml", &route).await;
        assert_eq!(flawed, ["took up the change of `firewarden.toml`", "found a problem in `firewarden.toml`"]);
        let mended = case.edit("firewarden.toml", &format!("{CONFIG}[roles.admin]\nmay = \"administer\"\n")).await;
        assert_eq!(mended, ["took up the change of `firewarden.toml`, `runbooks/a.yaml`"]);
        assert!(case.watch.ruleset.runbooks["a"].1.approval.is_some());
    }

    #[tokio::test]
    async fn a_token_that_is_changed_in_its_file_holds_at_once() {
        let mut case = Case::new().await;
        let key = |case: &Case| case.watch.gate.keys().people.clone();
        let before = key(&case);
        let told = case.edit("ana", "the-second-token-of-ana").await;
        assert_eq!(told, ["took up the change of `ana`"]);
        assert!(key(&case) != before, "the gate knows the new one");
    }

    #[tokio::test]
    async fn a_bad_catalog_takes_no_good_ones_place() {
        const GOOD: &str = "services: { checkout: { owner: role:on-call, repository: acme/checkout } }\n";
        let mut case = Case::new().await;
        fs::write(case.folder.path().join("services.yaml"), GOOD).unwrap();
        case.edit("firewarden.toml", &format!("{CONFIG}[services]\nfile = \"services.yaml\"\n")).await;
        let repository = |case: &Case| {
            let rules = case.watch.engine.rules();
            rules.catalog.services["checkout"].repository.clone()
        };
        assert_eq!(repository(&case).as_deref(), Some("acme/checkout"));
        assert!(case.watch.engine.rules().services().contains("checkout"));
        let refused = case.edit("services.yaml", &GOOD.replace("on-call", "on-cal")).await;
        assert_eq!(refused, ["did not take up the change of `services.yaml`: it has a problem"]);
        assert_eq!(repository(&case).as_deref(), Some("acme/checkout"), "the one before stays");
        let good = case.edit("services.yaml", &GOOD.replace("acme/", "acme-shop/")).await;
        assert_eq!(good, ["took up the change of `services.yaml`"]);
        assert_eq!(repository(&case).as_deref(), Some("acme-shop/checkout"));
    }
}
