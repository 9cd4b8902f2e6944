//! What stories over every shipped runbook need to know of each: the alert that sets it off, and the trouble it mends.

use std::fs;

use firewarden::domain::runbooks::{self, Plan};

use super::{World, config};

/// A shipped runbook, as a story tells it.
#[derive(Debug, Clone)]
pub(crate) struct Shipped {
    /// What it does.
    pub(crate) plan: Plan,
    /// The alert that sets it off.
    pub(crate) alert: &'static str,
    text: String,
    /// The version that is released before, and is bad.
    bad: Option<&'static str>,
}

impl Shipped {
    /// Every runbook of the folder.
    ///
    /// # Panics
    /// When one has no entry here: it would be shipped without ever having been killed, failed or undone.
    pub(crate) fn all() -> Vec<Self> {
        let mut files: Vec<_> =
            fs::read_dir(config::shipped_runbooks()).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort();
        files
            .iter()
            .map(|file| {
                let text = fs::read_to_string(file).unwrap();
                let plan = runbooks::read(file, text.as_bytes()).unwrap_or_else(|why| panic!("{why:?}"));
                let (alert, bad) = match plan.name.as_str() {
                    "rollback-service" => ("CheckoutErrorRate", Some("v43")),
                    "scale-service" => ("CheckoutSaturated", None),
                    "restart-service" => ("CheckoutStuck", None),
                    other => panic!("`{other}` has no story: say here which alert sets it off"),
                };
                Self { plan, alert, text, bad }
            })
            .collect()
    }

    /// The text of a step, and the same so that it fails: a request has nobody to answer it, for any other action there
    /// is no telling whether it is to be done. What would be waited for long is given up soon.
    pub(crate) fn broken_at(&self, index: usize) -> (String, String) {
        const BEGINS: &str = "\n  - name: ";
        let whole = self.text.split(BEGINS).nth(index + 1).unwrap();
        let step = &self.plan.steps[index];
        let broken = if step.action == "http" {
            whole.replacen("{{ api }}", "http://127.0.0.1:1", 1)
        } else {
            whole.replacen('\n', "\n    when: \"alert.labels.gone == 'x'\"\n", 1)
        };
        assert_ne!(whole, broken, "`{}` can be broken", step.name);
        let broken = if step.until.is_some() {
            broken.replace("timeout: 15m", "timeout: 1m").replace("timeout: 10m", "timeout: 1m")
        } else {
            broken
        };
        (whole.to_owned(), broken)
    }

    /// Brings about the trouble that it is for.
    pub(crate) fn trouble(&self, world: &World) {
        if let Some(version) = self.bad {
            world.service.checkout.release(version, true);
        }
    }
}
