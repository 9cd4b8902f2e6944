//! Circuit breaker: what failed again and again, or did not help, is not tried by itself once more.

use super::{HOUR, MINUTE, effects, is_done, is_refused, opened, restarts};
use crate::world::{Config, Fault, Moment, Which, World, alert};

/// A repair that does not repair, done every few minutes all night, is worse than none.
#[tokio::test(flavor = "multi_thread")]
async fn after_failures_in_a_row_people_have_to_agree_and_a_success_closes_it() {
    let guards = "guards: { breaker: { after: 2, of: failed, open_for: 1h } }";
    let world = opened(&[restarts("a", guards, "")], "").await;
    for number in [1, 2] {
        world.service.plan(Which::Number(number), Moment::Before, Fault::Status(400));
        world.does("ana", "/runbook run runbook:a incident:INC-1").await;
        world.run_comes_to(&format!("RUN-{number}"), "failed", MINUTE).await;
    }
    let told = is_refused(&world, "ana", "a", "breaker_open").await;
    assert!(told.contains("2 in a row"), "{told}");
    world.passes(HOUR).await;
    world.does("ana", "/runbook run runbook:a incident:INC-1").await;
    world.run_comes_to("RUN-3", "waiting for people", MINUTE).await;
    world.sees("/why run:RUN-3", "the breaker is half open").await;
    assert_eq!(effects(&world), 0);
    let told = world.is_refused("ana", "/runbook answer question:APR-1 answer:approve").await;
    assert!(told.contains("whoever started the run does not count"), "{told}");
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-3", "done", MINUTE).await;
    is_done(&world, "ana", "a", "RUN-4").await;
    world.finish().await;
}

/// Everything was done, and the alert came back: the runbook "works" and helps nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_alert_comes_back_did_not_help() {
    let config = Config::default()
        .edit("mode: ask", "mode: auto")
        .edit("  cooldown: { for: 15m, factor: 2, max: 12h }", "  breaker: { after: 2, open_for: 6h }");
    let world = World::at_noon_with(config).await;
    let stuck = alert("CheckoutStuck").service("checkout");
    for run in ["RUN-1", "RUN-2"] {
        world.alertmanager().fires(&stuck.clone().since(world.now())).await;
        world.run_comes_to(run, "done", 10 * MINUTE).await;
        world.alertmanager().resolves(&stuck).await;
        world.passes(16 * MINUTE).await;
    }
    let before = effects(&world);
    world.alertmanager().fires(&stuck.clone().since(world.now())).await;
    let why = world.sees("/why incident:INC-1", "breaker_open").await;
    assert!(why.contains("failed or did not help"), "{why}");
    assert_eq!(effects(&world), before);
    world.finish().await;
}
