//! What is wrong with `[[freezes]]`, `[limits]` and `[budgets]`.

use std::{collections::BTreeSet, fmt::Display};

use super::check::Check;
use crate::domain::{
    runbooks::{actions, words},
    runs::budgets::{Budget, DEFAULT},
};

impl Check<'_> {
    pub(super) fn guards(&mut self) {
        let file = &self.config.file;
        let mut names = BTreeSet::new();
        for (index, window) in file.freezes.iter().enumerate() {
            if !names.insert(&window.name) {
                let what = format!("there are two windows `{}`", window.name);
                self.add(&[&"freezes", &index, &"name"], what, "give each a name of its own");
            }
            for what in window.problems() {
                self.add(&[&"freezes", &index], what, "see `firewarden.example.toml`");
            }
        }
        for (name, limit) in &file.limits {
            let path: [&dyn Display; 2] = [&"limits", name];
            self.system(&path, name);
            if *limit == 0 {
                self.add(&path, "nothing could ever be done there", "give 1 or more; `/freeze` and `/halt` stop runs");
            }
        }
        for (name, budget) in &file.budgets {
            let path: [&dyn Display; 2] = [&"budgets", name];
            if *budget == Budget::default() {
                self.add(&path, "the budget limits nothing", "give `steps`, `pods` or `percent`");
            }
            let services = self.config.rules();
            let known = services.services();
            if name != DEFAULT && !known.is_empty() && !known.contains(name.as_str()) {
                let hint = match words::nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "name a service of the routes, or `default` for all others".to_owned(),
                };
                self.add(&path, format!("`{name}` is not a service of the configuration"), hint);
            }
        }
    }

    /// A limit of a system that no action reaches would be without effect.
    fn system(&mut self, path: &[&dyn Display], name: &str) {
        if name.strip_prefix("http:").is_some_and(|host| !host.is_empty() && !host.contains('/')) {
            return;
        }
        let known: BTreeSet<&str> =
            actions::ALL.iter().filter_map(|spec| spec.name.split_once('.')).map(|it| it.0).collect();
        if name == "shell" || known.contains(name) {
            return;
        }
        let known: Vec<&str> = known.into_iter().chain(["shell"]).collect();
        let hint = match words::nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write `http:host`, or one of {}", words::listed(&known)),
        };
        self.add(path, format!("`{name}` is not a system that actions reach"), hint);
    }
}
