//! GitHub and other deployers, as far as the bot can tell: what they post, and what they are answered.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use firewarden::{
    domain::{
        deployments::{Deployment, State},
        ids::DeploymentId,
        people::Actor,
        time::Time,
    },
    store::{self, Decision, Tx, deployments},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Config, World, http};

const WEBHOOK_SECRET: &str = "the-secret-of-the-webhook";
const DEPLOYER_TOKEN: &str = "the-token-of-the-deployer";
/// The catalog of these stories.
const SERVICES: &str = "services:\n  checkout:\n    description: Takes the money\n    owner: role:on-call\n    repository: acme/checkout\n    environments:\n      production: { workload: deployment/checkout, namespace: shop }\n      staging:\n";

/// Deployments that are noted in the ledger.
struct Deployed(Vec<Deployment>);

impl Decision for Deployed {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
        for deployment in &self.0 {
            deployments::add(tx, &mut deployment.clone()).await?;
        }
        Ok(())
    }
}

static DELIVERIES: AtomicU64 = AtomicU64::new(1);

impl Config {
    /// With a catalog of services, and sources that tell of deployments.
    pub(crate) fn deployers(self) -> Self {
        self.with(
            "[services]\nfile = \"services.yaml\"\n\n\
             [[sources]]\nname = \"github\"\nkind = \"github\"\nauth = { hmac = { secret = { file = \"secrets/webhook\" } } }\n\n\
             [[sources]]\nname = \"deployer\"\nkind = \"deployments\"\nauth = { bearer = { file = \"secrets/deployer\" } }\n",
        )
    }
}

impl World {
    /// Writes the catalog and the secrets of [`Config::deployers`], before the bot is started.
    pub(crate) fn writes_catalog(&self) {
        std::fs::write(self.folder().join("services.yaml"), SERVICES).unwrap();
        std::fs::write(self.folder().join("secrets/webhook"), WEBHOOK_SECRET).unwrap();
        std::fs::write(self.folder().join("secrets/deployer"), DEPLOYER_TOKEN).unwrap();
    }

    /// What was deployed before the bot is started, at GitHub and in the ledger: each for an hour, the last one for ten
    /// minutes, and without a migration.
    pub(crate) async fn has_deployed(&self, commits: &[&str]) {
        let github = self.code_host.as_ref().unwrap();
        let now = self.now();
        let hours = (0..commits.len()).rev().map(|ago| Duration::from_hours(ago as u64) + Duration::from_mins(10));
        let deployed = commits.iter().zip(hours).map(|(sha, ago)| {
            github.somebody_deploys(sha);
            Deployment {
                id: DeploymentId(0),
                service: "checkout".to_owned(),
                environment: "production".to_owned(),
                repository: Some("acme/checkout".to_owned()),
                sha: (*sha).to_owned(),
                version: None,
                by: Some("ben".to_owned()),
                source: Actor::Source("github".to_owned()),
                external: None,
                url: None,
                run: None,
                state: State::Succeeded,
                began_at: None,
                ended_at: Some(now - ago),
                bake: Duration::from_mins(30),
                migration: Some(false),
                incident: None,
                is_incident_declined: false,
                rolled_back_by: None,
                recorded_at: now - ago,
            }
        });
        let deployed = deployed.collect();
        let store = self.store().await;
        store.decide(Deployed(deployed)).await.unwrap();
        store.close().await;
    }

    /// GitHub delivers this event; under which name, and with which status it was answered.
    pub(crate) async fn github(&self, event: &str, body: &Value) -> (String, u16) {
        let delivery = format!("00000000-{}", DELIVERIES.fetch_add(1, Ordering::Relaxed));
        let status = self.delivers(event, body, (&delivery, WEBHOOK_SECRET)).await;
        (delivery, status)
    }

    /// The same under a name and with a secret.
    pub(crate) async fn delivers(&self, event: &str, body: &Value, (delivery, secret): (&str, &str)) -> u16 {
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let request = http().post(format!("{}/webhooks/github", self.url())).header("content-type", "application/json");
        let request = request.header("x-github-event", event).header("x-github-delivery", delivery);
        let status =
            request.header("x-hub-signature-256", signature).body(body).send().await.unwrap().status().as_u16();
        self.note(&format!("github delivers {event} as {delivery}: {status}"));
        status
    }

    /// Any other deployer says something; with which status and what it was answered.
    pub(crate) async fn deployer(&self, body: &Value) -> (u16, Value) {
        let request = http().post(format!("{}/webhooks/deployments", self.url())).bearer_auth(DEPLOYER_TOKEN);
        let answer = request.json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// What GitHub says of a deployment of `acme/checkout` to production: of its making, or of a status.
pub(crate) fn deployment(id: u64, (version, sha): (&str, &str), status: Option<&str>, at: Time) -> Value {
    let mut body = json!({
        "action": "created",
        "repository": { "full_name": "acme/checkout", "default_branch": "main" },
        "deployment": {
            "id": id, "sha": sha, "ref": "main", "environment": "production", "created_at": at.to_string(),
            "payload": { "version": version, "migration": false }, "creator": { "login": "ben" },
        },
    });
    if let Some(state) = status {
        body["deployment_status"] =
            json!({ "state": state, "created_at": at.to_string(), "target_url": "https://ci.example/runs/7" });
    }
    body
}
