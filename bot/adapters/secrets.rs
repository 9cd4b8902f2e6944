//! Finds secrets in the environment or in files, and remembers which were found so that outputs can be cleared of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use secrecy::{ExposeSecret, SecretString};

use crate::engine::ports::Secrets;

/// What the names of the variables start with.
pub const PREFIX: &str = "FIREWARDEN_SECRET_";
/// Shorter secrets are not searched for in outputs: they would be found in every other word.
const SHORTEST: usize = 6;

/// The secrets of the environment and of one folder.
#[derive(Default)]
pub struct LocalSecrets {
    directory: Option<PathBuf>,
    found: Mutex<BTreeMap<String, SecretString>>,
}

impl LocalSecrets {
    /// Secrets of the environment, and of this folder: one file for each, named as the secret is.
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, found: Mutex::default() }
    }

    /// The secret in this variable of the environment.
    pub fn in_variable(&self, name: &str) -> Result<SecretString, String> {
        match std::env::var(name) {
            Ok(value) if !value.trim().is_empty() => Ok(self.keep(format!("env {name}"), &value)),
            Ok(_) => Err(format!("the variable `{name}` is empty")),
            Err(std::env::VarError::NotPresent) => Err(format!("the variable `{name}` is not set")),
            Err(std::env::VarError::NotUnicode(_)) => Err(format!("the variable `{name}` is not text")),
        }
    }

    /// The secret in this file; an end of line at its end does not count.
    pub fn in_file(&self, path: &Path) -> Result<SecretString, String> {
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => Ok(self.keep(format!("file {}", path.display()), &text)),
            Ok(_) => Err(format!("the file `{}` is empty", path.display())),
            Err(error) => Err(format!("the file `{}` cannot be read: {error}", path.display())),
        }
    }

    fn keep(&self, name: String, text: &str) -> SecretString {
        let secret = SecretString::from(text.trim_end_matches(['\r', '\n']));
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(name, secret.clone());
        secret
    }
}

impl Secrets for LocalSecrets {
    fn find(&self, name: &str) -> Result<SecretString, String> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        if name.is_empty() || name.len() > 100 || !name.chars().all(is_plain) {
            return Err(format!("`{name}` is not the name of a secret: letters, digits, `-` and `_`"));
        }
        let variable = format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"));
        let missing = match self.in_variable(&variable) {
            Ok(secret) => return Ok(secret),
            Err(missing) => missing,
        };
        let Some(directory) = &self.directory else {
            return Err(format!("there is no secret `{name}`: {missing}, and `secrets.directory` is not set"));
        };
        self.in_file(&directory.join(name)).map_err(|why| format!("there is no secret `{name}`: {missing}, and {why}"))
    }

    fn known(&self) -> Vec<SecretString> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.values().filter(|secret| secret.expose_secret().len() >= SHORTEST).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_its_file_and_remembered() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("deploy-token"), "s3cret-value\n").unwrap();
        let secrets = LocalSecrets::new(Some(folder.path().to_owned()));
        assert_eq!(secrets.find("deploy-token").unwrap().expose_secret(), "s3cret-value");
        assert_eq!(secrets.known().len(), 1);
    }

    #[test]
    fn a_missing_secret_says_where_it_was_looked_for() {
        let missing = LocalSecrets::new(None).find("deploy-token").unwrap_err();
        assert_eq!(
            missing,
            "there is no secret `deploy-token`: the variable `FIREWARDEN_SECRET_DEPLOY_TOKEN` is not set, \
             and `secrets.directory` is not set"
        );
        for name in ["../etc/passwd", "", "a b"] {
            assert!(LocalSecrets::new(None).find(name).unwrap_err().contains("is not the name of a secret"));
        }
    }
}
