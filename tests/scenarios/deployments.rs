//! What is live and what was good is known without asking around, and what changed lately stands beside what broke.

use std::time::Duration;

use firewarden::domain::{
    time::Time,
    timeline::{Chain, verify},
};
use serde_json::json;

use crate::world::{Config, Hand, World, alert, deployers::deployment, until};

const MINUTE: Duration = Duration::from_mins(1);
const V41: (&str, &str) = ("v41", "41aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
const V42: (&str, &str) = ("v42", "42bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
const LEDGER: &str = "/deploys service:checkout environment:production";

/// A rollback as far as the ledger goes, which says aloud what it found.
const ROLLBACK: &str = r#"
name: hold-the-bad-one
mode: auto
trigger: { chat: {} }
inputs: { service: { type: service, const: checkout } }
target: { service: "{{ service }}", environment: production }
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
  - name: say so
    action: announce
    with: { text: "{{ catalog.repository }} goes back to {{ good.version }}, as {{ services.checkout.owner }} wants" }
"#;

fn at(clock: &str) -> Time {
    format!("2026-11-23T{clock}Z").parse().unwrap()
}

/// A night in which v41 has been live since two o'clock.
async fn night() -> World {
    let config = Config::default().deployers().runbook(ROLLBACK);
    let world = World::prepare(Some(Hand::at(at("02:05:00"))), config).await;
    world.writes_catalog();
    world.bot.start().await;
    for (event, status) in [("deployment", None), ("deployment_status", Some("success"))] {
        assert_eq!(world.github(event, &deployment(41, V41, status, at("02:05:00"))).await.1, 202);
    }
    world
}

/// At three in the morning somebody sees at one look what was deployed ten minutes ago, by whom, and which version held
/// before it; though GitHub delivers everything twice and the bot was killed in between.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_live_and_what_was_good_is_known_at_three_in_the_morning() {
    let world = night().await;
    world.clock().advance_to(at("02:40:00")).await;
    let merged = json!({
        "action": "closed", "repository": { "full_name": "acme/checkout", "default_branch": "main" },
        "pull_request": {
            "number": 9, "title": "Faster carts", "merged": true, "merged_at": at("02:40:00").to_string(),
            "merged_by": { "login": "ben" }, "base": { "ref": "main" },
        },
    });
    assert_eq!(world.github("pull_request", &merged).await.1, 202);
    for event in ["push", "ping", "star"] {
        assert_eq!(world.github(event, &json!({ "zen": "Keep it logically awesome." })).await.1, 202, "{event}");
    }
    world.clock().advance_to(at("02:50:00")).await;
    let live = deployment(42, V42, Some("success"), at("02:50:00"));
    let (delivery, status) = world.github("deployment_status", &live).await;
    assert_eq!(status, 202);
    let seen = world.sees(LEDGER, "v42 (42bbbbb)").await;
    assert!(seen.contains("baking until"), "a deployment that succeeded is not yet a good one: {seen}");
    world.kill();
    world.restart().await;
    for (named, secret, answer) in [
        (delivery.as_str(), "the-secret-of-the-webhook", 202),
        ("another-name", "the-secret-of-the-webhook", 202),
        ("forged", "another-secret", 401),
    ] {
        let body = if answer == 401 { deployment(43, V41, Some("success"), at("02:50:00")) } else { live.clone() };
        assert_eq!(world.delivers("deployment_status", &body, (named, secret)).await, answer, "{named}");
    }

    world.clock().advance_to(at("03:00:00")).await;
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout").since(at("02:58:00"))).await;
    let seen = world.sees(LEDGER, "INC-1 opened before it had baked").await;
    assert!(seen.contains("Last good"), "{seen}");
    let good = seen.lines().find(|line| line.contains("Last good")).unwrap();
    assert!(good.contains("v41 (41aaaaa)") && good.contains("baked without an incident"), "{seen}");
    assert!(seen.contains("no migration between"), "{seen}");
    assert_eq!(seen.matches("DEP-").count(), 2, "nothing was noted twice, and nothing of a stranger: {seen}");
    let told = world.sees("/incident timeline incident:INC-1", "`v42 (42bbbbb) succeeded`").await;
    assert!(told.contains("`10 min 0 s` before it opened, by `ben`"), "{told}");
    assert!(told.contains("`#9 Faster carts`") && told.contains("near in time, not a cause"), "{told}");

    let (is_written, review) = world.program("ana", &["review", "INC-1"]).await;
    assert!(is_written, "{review}");
    let section = review.split("## Nearby changes").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    assert!(section.contains("v42 (42bbbbb) succeeded") && section.contains("Faster carts"), "{section}");
    assert!(section.contains("[INC-1#"), "every statement cites its entry: {section}");
    let timeline = world.finish().await.timeline(1).await;
    verify(&timeline).unwrap();
}

/// The rollback holds the bad version. Somebody deploys it again by hand, and learns at once that it was held, by whom and
/// why; nobody need have told them.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_a_rollback_left_is_told_when_somebody_deploys_it_again() {
    let world = night().await;
    world.clock().advance_to(at("02:50:00")).await;
    world.github("deployment_status", &deployment(42, V42, Some("success"), at("02:50:00"))).await;
    world.clock().advance_to(at("03:00:00")).await;
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    world.sees("/incident list", "INC-1").await;
    world.does("ana", "/runbook run runbook:hold-the-bad-one").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    let seen = world.sees(LEDGER, "Banned").await;
    assert!(seen.contains("left by `hold-the-bad-one`") || seen.contains("left by hold-the-bad-one"), "{seen}");

    world.clock().advance_to(at("03:05:00")).await;
    world.github("deployment", &deployment(51, V41, None, at("03:04:00"))).await;
    world.github("deployment_status", &deployment(51, V41, Some("success"), at("03:05:00"))).await;
    world.sees(LEDGER, "DEP-3").await;
    world.clock().advance_to(at("03:20:00")).await;
    world.github("deployment", &deployment(52, V42, None, at("03:20:00"))).await;
    world.sees("/incident timeline incident:INC-1", "although it is banned").await;
    let (status, answer) = world
        .deployer(&json!({ "service": "checkout", "environment": "production", "sha": V41.1, "state": "sucess" }))
        .await;
    assert_eq!((status, answer["error"].as_str()), (400, Some("`state`: `sucess` is no state of a deployment")));
    world
        .does(
            "ben",
            &format!("/version unban service:checkout environment:production sha:{} reason:\"it is mended\"", V42.1),
        )
        .await;
    let seen = world.sees(LEDGER, "DEP-2: `rolled_back`").await;
    assert!(!seen.contains("Banned") && seen.contains("DEP-4: `pending`"), "{seen}");

    let world = world.finish().await;
    let store = world.store().await;
    let mut reader = store.read().await.unwrap();
    let posts = firewarden::store::posts::newest(&mut reader, 100).await.unwrap();
    let system = firewarden::store::timeline::entries(&mut reader, Chain::System).await.unwrap();
    drop(reader);
    store.close().await;
    verify(&system).unwrap();
    let said: String = posts.iter().map(|post| post.body.to_string()).collect();
    assert_eq!(said.matches("although it is banned").count(), 1, "people are told, once: {said}");
    assert!(said.contains("acme/checkout goes back to v41, as role:on-call wants"), "{said}");
}

