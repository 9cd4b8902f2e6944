//! The configuration: read from `firewarden.toml`, checked as a whole, and turned into rules and keys.
//!
//! A configuration that is in use is one that was checked: whoever holds it need not look again. Every problem says where
//! in the file it is and how to mend it.

pub mod check;
mod clusters;
pub mod file;
pub mod github;
mod guards;
pub mod metrics;
pub mod places;
mod secrets;
mod settle;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::SecretString;

use self::{
    clusters::ClusterSection,
    file::{File, RunbooksSection, SecretList, SecretRef},
};
use crate::{
    adapters::{kubernetes::Access, secrets::LocalSecrets},
    app::halt,
    domain::{diagnostic::Diagnostic, runbooks::words},
    store::{Address, Fault, FaultKind, Server},
};

/// A configuration that was checked.
#[derive(Clone)]
pub struct Config {
    /// The file, as the person named it.
    pub path: PathBuf,
    /// What it says.
    pub file: File,
    /// Where secrets are found.
    pub secrets: Arc<LocalSecrets>,
    text: Arc<str>,
}

/// Whether the secrets that a configuration names are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Each must be there.
    ForSecrets,
    /// They need not be there: the configuration is checked on another machine than it is for.
    WithoutSecrets,
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// Every problem that was found. A file that is no TOML, or has a setting of a wrong shape, has only that one.
    pub fn load(path: &Path, look: Look) -> Result<Self, Vec<Diagnostic>> {
        Self::in_order(Self::examine(path, look)?)
    }

    /// Reads the file, with whatever is wrong with it: to say as well what is wrong with the files that it names.
    ///
    /// # Errors
    /// The one problem for which it is not a configuration at all.
    pub fn examine(path: &Path, look: Look) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let problem = Diagnostic::new(path, format!("it cannot be read: {error}"));
            vec![problem.hint("copy `firewarden.example.toml` to begin with, or name another file with `--config`")]
        })?;
        Self::checked(path, &text, look)
    }

    /// Checks a text as if it stood in this file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read(path: &Path, text: &str, look: Look) -> Result<Self, Vec<Diagnostic>> {
        Self::in_order(Self::checked(path, text, look)?)
    }

    fn in_order((config, problems): (Self, Vec<Diagnostic>)) -> Result<Self, Vec<Diagnostic>> {
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    fn checked(path: &Path, text: &str, look: Look) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let file: File = toml::from_str(text).map_err(|error| vec![unreadable(path, text, &error)])?;
        let directory = file.secrets.directory.as_ref().map(|directory| beside(path, directory));
        let config =
            Self { path: path.to_owned(), file, secrets: Arc::new(LocalSecrets::new(directory)), text: text.into() };
        let mut problems = check::problems(&config, look);
        problems.sort_by_key(|problem| problem.place);
        Ok((config, problems))
    }

    /// A path of the configuration: a relative one begins at the folder that the configuration is in.
    pub fn beside(&self, path: &Path) -> PathBuf {
        beside(&self.path, path)
    }

    /// Where everything is kept.
    ///
    /// # Errors
    /// When the URL of a server is missing or is none.
    pub fn store(&self) -> Result<Address, Fault> {
        match &self.file.store.url {
            None => Ok(Address::File(self.beside(&self.file.store.path))),
            Some(url) => {
                let url = self.secret(url).map_err(|why| Fault::new(FaultKind::Denied, why))?;
                Server::read(&url).map(Address::Server)
            }
        }
    }

    /// The halt file: beside the store's file, or beside the configuration where a server keeps the store.
    pub fn halt_file(&self) -> PathBuf {
        halt::file_of(&self.beside(self.file.store.halted_as()))
    }

    /// The folder with the runbooks.
    pub fn runbooks_directory(&self) -> PathBuf {
        self.beside(&self.file.runbooks.directory)
    }

    /// Whether the folder with the runbooks is the one that is taken when none is named.
    pub fn has_usual_runbooks_directory(&self) -> bool {
        self.file.runbooks.directory == RunbooksSection::default().directory
    }

    /// The file with the catalog of services, if one is named.
    pub fn services_file(&self) -> Option<PathBuf> {
        self.file.services.file.as_ref().map(|file| self.beside(file))
    }

    /// The folder with templates of reviews, if one is named.
    pub fn templates_directory(&self) -> Option<PathBuf> {
        self.file.reviews.templates.as_ref().map(|folder| self.beside(folder))
    }

    /// How a cluster of Kubernetes is reached.
    pub fn access(&self, section: &ClusterSection) -> Access {
        match &section.kubeconfig {
            Some(path) => Access::File { path: self.beside(path), context: section.context.clone() },
            None => Access::Inside,
        }
    }

    /// The secret that is meant.
    ///
    /// # Errors
    /// Says that it is missing and where it was looked for.
    pub fn secret(&self, reference: &SecretRef) -> Result<SecretString, String> {
        match reference {
            SecretRef::Env { env } => self.secrets.in_variable(env),
            SecretRef::File { file } => self.secrets.in_file(&self.beside(file)),
        }
    }

    /// The files that hold secrets of people and sources: another token holds as soon as it stands there.
    pub fn token_files(&self) -> Vec<PathBuf> {
        let file = &self.file;
        let people = file.people.values().filter_map(|person| person.token.as_ref());
        let sources = file.sources.iter().map(|source| source.auth.secrets());
        let lists = people.chain(sources).chain(&file.web.metrics_token);
        lists.flat_map(SecretList::all).filter_map(|secret| self.file_of(secret)).collect()
    }

    /// The files that hold secrets which are read only at the start, each with the section that names it.
    pub fn secret_files_at_start(&self) -> Vec<(&'static str, PathBuf)> {
        let discord = self.file.discord.as_ref().map(|discord| ("[discord]", &discord.token));
        let github = self.file.github.as_ref().and_then(|it| Some(("[github]", it.secret()?)));
        let emergency = self.file.emergency.as_ref().and_then(|it| Some(("[emergency]", it.token.as_ref()?)));
        let traces = self.file.traces.iter().flat_map(|traces| traces.headers.values());
        let servers = self.file.prometheus.secrets().map(|secret| ("[prometheus]", secret));
        let traces = traces.map(|secret| ("[traces]", secret));
        let all = discord.into_iter().chain(github).chain(emergency).chain(servers).chain(traces);
        all.filter_map(|(section, secret)| Some((section, self.file_of(secret)?))).collect()
    }

    /// The files in the folder with the secrets of runbooks, which are read when a step needs them.
    pub fn secrets_in_directory(&self) -> Vec<PathBuf> {
        let Some(directory) = &self.file.secrets.directory else { return Vec::new() };
        let entries = std::fs::read_dir(self.beside(directory)).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect()
    }

    fn file_of(&self, secret: &SecretRef) -> Option<PathBuf> {
        match secret {
            SecretRef::File { file } => Some(self.beside(file)),
            SecretRef::Env { .. } => None,
        }
    }

    /// Those of the secrets that are there.
    fn secrets_of(&self, list: &SecretList) -> Vec<SecretString> {
        list.all().iter().filter_map(|reference| self.secret(reference).ok()).collect()
    }
}

fn beside(config: &Path, path: &Path) -> PathBuf {
    config.parent().unwrap_or(Path::new("")).join(path)
}

/// What the reader of TOML says, in words for the person who wrote the file.
fn unreadable(path: &Path, text: &str, error: &toml::de::Error) -> Diagnostic {
    let said = error.message().lines().next().unwrap_or("it cannot be read");
    let quoted: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    let problem = match (said.split_once(' '), quoted.as_slice()) {
        (Some(("unknown", rest)), [unknown, known @ ..]) => {
            let what = if rest.starts_with("variant") {
                format!("`{unknown}` is not one of the words that can stand here")
            } else {
                format!("there is no setting `{unknown}` here")
            };
            let hint = match words::nearest(unknown, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "take it out".to_owned(),
                None => format!("there is {}", words::listed(known)),
            };
            Diagnostic::new(path, what).hint(hint)
        }
        (Some(("missing", _)), [missing]) => Diagnostic::new(path, format!("`{missing}` is missing")),
        _ => Diagnostic::new(path, said),
    };
    match error.span() {
        Some(span) => {
            let place = places::at(text, &span);
            problem.at(place.line, place.column)
        }
        None => problem,
    }
}

#[cfg(test)]
mod tests;
