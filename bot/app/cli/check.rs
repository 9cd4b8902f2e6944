//! `firewarden check`: every problem of every file, before anything is run by them.

use std::path::{Path, PathBuf};

use super::{Failure, say};
use crate::app::config::{Config, Look};

/// Checks the configuration and all that it names.
pub(super) fn everything(path: &Path, look: Look) -> Result<(), Failure> {
    let config = Config::load(path, look)?;
    let counts = [
        (config.file.sources.len(), "source"),
        (config.file.routes.len(), "route"),
        (config.file.people.len(), "person"),
    ];
    let counts: Vec<String> = counts.iter().map(|(count, what)| format!("{what}: {count}")).collect();
    say(&format!("{} is in order ({})", path.display(), counts.join(", ")));
    Ok(())
}

/// Checks single runbooks.
pub(super) fn runbooks(files: &[PathBuf]) -> Result<(), Failure> {
    for file in files {
        std::fs::read(file).map_err(|error| Failure::Refused(format!("{}: {error}", file.display())))?;
    }
    Ok(())
}
