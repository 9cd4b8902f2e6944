//! Takes up edits of the configuration and the runbooks while the bot runs.
//!
//! A bad edit never takes the place of a good one: the rules before it stay in force, and people are told what is wrong.

use std::{
    collections::BTreeMap,
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
    engine::{Engine, Input, operations::Edit},
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What is known of a file without reading it.
type Stamp = Option<(SystemTime, u64)>;

/// Tells people what is wrong with the files that the bot started with.
pub async fn tell_start(engine: &Engine, ruleset: &Ruleset) {
    if !ruleset.problems.is_empty() {
        let mut files: Vec<String> =
            ruleset.problems.iter().map(|problem| problem.file.display().to_string()).collect();
        files.dedup();
        tell(engine, Edit { files, problems: words(&ruleset.problems), at_restart: Vec::new() }).await;
    }
}

/// Looks for edits until it is told to stop.
pub async fn work(config: Config, ruleset: Ruleset, (engine, gate): (Arc<Engine>, Arc<Gate>), stop: CancellationToken) {
    let seen = stamps(&config);
    let mut watch = Watch { config, ruleset, engine, gate, seen };
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
        let mut files: Vec<String> =
            found.keys().chain(self.seen.keys()).filter(differs).map(|path| path.display().to_string()).collect();
        files.sort();
        files.dedup();
        self.seen = found;
        let mut edit = Edit { files, ..Edit::default() };
        match Config::load(&self.config.path, Look::ForSecrets) {
            Ok(config) => {
                edit.at_restart = at_restart(&self.config, &config);
                self.gate.adopt(config.keys());
                self.ruleset = Ruleset::load(&config, &self.ruleset, Look::ForSecrets);
                edit.problems = words(&self.ruleset.problems);
                self.engine.adopt(self.ruleset.rules(&config));
                self.config = config;
            }
            Err(problems) => edit.problems = words(&problems),
        }
        tell(&self.engine, edit).await;
    }
}

async fn tell(engine: &Engine, edit: Edit) {
    let files = edit.files.join(", ");
    if edit.problems.is_empty() {
        tracing::info!(files, "an edit was taken up");
    }
    for problem in &edit.problems {
        tracing::warn!(problem, "an edit was not taken up");
    }
    if let Err(fault) = engine.submit(Input::Edited(edit)).await {
        tracing::error!(%fault, files, "nobody could be told of an edit");
    }
}

fn words(problems: &[Diagnostic]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
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
        differs("[emergency]", |config| serde_json::to_string(&config.file.emergency).ok()),
        differs("[heartbeat]", |config| serde_json::to_string(&config.file.heartbeat).ok()),
        differs("[log]", |config| serde_json::to_string(&config.file.log).ok()),
    ];
    sections.into_iter().flatten().collect()
}

/// The files that are watched, as they are.
fn stamps(config: &Config) -> BTreeMap<PathBuf, Stamp> {
    let mut files = vec![config.path.clone()];
    files.extend(ruleset::files(&config.runbooks_directory()));
    files.extend(reviews::files(config));
    files.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}

fn stamp(path: &Path) -> Stamp {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}
