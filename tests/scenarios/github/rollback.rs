//! The night that all of this is for: a bad version is rolled back to the good one, once, with people's agreement to what
//! is so at that moment; and what could not be measured afterwards is not called good.

use std::time::Duration;

use firewarden::domain::{incidents::Milestone, time::Time};
use serde_json::json;

use super::MINUTE;
use crate::world::{
    Config, Hand, World, alert,
    deployers::deployment,
    github::{Course, GitHub},
    metrics::{Gives, Metrics},
};

const V41: (&str, &str) = ("v41", "41aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
const V42: (&str, &str) = ("v42", "42bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
const V43: (&str, &str) = ("v43", "43cccccccccccccccccccccccccccccccccccccc");
const LEDGER: &str = "/deploys service:checkout environment:production";
const APPROVE: &str = "/runbook answer question:APR-1 answer:approve";

/// Deploys what it is told to.
const DEPLOY: &str = r#"
name: deploy-a-version
mode: auto
trigger: { chat: {} }
inputs: { sha: { type: text } }
target: { service: checkout, environment: production }
steps:
  - name: deploy
    action: github.deploy
    with: { repo: acme/checkout, environment: production, sha: "{{ sha }}" }
    timeout: 10m
    probe: { action: github.find_deployment, settle: 60s }
    irreversible: true
"#;

/// The last step of the shipped runbook, and the proof that would stand before it.
const TELLS: &str = "  - name: tell everybody\n    action: announce\n    with:\n      text: \"{{ service }} is back on {{ deployment.sha }}";
const PROVES: &str = r#"  - name: errors are gone
    action: prometheus.wait
    with:
      query: error_ratio{service="{{ service }}"}
      traffic: { query: 'requests{service="checkout"}', min: 1 }
      good: "value < 0.01"
      for: 30s
      every: 10s
      timeout: 2m
      by: ["role:on-call"]
    marks: mitigated
  - name: tell everybody
    action: announce
    with:
      text: "{{ service }} is back on {{ deployment.sha }}"#;

fn at(clock: &str) -> Time {
    format!("2026-11-23T{clock}Z").parse().unwrap()
}

fn github(world: &World) -> &GitHub {
    world.code_host.as_ref().unwrap()
}

/// Somebody deploys, with success, and GitHub tells of it. It is the one with this number there.
async fn deployed(world: &World, id: u64, version: (&str, &str)) {
    github(world).somebody_deploys(version.1);
    for (event, status) in [("deployment", None), ("deployment_status", Some("success"))] {
        assert_eq!(world.github(event, &deployment(id, version, status, world.now())).await.1, 202);
    }
    world.sees(LEDGER, version.0).await;
}

/// A night in which v41 has baked, and v42 was deployed with success at 02:50.
async fn night(config: Config) -> World {
    let config = config.shipped(&["github-roll-back"]).on_github().deployers().runbook(DEPLOY);
    let world = World::prepare(Some(Hand::at(at("02:05:00"))), config).await;
    world.writes_catalog();
    world.bot.start().await;
    deployed(&world, 2, V41).await;
    world.clock().advance_to(at("02:50:00")).await;
    deployed(&world, 3, V42).await;
    world
}

/// The same at 03:00, when the alert has come from one replica of Prometheus, and at 03:02 from the other.
async fn alarmed(config: Config) -> World {
    let world = night(config).await;
    for (replica, clock) in [("a", "03:00:00"), ("b", "03:02:00")] {
        world.clock().advance_to(at(clock)).await;
        let alert = alert("CheckoutReleaseBad").service("checkout").label("replica", replica).since(at("02:58:00"));
        world.alertmanager().fires(&alert).await;
        world.run_comes_to("RUN-1", "waiting for people", Duration::ZERO).await;
    }
    world
}

/// How often a deployment was asked for.
fn asked(world: &World) -> usize {
    github(world).calls("POST", "/deployments")
}

/// One request to GitHub in the whole night, of v41's commit and merging nothing; and v42 comes back by no hand of the bot.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_version_is_rolled_back_once_and_held() {
    let world = alarmed(Config::default()).await;
    assert_eq!(world.run_state("RUN-2").await, "", "two replicas are one alert and one run");
    let card = world.sees("/incident timeline incident:INC-1", "RUN-1").await;
    assert_eq!(card.matches("started runbook").count(), 1, "{card}");
    assert_eq!(asked(&world), 0, "nothing is touched before somebody agrees");
    world.clock().advance_to(at("03:04:00")).await;
    world.does("ben", APPROVE).await;
    world.run_comes_to("RUN-1", "done", 2 * MINUTE).await;
    assert_eq!((github(&world).made(), asked(&world)), (vec![V41.1.to_owned()], 1));
    let newest = github(&world).asked_of_newest();
    assert_eq!((&newest["ref"], &newest["auto_merge"]), (&json!(V41.1), &json!(false)));

    // GitHub tells of it, too: it is the same one.
    world.github("deployment_status", &deployment(4, V41, Some("success"), world.now())).await;
    let seen = world.sees(LEDGER, "Banned").await;
    assert_eq!(seen.matches("DEP-").count(), 3, "{seen}");
    let newest = seen.lines().find(|line| line.contains("DEP-3")).unwrap();
    assert!(newest.contains("by `RUN-1`") && newest.contains("`baking`"), "{seen}");
    assert!(seen.lines().any(|line| line.contains("DEP-2: `banned`")), "{seen}");

    let told = world.does("ana", &format!("/runbook run runbook:deploy-a-version inputs:sha={}", V42.1)).await;
    assert!(told.contains("RUN-2"), "{told}");
    world.run_comes_to("RUN-2", "refused", MINUTE).await;
    let why = world.sees("/why run:RUN-2", "banned_version").await;
    assert!(why.contains(V42.1), "{why}");
    assert_eq!(asked(&world), 1, "v42 is not deployed again");
    world.finish().await;
}

/// What people agree to is what they were shown. Somebody deploys v43 while they think: the press is refused, with what is
/// different, nothing is written, and they are asked anew.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_what_is_not_so_any_more_is_refused_with_the_difference() {
    let world = alarmed(Config::default()).await;
    let card = world.sees("/incident timeline incident:INC-1", "APR-1").await;
    assert!(card.contains("asked"), "{card}");
    world.clock().advance_to(at("03:03:00")).await;
    deployed(&world, 4, V43).await;
    world.clock().advance_to(at("03:04:00")).await;
    let told = world.is_refused("ben", APPROVE).await;
    let difference = format!("`live.sha` was `{}` and is `{}`", V42.1, V43.1);
    assert!(told.contains("Cannot approve `APR-1`") && told.contains(&difference), "{told}");
    assert!(told.contains("the reason is `drift`"), "{told}");
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.sees("/why run:RUN-1", "voided APR-1").await;
    assert_eq!(asked(&world), 0);
    world.does("ben", "/runbook answer question:APR-2 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 2 * MINUTE).await;
    assert_eq!((github(&world).made(), asked(&world)), (vec![V41.1.to_owned()], 1));
    let seen = world.sees(LEDGER, "Banned").await;
    assert!(seen.lines().any(|line| line.contains("Banned") && line.contains(V43.1)), "what was left is held: {seen}");
    world.finish().await;
}

/// People had to agree because it was bad. That somebody calls it less bad meanwhile agrees to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn lowering_the_severity_takes_no_approval_away() {
    let config = Config::default()
        .edit("that is live\nowner: team-checkout\nmode: ask", "that is live\nowner: team-checkout\nmode: auto")
        .edit("  before: hold the bad one", "  when: \"incident.severity == 'SEV1'\"\n  before: hold the bad one");
    let world = night(config).await;
    world.clock().advance_to(at("03:00:00")).await;
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    world.sees("/incident list", "INC-1").await;
    world.does("ana", "/incident severity incident:INC-1 severity:SEV1").await;
    world.does("ana", "/runbook run runbook:github-roll-back incident:INC-1").await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.does("ana", "/incident severity incident:INC-1 severity:SEV3").await;
    world.restart().await;
    world.passes(5 * MINUTE).await;
    assert_eq!((world.run_state("RUN-1").await.as_str(), asked(&world)), ("waiting for people", 0));
    world.does("ben", APPROVE).await;
    world.run_comes_to("RUN-1", "done", 2 * MINUTE).await;
    assert_eq!(github(&world).made(), [V41.1]);
    world.finish().await;
}

