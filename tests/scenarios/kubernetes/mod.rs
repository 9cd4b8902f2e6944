//! What steps do to Kubernetes: each action does what it says once, refuses what it should, and is refused where another
//! worker has followed.
//!
//! Where `FIREWARDEN_KUBECONFIG` names a real API server, the stories that need no faults are told on it.

mod cordon;
mod doubt;
mod drain;
mod rollout;
mod scale;

use std::time::Duration;

use crate::world::{Config, World, kubernetes::Cluster};

pub(super) const MINUTE: Duration = Duration::from_mins(1);

/// A shop that runs in a cluster, at noon of a Monday.
pub(super) struct Shop {
    pub(super) cluster: Cluster,
    pub(super) world: World,
}

impl Shop {
    /// With these runbooks; `NAMESPACE` in them stands for the story's own.
    pub(super) async fn opens(runbooks: &[&str]) -> Self {
        let cluster = Cluster::start().await;
        cluster.deploys("checkout", "registry.example/checkout:v41", 3).await;
        cluster.deploys("checkout", "registry.example/checkout:v42", 3).await;
        let config = Config::default().cluster(&cluster.config());
        let config = runbooks.iter().fold(config, |config, text| {
            let text = text.replace("NAMESPACE", cluster.namespace());
            config.runbook(text.leak())
        });
        Self { world: World::at_noon_with(config).await, cluster }
    }

    /// Ana runs it and it comes to stand so; the run's card.
    pub(super) async fn runs(&self, number: u32, runbook: &str, inputs: &str, comes_to: &str) -> String {
        let inputs = if inputs.is_empty() { String::new() } else { format!(" inputs:{inputs}") };
        self.world.does("ana", &format!("/runbook run runbook:{runbook}{inputs}")).await;
        self.world.run_comes_to(&format!("RUN-{number}"), comes_to, 5 * MINUTE).await
    }
}
