//! `/rollback`, `/scale` and `/restart`: people see what is and what would be done before they start it, and what they
//! start is a runbook like any other.

use std::time::Duration;

use firewarden::domain::time::Time;
use serde_json::json;

use crate::world::{Config, World, alert};

const MINUTE: Duration = Duration::from_mins(1);

/// Noon, or before.
fn at(clock: &str) -> Time {
    format!("2026-11-23T{clock}Z").parse().unwrap()
}

/// A deployer says that a version went live.
async fn deployed(world: &World, version: &str, clock: &str, migration: Option<bool>) {
    let mut body = json!({
        "service": "checkout", "environment": "production", "sha": version, "state": "succeeded",
        "at": at(clock).to_string(), "by": "ben",
    });
    if let Some(migration) = migration {
        body["migration"] = json!(migration);
    }
    assert_eq!(world.deployer(&body).await.0, 202);
    world.sees("/deploys service:checkout environment:production", version).await;
}

/// Noon; a catalog that names neither a repository nor a workload, so that the runbooks for the service itself count.
async fn noon(config: Config) -> World {
    let world = World::prepare_at_noon(config.deployers()).await;
    world.writes_catalog();
    let catalog = world.folder().join("services.yaml");
    let text = std::fs::read_to_string(&catalog).unwrap();
    std::fs::write(
        &catalog,
        text.replace("workload: deployment/checkout, ", "").replace("    repository: acme/checkout\n", ""),
    )
    .unwrap();
    world.bot.start().await;
    world
}

/// The same in which v42 has been good and v43 is live and bad.
async fn bad_release() -> World {
    let world = noon(Config::default()).await;
    deployed(&world, "v42", "10:00:00", None).await;
    world.service.checkout.release("v43", true);
    deployed(&world, "v43", "11:55:00", Some(false)).await;
    world
}

/// What is live, where it would go back to and why, whether data stands in the way, who is asked, and what would refuse it:
/// all of it is there before anything is done. Then one button, and the run is one like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_says_what_it_would_do_before_it_does_anything() {
    let world = bad_release().await;
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    world.sees("/incident list", "INC-1").await;
    let before = world.sees("/incident timeline incident:INC-1", "v43").await;

    let seen = world.does("ana", "/rollback service:checkout").await;
    for part in [
        "Roll back checkout in production to `v42`?",
        "INC-1 opened before it had baked",
        "baked without an incident",
        "yes: no migration between",
        "`rollback-service` – Deploy the version before the live one",
        "`role:on-call`, before `roll back`; whoever starts it does not count",
        "no guard refuses it",
        "`roll back` – changes: `http`",
        "[Roll back to v42]",
    ] {
        assert!(seen.contains(part), "it does not say `{part}`:\n{seen}");
    }
    assert_eq!(world.run_state("RUN-1").await, "", "nothing was started");
    assert_eq!(world.sees("/incident timeline incident:INC-1", "v43").await, before, "and nothing was written");

    let told = world.does("ana", "/rollback service:checkout to:DEP-1 start:DEP-2").await;
    assert!(told.contains("Started RUN-1 of `rollback-service`"), "{told}");
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    let told = world.is_refused("ana", "/runbook answer question:APR-1 answer:approve").await;
    assert!(told.contains("whoever started the run does not count"), "{told}");
    let told = world.does("ben", "/rollback service:checkout").await;
    assert!(told.contains("refused: `RUN-1` is at work on the target") && !told.contains("[Roll back"), "{told}");
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!(world.service.checkout.live(), "v42");
    world.sees("/incident timeline incident:INC-1", "RUN-1").await;

    let told = world.does("ana", "/rollback service:checkout").await;
    assert!(told.contains("refused: `cooldown`") && !told.contains("[Roll back"), "{told}");
    let told = world.is_refused("ana", "/rollback service:checkout start:yes").await;
    assert!(told.contains("the reason is `cooldown`"), "{told}");
    world.finish().await;
}