/// After the rollback nobody uses the service, and nothing can be measured: that is neither good nor bad. People are asked,
/// nothing is undone by itself, and nobody claims to know when it was mitigated.
#[tokio::test(flavor = "multi_thread")]
async fn without_traffic_after_a_rollback_nobody_claims_that_it_helped() {
    let metrics = Metrics::start().await;
    metrics.gives(r#"error_ratio{service="checkout"}"#, Gives::One("NaN"));
    metrics.gives(r#"requests{service="checkout"}"#, Gives::One("0"));
    let world = alarmed(Config::default().edit(TELLS, PROVES).with(&metrics.section())).await;
    world.does("ben", APPROVE).await;
    world.run_comes_to("RUN-1", "waiting for people", 5 * MINUTE).await;
    world
        .sees("/incident timeline incident:INC-1", "Nothing can be told of `errors are gone`: the value is `NaN`")
        .await;
    world.passes(10 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "waiting for people", "nothing goes on by itself");
    assert_eq!((github(&world).made(), asked(&world)), (vec![V41.1.to_owned()], 1), "nothing is undone");
    let world = world.finish().await;
    assert_eq!(world.incident(1).await.milestones.at(Milestone::Mitigated), None);
}

/// A deployment of the bot that failed is one of the ledger: whoever looks at what is live sees that it was tried.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_of_the_bot_that_failed_stands_in_the_ledger() {
    let world = alarmed(Config::default()).await;
    github(&world).go(Course::ends("failure", 30));
    world.does("ben", APPROVE).await;
    world.run_comes_to("RUN-1", "held", 2 * MINUTE).await;
    let seen = world.sees(LEDGER, "DEP-3: `failed`").await;
    let failed = seen.lines().find(|line| line.contains("DEP-3")).unwrap();
    assert!(failed.contains("41aaaaa") && failed.contains("by `RUN-1`"), "{seen}");
    let live = seen.lines().find(|line| line.contains("Live")).unwrap();
    assert!(live.contains("v42"), "what failed is not live: {seen}");
    world.does("ana", "/runbook answer question:RUN-1 answer:release").await;
    world.run_comes_to("RUN-1", "released", MINUTE).await;
    world.finish().await;
}
