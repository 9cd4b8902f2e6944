//! A failure after something was changed: the run stands, people are told, and they decide.

use std::time::Duration;

use crate::world::{Config, World, alert};

const MINUTE: Duration = Duration::from_mins(1);

/// Deploys, and fails as long as the service is ill.
const DEPLOY: &str = r#"
name: deploy-and-look
mode: auto
trigger: { chat: {} }
inputs:
  to: { type: text }
target: { service: checkout, environment: production }
steps:
  - name: what is live
    action: http
    with: { url: "API/version", extract: { version: response.json.live } }
    output: live
  - name: deploy
    action: http
    with:
      method: POST
      url: "API/deployments"
      body: { version: "{{ to }}", expect_live: "{{ live.version }}" }
      expect: [200, 201]
    timeout: 30s
    undo:
      action: http
      with:
        method: POST
        url: "API/deployments"
        body: { version: "{{ live.version }}", expect_live: "{{ to }}" }
        expect: [200, 201]
  - name: errors are gone
    action: http
    with: { url: "API/health", extract: { errors: response.json.error_ratio } }
    until: "health.errors < 0.01"
    every: 5s
    timeout: 20s
    output: health
  - name: restart
    action: http
    with: { method: POST, url: "API/restart", body: {} }
    timeout: 30s
    repeat: safe
"#;

/// A world in which the shipped rollback has been done and did not help.
async fn a_rollback_that_did_not_help() -> World {
    let world = World::at_noon_with(Config::default().edit("timeout: 15m", "timeout: 1m")).await;
    // What was live before the bad version is bad, too.
    world.service.checkout.release("v42", true);
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    let card = world.run_comes_to("RUN-1", "held", 5 * MINUTE).await;
    for part in ["errors are gone", "did not hold", "Before", "v43", "[Undo]", "[Retry]", "[Skip]", "[Release]"] {
        assert!(card.contains(part), "the card says `{part}`:\n{card}");
    }
    world
}

/// Half-done automation that goes on by itself is worse than none: it stops, says what it did, and undoes it when asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_verification_is_held_and_undone_only_when_asked() {
    let world = a_rollback_that_did_not_help().await;
    world.passes(10 * MINUTE).await;
    world.restart().await;
    world.passes(MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "held", "nothing goes on by itself");
    assert_eq!((world.service.checkout.effects().len(), world.service.checkout.live()), (1, "v42".to_owned()));
    let told = world.is_refused("ana", "/runbook run runbook:restart-service").await;
    assert!(told.contains("RUN-1"), "the target stays locked: {told}");

    world.does("ana", "/runbook answer question:RUN-1 answer:undo").await;
    world.run_comes_to("RUN-1", "undone", MINUTE).await;
    assert_eq!((world.service.checkout.effects().len(), world.service.checkout.live()), (2, "v43".to_owned()));

    let world = world.finish().await;
    let pages = world.pages().await;
    assert!(pages.iter().any(|page| page.contains("RUN-1") && page.contains("held")), "{pages:#?}");
}

/// Somebody else has deployed meanwhile: taking "our" change back would take back theirs.
#[tokio::test(flavor = "multi_thread")]
async fn undo_refuses_when_the_target_has_moved_on() {
    let world = a_rollback_that_did_not_help().await;
    world.service.checkout.release("v44", false);
    world.does("ana", "/runbook answer question:RUN-1 answer:undo").await;
    let card = world.run_comes_to("RUN-1", "stuck, undoing", MINUTE).await;
    assert!(card.contains("409"), "{card}");
    assert_eq!(world.service.checkout.live(), "v44", "the other one's deployment stays");
    assert_eq!(world.service.checkout.effects().len(), 1);

    world.does("ana", "/runbook answer question:RUN-1 answer:release").await;
    world.run_comes_to("RUN-1", "released", MINUTE).await;
    assert_eq!(world.service.checkout.live(), "v44");
    world.finish().await;
}

/// Each button does what it says and nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn retry_skip_and_release_each_lead_on() {
    let world = World::at_noon_with(Config::default().runbook(DEPLOY)).await;
    let checkout = &world.service.checkout;
    let bad = ["v50", "v51", "v52"];
    for version in bad {
        checkout.release(version, true);
    }
    checkout.release("v49", false);
    let held = async |run: &str, to: &str| {
        world.does("ana", &format!("/runbook run runbook:deploy-and-look inputs:to={to}")).await;
        world.run_comes_to(run, "held", 5 * MINUTE).await;
    };

    held("RUN-1", "v50").await;
    let effects = checkout.effects().len();
    checkout.release("v53", false);
    world.does("ben", "/runbook answer question:RUN-1 answer:retry").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!(checkout.effects().len(), effects + 1, "the deployment is not repeated, the restart is done");

    held("RUN-2", "v51").await;
    world.does("ben", "/runbook answer question:RUN-2 answer:skip").await;
    let card = world.run_comes_to("RUN-2", "done", MINUTE).await;
    assert_eq!(checkout.live(), "v51");
    assert_eq!(checkout.effects().len(), effects + 3, "the restart is done:\n{card}");

    held("RUN-3", "v52").await;
    world.does("ben", "/runbook answer question:RUN-3 answer:release").await;
    world.run_comes_to("RUN-3", "released", MINUTE).await;
    world.passes(MINUTE).await;
    assert_eq!((checkout.live(), checkout.effects().len()), ("v52".to_owned(), effects + 4), "it stays as it is");
    checkout.release("v54", false);
    world.does("ana", "/runbook run runbook:deploy-and-look inputs:to=v55").await;
    world.run_comes_to("RUN-4", "done", MINUTE).await;
    world.finish().await;
}
