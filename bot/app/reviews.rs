//! The templates of reviews: those that the program brings, with the files of the configured folder in their place.

use std::path::{Path, PathBuf};

use super::config::Config;
use crate::domain::{diagnostic::Diagnostic, reviews::Templates};

/// The template files of the configuration, by name.
pub fn files(config: &Config) -> Vec<PathBuf> {
    config.templates_directory().and_then(|folder| listed(&folder).ok()).unwrap_or_default()
}

/// The templates in force.
///
/// # Errors
/// Every problem of the files, and of the reviews that they make.
pub fn templates(config: &Config) -> Result<Templates, Vec<Diagnostic>> {
    let Some(folder) = config.templates_directory() else { return Ok(Templates::default()) };
    let unread = |path: &Path, error: std::io::Error| Diagnostic::new(path, format!("it cannot be read: {error}"));
    let files = listed(&folder).map_err(|error| {
        vec![unread(&folder, error).hint(format!("`[reviews] templates` in `{}` names it", config.path.display()))]
    })?;
    let mut texts = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match std::fs::read_to_string(&file) {
            Ok(text) => texts.push((file, text)),
            Err(error) => problems.push(unread(&file, error)),
        }
    }
    if problems.is_empty() { Templates::with(&texts) } else { Err(problems) }
}

fn listed(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !is_hidden && path.extension().is_some_and(|ending| ending == "hbs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::Look;

    #[test]
    fn a_folder_takes_the_place_of_single_templates_and_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[reviews]\ntemplates = \"mine\"\n";
        let config = Config::read(&folder.path().join("firewarden.toml"), text, Look::WithoutSecrets).unwrap();
        let missing = templates(&config).unwrap_err();
        assert!(missing[0].to_string().contains("it cannot be read"), "{}", missing[0]);

        let mine = folder.path().join("mine");
        std::fs::create_dir(&mine).unwrap();
        std::fs::write(mine.join("lessons.hbs"), "## Lessons\n\n> What did it teach?\n").unwrap();
        std::fs::write(mine.join("README.md"), "Not a template").unwrap();
        assert_eq!(files(&config), [mine.join("lessons.hbs")]);
        assert!(templates(&config).is_ok());

        std::fs::write(mine.join("header.hbs"), "## Header\n\n- {{header.sevrity}}\n").unwrap();
        let problem = templates(&config).unwrap_err()[0].to_string();
        let said = "mine/header.hbs:3:3: a review has no `header.sevrity`\n  hint: did you mean `header.severity`?";
        assert!(problem.ends_with(said), "{problem}");
    }
}
