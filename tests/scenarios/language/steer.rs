//! People pause a run, let it go on, try again after they mended the world, and leave out a step.

use super::MINUTE;
use crate::world::{Config, Fault, Moment, Which, World};

/// Waits a while, then changes the service twice.
const SLOW: &str = r#"
name: slow
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - { name: a while, action: wait, with: { for: 5m } }
  - name: scale out
    action: http
    with: { method: POST, url: "API/scale", body: { replicas: 5, expect: 4 } }
    timeout: 30s
    repeat: safe
  - name: restart
    action: http
    with: { method: POST, url: "API/restart" }
    timeout: 30s
    repeat: safe
"#;

/// Whoever wants to look first stops everything with one line at a shell, and it stays so over a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_paused_and_resumed_at_a_shell() {
    let world = World::at_noon_with(Config::default().runbook(SLOW)).await;
    world.does("ana", "/runbook run runbook:slow").await;
    world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    let (is_done, said) = world.program("ben", &["say", "/run pause run:RUN-1"]).await;
    assert!(is_done && said.contains("Paused RUN-1"), "{said}");
    world.passes(10 * MINUTE).await;
    world.restart().await;
    world.passes(MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "paused");
    assert!(world.service.checkout.effects().is_empty());
    let told = world.is_refused("ben", "/runbook run runbook:slow").await;
    assert!(told.contains("RUN-1"), "{told}");

    world.does("ben", "/run skip run:RUN-1 step:restart reason:\"it was done by hand\"").await;
    let (is_done, said) = world.program("ben", &["say", "/run resume run:RUN-1"]).await;
    assert!(is_done, "{said}");
    // The service has three replicas and not four.
    world.run_comes_to("RUN-1", "failed", MINUTE).await;
    let timeline = world.console("ana").sees("/why run:RUN-1").await;
    for part in ["paused RUN-1", "skipped `restart`: by ben: it was done by hand"] {
        assert!(timeline.contains(part), "it is told: `{part}`\n{timeline}");
    }
    world.finish().await;
}

/// What failed because of the world is tried again once somebody has mended it: that step and what follows, not what was
/// done.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_is_tried_again_once_the_world_is_mended() {
    let twice = SLOW.replace("replicas: 5, expect: 4", "replicas: 4, expect: 3").leak();
    let world = World::at_noon_with(Config::default().runbook(twice)).await;
    world.service.plan(Which::Every("POST", "/restart"), Moment::Before, Fault::Status(403));
    world.does("ana", "/runbook run runbook:slow").await;
    world.run_comes_to("RUN-1", "held", 10 * MINUTE).await;
    world.does("ben", "/run retry run:RUN-1").await;
    world.run_comes_to("RUN-1", "held", MINUTE).await;
    let effects = || world.service.checkout.effects().len();
    assert_eq!((effects(), world.service.calls_of("POST", "/restart")), (1, 2));
    world.service.plan_nothing();
    world.does("ben", "/run retry run:RUN-1").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!((effects(), world.service.calls_of("POST", "/scale")), (2, 1), "what was done is not done again");
    world.sees("/why run:RUN-1", "answered `retry` for RUN-1").await;
    world.finish().await;
}