/// Somebody deploys between the look and the press: what would be rolled back is not what was looked at.
#[tokio::test(flavor = "multi_thread")]
async fn a_button_starts_nothing_where_another_version_is_live_than_was_seen() {
    let world = bad_release().await;
    let seen = world.does("ana", "/rollback service:checkout to:v42").await;
    assert!(seen.contains("[Roll back to v42]"), "{seen}");
    world.service.checkout.release("v44", false);
    deployed(&world, "v44", "11:59:00", None).await;
    let told = world.is_refused("ana", "/rollback service:checkout environment:production to:DEP-1 start:DEP-2").await;
    assert!(told.contains("Cannot roll back `checkout`: `v44` is live by now, and it was `v43`"), "{told}");
    assert!(told.contains("hint: look again with `/rollback service:checkout`"), "{told}");
    assert_eq!((world.run_state("RUN-1").await, world.service.checkout.effects().len()), (String::new(), 0));
    world.finish().await;
}

/// Where there is no way back that anybody knows to be good, the bot does not guess: it says why and what to write.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_version_a_person_names_one() {
    let world = noon(Config::default()).await;
    world.service.checkout.release("v43", true);
    deployed(&world, "v43", "11:30:00", Some(true)).await;
    let told = world.is_refused("ana", "/rollback service:checkout").await;
    assert_eq!(
        told,
        "Cannot roll back `checkout`: no earlier successful deployment\n\
         hint: name a version, e.g. `/rollback service:checkout to:v40`"
    );
    deployed(&world, "v42", "11:20:00", None).await;
    let told = world.is_refused("ana", "/rollback service:checkout").await;
    assert!(told.starts_with("Cannot roll back `checkout`: no version before `v43` is known to be good: `v42` replaced before it had baked"), "{told}");
    assert!(told.contains("e.g. `/rollback service:checkout to:v42`"), "{told}");

    let seen = world.does("ana", "/rollback service:checkout to:v42").await;
    assert!(seen.contains("replaced before it had baked") && seen.contains("no: a migration between"), "{seen}");
    let told = world.is_refused("ana", "/rollback service:checkout to:v43").await;
    assert!(told.contains("`v43` is live"), "{told}");
    let seen = world.does("ana", "/rollback service:checkout to:v40").await;
    assert!(seen.contains("the ledger does not know it"), "{seen}");
    world.does("ana", "/rollback service:checkout to:v40 start:v43").await;
    let card = world.run_comes_to("RUN-1", "refused", MINUTE).await;
    assert!(card.contains("version_unknown"), "neither does the service: {card}");

    let ban = "/version ban service:checkout environment:production sha:v42 reason:\"it loses carts\"";
    world.does("ana", ban).await;
    let told = world.is_refused("ana", "/rollback service:checkout to:v42").await;
    assert!(told.contains("`v42` is banned since") && told.contains("`banned_version`"), "{told}");
    assert_eq!(world.service.checkout.effects().len(), 0);
    world.finish().await;
}

