//! Runs and the ledger: what a rollback asks of it, what it writes into it, and what the bot does not deploy.

use std::time::Duration;

use serde_json::json;

use super::bench::{Bench, rules};
use crate::{
    domain::{
        deployments::{About, Delivery, Report, Seen, State},
        routes::{Pick, Route},
        runs::{Reason, RunState},
        timeline::Chain,
    },
    engine::{Input, Rules, deployments::acts, runs::Outcome},
    store::deployments,
};

const MINUTE: Duration = Duration::from_mins(1);

/// As a team would write it, but that it deploys by a request.
const ROLLBACK: &str = r#"
name: rollback-checkout
mode: ask
trigger: { alert: { match: ['alertname="Errors"'] }, chat: {} }
inputs: { service: { type: service, const: checkout } }
target: { service: "{{ service }}", environment: production }
approval:
  before: hold the bad one
  by: ["role:on-call"]
  binds: [live.sha, good.sha]
  expires: 15m
steps:
  - name: what is live
    action: deployments.live
    output: live
  - name: what was good
    action: deployments.last_good
    with: { before: "{{ live.sha }}" }
    output: good
  - name: would it help
    action: assert
    with:
      - { that: "live.age < duration('2h')", else: no_recent_change }
      - { that: "good.reversible", else: crosses_a_migration }
  - name: hold the bad one
    action: deployments.ban
    with: { sha: "{{ live.sha }}" }
    repeat: safe
    undo: { action: deployments.unban, with: { sha: "{{ live.sha }}" } }
  - name: roll back
    action: http
    with: { method: POST, url: "http://service/deployments", body: { version: "{{ good.sha }}", expect_live: OLD } }
    timeout: 1m
    irreversible: true
"#;

fn seen(sha: &str, migration: Option<bool>) -> Seen {
    Seen {
        about: About::Service("checkout".to_owned()),
        environment: "production".to_owned(),
        sha: sha.to_owned(),
        version: None,
        state: State::Succeeded,
        at: None,
        by: None,
        url: None,
        migration,
        external: None,
        key: None,
    }
}

impl Bench {
    async fn deploys(&self, sha: &str, migration: Option<bool>) {
        self.hears(seen(sha, migration)).await;
    }

    async fn hears(&self, seen: Seen) {
        let report = Some(Report::Deployment(Box::new(seen)));
        let delivery = Delivery { source: "ci".to_owned(), source_key: None, report };
        self.trial.engine.submit(Input::Deployment(delivery)).await.unwrap();
    }

    async fn is_banned(&self, sha: &str) -> bool {
        let mut reader = self.trial.engine.read().await.unwrap();
        let bans = deployments::bans(&mut reader, "checkout", "production").await.unwrap();
        bans.iter().any(|ban| ban.sha == sha)
    }
}

/// v41 has baked, v42 went live ten minutes ago.
async fn two_versions(text: &str, migration: Option<bool>) -> Bench {
    let rules = rules(&[text]);
    let default_route = Route { service: Some(Pick::Fixed("checkout".to_owned())), ..rules.default_route };
    let mut bench = Bench::new(Rules { default_route, ..rules }).await;
    bench.deploys("v41", Some(false)).await;
    bench.pass(60 * MINUTE).await;
    bench.deploys("v42", migration).await;
    bench.pass(10 * MINUTE).await;
    bench
}

#[tokio::test]
async fn a_rollback_asks_the_ledger_and_bans_what_it_leaves() {
    let live = ROLLBACK.replace("OLD", "bad");
    let mut bench = two_versions(&live, Some(false)).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.stands(RunState::Approval, None).await;
    let read = bench.journal(1).await;
    let good = &read.0[1].output;
    assert_eq!((&good["sha"], &good["reversible"], &good["fate"]), (&json!("v41"), &json!(true), &json!("good")));
    assert_eq!(read.0[0].output["age"], "0h10m0s");
    assert_eq!(read.0[0].output["fate"], "had_incident", "the incident opened while it baked");
    assert!(!bench.is_banned("v42").await);
    bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    assert!(bench.is_banned("v42").await);
    assert_eq!(bench.world.service().effects.len(), 1);
    let told = bench.entries(Chain::Incident(bench.incident().await.id)).await;
    assert!(told.iter().any(|entry| entry.draft.text.starts_with("banned `v42` of `checkout`")), "{told:?}");
}

