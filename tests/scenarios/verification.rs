//! Verification: whether it helped is measured, and what could not be measured is never taken for good or bad.

use std::time::Duration;

use firewarden::domain::{
    incidents::Milestone,
    people::{Actor, PersonId},
    runs::{Pass, RunState},
};
use serde_json::{Value, json};

use crate::world::{
    Config, World, alert, left_out,
    metrics::{Gives, Metrics},
    prometheus, until,
};

const MINUTE: Duration = Duration::from_mins(1);

const ERRORS: &str = r#"error_ratio{service="checkout"}"#;
const TRAFFIC: &str = r#"requests{service="checkout"}"#;

/// A change, and the proof that it helped.
const VERIFY: &str = r#"
name: verify
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: restart it
    action: http
    with: { method: POST, url: "API/restart", body: {} }
    timeout: 1m
    repeat: safe
  - name: errors are gone
    action: prometheus.wait
    with:
      query: error_ratio{service="{{ target.service }}"}
      traffic: { query: 'requests{service="checkout"}', min: 1 }
      good: "value < 0.01"
      bad: "value > 0.05"
      for: 30s
      every: 10s
      timeout: 2m
      by: ["role:on-call"]
    marks: mitigated
    output: proof
  - name: tell
    action: announce
    with: { text: "it is {{ proof.verdict }}" }
"#;

/// A world in which an incident is open and the runbook is at work on it, and the server that it asks.
async fn at_work(errors: Gives, traffic: Gives) -> (World, Metrics) {
    let metrics = Metrics::start().await;
    metrics.gives(ERRORS, errors);
    metrics.gives(TRAFFIC, traffic);
    let world = World::at_noon_with(Config::default().runbook(VERIFY).with(&metrics.section())).await;
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    world.sees("/incident show incident:INC-1", "1 firing").await;
    world.does("ana", "/runbook run runbook:verify incident:INC-1").await;
    assert!(until(20, async || metrics.asked(ERRORS) == 1).await, "it looks at once");
    (world, metrics)
}

/// What the verification gave, once the bot has ended.
async fn given(world: &World) -> Value {
    let (_, journal) = world.run(1).await;
    journal.last("2", Pass::Do).unwrap().output.clone()
}

/// "Mitigated" in the review is when it became good, which is neither when it was noticed nor when it was believed.
#[tokio::test(flavor = "multi_thread")]
async fn what_stayed_good_is_mitigated_since_its_first_good_look() {
    let (world, metrics) = at_work(Gives::One("0.03"), Gives::One("20")).await;
    world.run_comes_to("RUN-1", "waiting", Duration::ZERO).await;
    metrics.gives(ERRORS, Gives::One("0.001"));
    world.passes(Duration::from_secs(35)).await;
    assert_eq!(world.run_state("RUN-1").await, "waiting", "it has not been good for half a minute");
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert!(!metrics.tokens().is_empty() && metrics.tokens().iter().all(|token| token.starts_with("Bearer ")));
    let world = world.finish().await;
    let incident = world.incident(1).await;
    let first_good = world.begun() + Duration::from_secs(10);
    assert_eq!(incident.milestones.at(Milestone::Mitigated), Some(first_good));
    let proof = given(&world).await;
    assert_eq!((&proof["verdict"], &proof["since"]), (&json!("good"), &json!(first_good)));
    let samples = proof["samples"].as_array().unwrap();
    assert_eq!((samples.len(), &samples[0]["value"]), (5, &json!(0.03)), "every look is kept: {proof}");
}

/// A fix that makes it worse must not be waited for: the sooner somebody knows, the sooner it is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_bad_is_said_at_once_with_its_reason() {
    let (world, metrics) = at_work(Gives::One("0.2"), Gives::One("20")).await;
    world.run_comes_to("RUN-1", "held", Duration::ZERO).await;
    world.sees("/why run:RUN-1", "verification_bad").await;
    world.passes(5 * MINUTE).await;
    assert_eq!(metrics.asked(ERRORS), 1, "nobody goes on looking");
    let world = world.finish().await;
    assert_eq!(world.incident(1).await.milestones.at(Milestone::Mitigated), None);
    assert_eq!(given(&world).await["verdict"], "bad");
}