/// A deployer that is no GitHub says the same in a line of JSON, and a slip of the fingers in the catalog takes nothing away.
#[tokio::test(flavor = "multi_thread")]
async fn any_deployer_is_understood_and_a_bad_catalog_takes_no_good_ones_place() {
    let world = night().await;
    let says = |state: &str| json!({ "service": "checkout", "environment": "staging", "sha": "v43", "state": state, "by": "ben", "id": 7 });
    for state in ["started", "succeeded", "succeeded"] {
        let (status, answer) = world.deployer(&says(state)).await;
        assert_eq!((status, answer), (202, json!({ "services": ["checkout"] })));
    }
    let seen = world.sees("/deploys service:checkout", "staging").await;
    assert!(seen.contains("v43") && seen.contains("v41 (41aaaaa)"), "{seen}");
    let catalog = world.folder().join("services.yaml");
    let good = std::fs::read_to_string(&catalog).unwrap();
    std::fs::write(&catalog, good.replace("role:on-call", "role:on-cal")).unwrap();
    let told = async || world.bot.log().contains("an edit was not taken up");
    assert!(until(20, told).await, "the slip is told");
    let (_, status) = world.github("deployment_status", &deployment(60, V42, Some("success"), world.now())).await;
    assert_eq!(status, 202);
    world.sees(LEDGER, "v42 (42bbbbb)").await;
    world.finish().await;
}