#[tokio::test]
async fn undoing_a_rollback_lifts_its_own_ban_and_no_other() {
    for (is_theirs, stands) in [(false, false), (true, true)] {
        let mut bench = two_versions(&ROLLBACK.replace("OLD", "another"), Some(false)).await;
        if is_theirs {
            let ban = "/version ban service:checkout environment:production sha:v42 reason:leaks";
            bench.says("bo", ban).await.unwrap();
        }
        bench.alert("Errors", true).await;
        bench.work().await;
        bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
        bench.work().await;
        bench.stands(RunState::Held, Some(Reason::StepFailed)).await;
        assert!(bench.is_banned("v42").await);
        bench.says("ana", "/runbook answer RUN-1 undo").await.unwrap();
        bench.work().await;
        bench.stands(RunState::Undone, None).await;
        assert_eq!(bench.is_banned("v42").await, stands, "banned by somebody else: {is_theirs}");
    }
}

#[tokio::test]
async fn what_the_ledger_does_not_know_stops_the_run_with_a_reason() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.stands(RunState::Failed, None).await;
    assert_eq!(bench.run(1).await.reason, Some(Reason::StepFailed));
    let why = bench.journal(1).await.0[0].error.clone().unwrap();
    assert!(why.starts_with("no_deployment_known: "), "{why}");

    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.deploys("v42", Some(false)).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    let why = bench.journal(1).await.0[1].error.clone().unwrap();
    assert!(why.starts_with("no_last_good: "), "{why}");
}

#[tokio::test]
async fn a_migration_that_nobody_ruled_out_counts_as_one() {
    for migration in [None, Some(true)] {
        let mut bench = two_versions(ROLLBACK, migration).await;
        bench.alert("Errors", true).await;
        bench.work().await;
        bench.stands(RunState::Refused, None).await;
        assert_eq!(bench.run(1).await.reason, Some(Reason::Assertion));
        let why = bench.journal(1).await.0[2].error.clone().unwrap();
        assert!(why.starts_with("crosses_a_migration: "), "{why}");
    }
}

/// The same, but it deploys at GitHub.
fn at_github(sha: &str) -> String {
    let (before, _) = ROLLBACK.split_once("  - name: roll back").unwrap();
    format!(
        "{before}  - name: roll back
    action: github.deploy
    with: {{ repo: Acme/checkout, environment: production, sha: \"{{{{ {sha} }}}}\" }}
    timeout: 1m
    irreversible: true
"
    )
}

/// GitHub's webhook and the bot's own step tell of one deployment, which is in the ledger as soon as the step is done.
#[tokio::test]
async fn the_deployment_of_a_run_is_the_one_that_the_webhook_tells_of() {
    let mut bench = two_versions(&at_github("good.sha"), Some(false)).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
    bench.said = Some(Outcome::Done(
        json!({ "id": 77, "sha": "v41", "environment": "production", "repo": "Acme/checkout", "state": "success" }),
    ));
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    let external = acts::external("acme/checkout", "77");
    for is_told_of in [false, true] {
        if is_told_of {
            bench.hears(Seen { external: Some(external.clone()), ..seen("v41", None) }).await;
        }
        let mut reader = bench.trial.engine.read().await.unwrap();
        let found = deployments::by_external(&mut reader, &external, "checkout").await.unwrap().unwrap();
        assert_eq!((found.run.map(|run| run.0), found.by.as_deref()), (Some(1), Some("RUN-1")));
        let ledger = deployments::ledger(&mut reader, "checkout", "production").await.unwrap();
        assert_eq!(ledger.deployments().len(), 3);
        assert_eq!(ledger.live().unwrap().id, found.id);
        assert_eq!(ledger.deployments()[1].rolled_back_by, Some(found.id));
    }
}

#[tokio::test]
async fn the_bot_does_not_deploy_what_is_banned() {
    let mut bench = two_versions(&at_github("live.sha"), Some(false)).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Held, Some(Reason::BannedVersion)).await;
}