/// Scaling and restarting are the same: shown, started, approved by another, done, and told in the timeline.
#[tokio::test(flavor = "multi_thread")]
async fn scaling_and_restarting_are_runs_like_any_other() {
    let world = World::at_noon().await;
    let seen = world.does("ana", "/scale service:checkout replicas:5").await;
    assert!(seen.contains("Scale checkout in production to `5` replicas?") && seen.contains("[Scale to 5]"), "{seen}");
    assert!(seen.contains("`scale-service`"), "{seen}");
    world.does("ana", "/scale service:checkout replicas:5 start:yes").await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!(world.service.checkout.replicas(), 5);

    let seen = world.does("ana", "/restart service:checkout").await;
    assert!(seen.contains("Restart checkout in production?") && seen.contains("[Restart]"), "{seen}");
    world.does("ana", "/restart service:checkout start:yes").await;
    world.run_comes_to("RUN-2", "waiting for people", MINUTE).await;
    world.does("ben", "/runbook answer question:APR-2 answer:approve").await;
    world.run_comes_to("RUN-2", "done", 5 * MINUTE).await;
    assert_eq!(world.service.checkout.effects().len(), 2);

    let seen = world.does("ana", "/scale service:checkout replicas:40").await;
    assert!(
        seen.contains("refused: `bad_inputs`") && seen.contains("from 1 to 20") && !seen.contains("[Scale"),
        "{seen}"
    );
    let told = world.is_refused("ana", "/restart service:checkout start:now").await;
    assert!(told.contains("hint: write `start:yes`"), "{told}");
    let told = world.is_refused("ana", "/restart service:chekout").await;
    assert!(told.contains("There is no service `chekout`") && told.contains("did you mean `checkout`?"), "{told}");
    let told = world.is_refused("ana", "/restart service:checkout environment:staging").await;
    assert!(told.contains("Cannot restart `checkout` in `staging`: no runbook does it"), "{told}");
    world.does("ana", "/freeze service:checkout until:2h reason:\"the big sale\"").await;
    let seen = world.does("ana", "/rollback service:checkout").await;
    assert!(seen.contains("refused: `frozen`") && seen.contains("the big sale"), "{seen}");
    world.finish().await;
}

/// What scales, or rolls back, here and there.
const SEVERAL: &[&str] = &[
    "rollback-service",
    "scale-service",
    "restart-service",
    "github-roll-back",
    "kubernetes-roll-back",
    "kubernetes-scale",
    "kubernetes-restart",
];

/// What runs decides: a deployment of Kubernetes is rolled back, scaled and restarted there, unless the catalog names
/// another runbook; and where it could be several things, nobody guesses.
#[tokio::test(flavor = "multi_thread")]
async fn the_workload_decides_which_runbook_it_is_unless_the_catalog_does() {
    let world = World::prepare_at_noon(Config::default().shipped(SEVERAL).deployers().runbook(ELSEWHERE)).await;
    world.writes_catalog();
    world.bot.start().await;
    let seen = world.does("ana", "/scale service:checkout replicas:6 environment:production").await;
    assert!(seen.contains("`kubernetes-scale`"), "{seen}");
    world.does("ana", "/scale service:checkout replicas:6 environment:production start:yes").await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!(world.cluster.written().len(), 1);

    let told = world.is_refused("ana", "/restart service:checkout").await;
    assert!(told.contains("Cannot restart `checkout`: it is in `production`, `staging`"), "{told}");
    assert!(told.contains("hint: say where: `/restart service:checkout environment:production`"), "{told}");
    let seen = world.does("ana", "/restart service:checkout environment:staging").await;
    assert!(seen.contains("`restart-anything`") && seen.contains("Restart checkout in staging?"), "{seen}");

    let catalog = world.folder().join("services.yaml");
    let good = std::fs::read_to_string(&catalog).unwrap();
    let named =
        good.replace("    environments:", "    runbooks: { restart: restart-service, scale: gone }\n    environments:");
    std::fs::write(&catalog, named).unwrap();
    world.sees("/restart service:checkout environment:production", "`restart-service`").await;
    let told = world.is_refused("ana", "/scale service:checkout replicas:6 environment:production").await;
    assert!(told.contains("the catalog names `gone`, which does not do it on `checkout/production`"), "{told}");
    let (is_good, said) = world.program("ana", &["check"]).await;
    assert!(!is_good && said.contains("there is no runbook `gone`") && said.contains("services.yaml:"), "{said}");
    world.finish().await;
}

/// Restarts whatever it is told to, wherever.
const ELSEWHERE: &str = r#"
name: restart-anything
mode: auto
trigger: { chat: { command: restart } }
inputs:
  service: { type: service }
  environment: { type: text }
target: { service: "{{ service }}", environment: "{{ environment }}" }
steps:
  - name: restart it
    action: http
    with: { method: POST, url: "API/restart", body: {} }
    timeout: 1m
    repeat: safe
"#;
