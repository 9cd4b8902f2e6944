//! What stories over every shipped runbook need to know of each: the alert that sets it off, and the trouble it mends.

use std::fs;

use firewarden::domain::runbooks::{self, Plan};

use super::{Config, World, config};

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
    /// How often it changes the service.
    pub(crate) changes: usize,
    /// Whether it stands beside the shipped ones, for what the language has that none of them needs.
    is_extra: bool,
}

/// The runbook of the stories that has branches, a list and last steps.
const LANES: &str = include_str!("lanes.yaml");

impl Shipped {
    /// Every runbook of the folder, and one of the stories with what none of them has.
    ///
    /// # Panics
    /// When one has no entry here: it would be shipped without ever having been killed, failed or undone.
    pub(crate) fn all() -> Vec<Self> {
        let mut files: Vec<_> =
            fs::read_dir(config::shipped_runbooks()).unwrap().map(|it| it.unwrap().path()).collect();
        files.retain(|file| runbooks::tested(file).is_none());
        files.sort();
        let lanes = Self {
            plan: runbooks::read("lanes.yaml".as_ref(), LANES.as_bytes()).unwrap_or_else(|why| panic!("{why:?}")),
            alert: "CheckoutLanes",
            text: LANES.to_owned(),
            bad: None,
            changes: 3,
            is_extra: true,
        };
        let shipped = files
            .iter()
            .map(|file| {
                let text = fs::read_to_string(file).unwrap();
                let plan = runbooks::read(file, text.as_bytes()).unwrap_or_else(|why| panic!("{why:?}"));
                let (alert, bad) = match plan.name.as_str() {
                    "rollback-service" => ("CheckoutErrorRate", Some("v43")),
                    "fail-over" => ("CheckoutRegionDown", None),
                    "flip-flag" => ("CheckoutFeatureBad", None),
                    "collect-diagnostics" => ("CheckoutUnclear", None),
                    "scale-service" => ("CheckoutSaturated", None),
                    "restart-service" => ("CheckoutStuck", None),
                    "kubernetes-roll-back" => ("KubernetesRolloutBad", None),
                    "kubernetes-scale-out" => ("KubernetesSaturated", None),
                    "github-roll-back" => ("CheckoutReleaseBad", None),
                    "kubernetes-scale-in" => ("KubernetesOversized", None),
                    "kubernetes-scale" => ("KubernetesWrongSize", None),
                    "kubernetes-restart" => ("KubernetesStuck", None),
                    "cordon-node" => ("KubernetesNodeBad", None),
                    "drain-node" => ("KubernetesNodeDying", None),
                    other => panic!("`{other}` has no story: say here which alert sets it off"),
                };
                let changes = match plan.name.as_str() {
                    // A node with two pods is cordoned, and both are evicted.
                    "drain-node" => 3,
                    _ => usize::from(plan.first_mutation().is_some()),
                };
                Self { plan, alert, text, bad, changes, is_extra: false }
            })
            .chain([lanes]);
        shipped.collect()
    }

    /// A configuration in which it is.
    pub(crate) fn config(&self) -> Config {
        if self.is_extra { self.beside(&self.text) } else { self.usual() }
    }

    /// The same, with one step as it is and as it fails.
    pub(crate) fn config_broken_at(&self, index: usize) -> Config {
        let (whole, broken) = self.broken_at(index);
        if self.is_extra {
            self.beside(&self.text.replace(&whole, &broken))
        } else {
            self.usual().edit(whole.leak(), broken.leak())
        }
    }

    fn usual(&self) -> Config {
        let name: &'static str = self.plan.name.clone().leak();
        let config = Config::default().shipped(vec![name].leak());
        if self.is_on_github() { config.on_github() } else { config }
    }

    fn is_on_github(&self) -> bool {
        self.plan.steps.iter().any(|step| step.action.starts_with("github."))
    }

    fn beside(&self, text: &str) -> Config {
        let text = text.replace(config::SHIPPED_API, "API").leak();
        Config::default().shipped(&[]).runbook(text).route(self.plan.name.clone().leak())
    }

    /// The text of a step, and the same so that it fails: a request has nobody to answer it, a cluster is none that there
    /// is, for any other action there is no telling whether it is to be done. What would be waited for long is given up
    /// soon.
    fn broken_at(&self, index: usize) -> (String, String) {
        const BEGINS: &str = "\n  - name: ";
        let whole = self.text.split(BEGINS).nth(index + 1).unwrap();
        let step = &self.plan.steps[index];
        let broken = if step.action == "http" || step.within().iter().any(|step| step.action == "http") {
            whole.replacen("{{ api }}", "http://127.0.0.1:1", 1)
        } else if step.action.starts_with("kubernetes.") && whole.contains("\n    with: { ") {
            whole.replacen("\n    with: { ", "\n    with: { cluster: nowhere, ", 1)
        } else if step.action.starts_with("kubernetes.") {
            whole.replacen("\n    with:\n", "\n    with:\n      cluster: nowhere\n", 1)
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

    /// Brings about the trouble that it is for, before the bot is started.
    pub(crate) async fn trouble(&self, world: &World) {
        if self.is_on_github() {
            world
                .has_deployed(&["41aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "42bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"])
                .await;
        }
        if let Some(version) = self.bad {
            world.service.checkout.release(version, true);
        }
    }
}