/// NaN compares as neither large nor small: whoever takes it for "not above the threshold" calls a dead service healthy.
#[tokio::test(flavor = "multi_thread")]
async fn nan_is_no_measure_and_people_are_asked() {
    let (world, metrics) = at_work(Gives::One("NaN"), Gives::One("20")).await;
    world.passes(Duration::from_secs(65)).await;
    assert_eq!(world.run_state("RUN-1").await, "waiting", "it may still be measured");
    // What was in flight is lost; neither the time for it nor the doubt begins anew.
    world.restart().await;
    let card = world.run_comes_to("RUN-1", "waiting for people", 2 * MINUTE).await;
    assert!(card.contains("errors are gone"), "{card}");
    let asked = metrics.asked(ERRORS);
    world.passes(5 * MINUTE).await;
    assert_eq!(metrics.asked(ERRORS), asked, "while people are asked nobody looks");
    world.sees("/incident timeline incident:INC-1", "the value is `NaN`").await;
    world.does("ben", "/runbook answer question:APR-1 answer:choose choice:bad").await;
    world.run_comes_to("RUN-1", "held", Duration::ZERO).await;
    world.sees("/why run:RUN-1", "verification_bad").await;
    let world = world.finish().await;
    assert_eq!(world.incident(1).await.milestones.at(Milestone::Mitigated), None, "nobody knows when it was mitigated");
    assert_eq!(world.service.checkout.effects().len(), 1, "nothing is undone by itself");
}

/// After a rollback that cut the service off, there are no errors either.
#[tokio::test(flavor = "multi_thread")]
async fn no_traffic_is_not_health_unless_a_person_says_so() {
    let (world, _metrics) = at_work(Gives::One("0"), Gives::One("0")).await;
    world.run_comes_to("RUN-1", "waiting for people", 3 * MINUTE).await;
    world.sees("/incident timeline incident:INC-1", "the traffic is 0, less than 1").await;
    let said_at = world.now();
    world.does("ben", "/runbook answer question:APR-1 answer:choose choice:good").await;
    world.run_comes_to("RUN-1", "done", Duration::ZERO).await;
    let world = world.finish().await;
    let incident = world.incident(1).await;
    let mark = incident.milestones.mark(Milestone::Mitigated).unwrap();
    assert_eq!((mark.value, &mark.set_by), (said_at, &Actor::Person(PersonId("ben".to_owned()))), "it is their word");
    assert_eq!(given(&world).await["by"], "ben");
}

/// A monitoring that is down says nothing, and the alert that it would have sent does not come either.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_or_knows_no_series_tells_nothing() {
    for (errors, told) in [(Gives::Fails(503), "it is down"), (Gives::Nothing, "there is no series")] {
        let (world, metrics) = at_work(errors, Gives::One("20")).await;
        world.run_comes_to("RUN-1", "waiting for people", 3 * MINUTE).await;
        world.sees("/incident timeline incident:INC-1", told).await;
        assert!(metrics.asked(ERRORS) > 10, "it was looked at all the time");
        world.finish().await;
    }
}

/// What the real one answers is what counts.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_prometheus_is_asked() {
    const REAL: &str = r#"
name: real
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - { name: ask, action: prometheus.query, with: { query: "vector(42)" }, output: asked }
  - { name: nothing, action: prometheus.query, with: { query: "vector(0) / vector(0)" }, output: nothing }
  - name: it is read
    action: assert
    with: [{ that: "asked.value == 42.0 && nothing.value == null && size(nothing.samples) == 1", else: misread }]
  - name: good
    action: prometheus.wait
    with: { query: "vector(0.001)", good: "value < 0.01", for: 2s, every: 1s, timeout: 1m }
  - name: nobody knows
    action: prometheus.wait
    with: { query: "vector(0) / vector(0)", good: "value < 0.01", for: 1s, every: 1s, timeout: 2s }
"#;
    let missing = prometheus::missing();
    if !missing.is_empty() {
        left_out("the_real_prometheus_is_asked", &missing.join(" and "));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let nowhere = ([127, 0, 0, 1], 9).into();
    let server = prometheus::start_alone(folder.path(), nowhere, "").await;
    let config = Config::default().runbook(REAL).with(&format!("[prometheus]\nurl = \"{}\"\n", server.url()));
    let world = World::start_with(config).await;
    world.does("ana", "/runbook run runbook:real").await;
    world.run_comes_to("RUN-1", "waiting for people", Duration::ZERO).await;
    let world = world.finish().await;
    let (run, journal) = world.run(1).await;
    assert_eq!(run.state, RunState::Approval);
    assert_eq!(journal.last("4", Pass::Do).unwrap().output["verdict"], "good");
}

/// A runbook that could not be answered is not begun with.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_runbook_is_not_taken() {
    let world = World::at_noon_with(Config::default().runbook(VERIFY)).await;
    let told = world.is_refused("ana", "/runbook run runbook:verify").await;
    assert!(told.contains("There is no runbook"), "{told}");
    let (is_good, said) = world.program("ana", &["check"]).await;
    assert!(!is_good && said.contains("has no server to ask") && said.contains("`[prometheus] url`"), "{said}");
    world.finish().await;
}
