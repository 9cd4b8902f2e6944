//! Budgets: only so much of a service is changed in an hour, whoever changes it.

use super::{HOUR, MINUTE, effects, is_done, opened, restarts};
use crate::world::World;

/// Asks for a run that is refused right before it changes something.
async fn is_too_much(world: &World, runbook: &str, run: &str) -> String {
    world.does("ana", &format!("/runbook run runbook:{runbook} incident:INC-1")).await;
    world.run_comes_to(run, "refused", MINUTE).await;
    world.sees(&format!("/why run:{run}"), "budget").await
}

/// Ten sensible repairs at once are an outage; the sum is looked at, not each of them.
#[tokio::test(flavor = "multi_thread")]
async fn steps_are_counted_over_all_runs_of_an_hour() {
    let world = opened(&[restarts("a", "", ""), restarts("b", "", "")], "[budgets.default]\nsteps = 2\n").await;
    is_done(&world, "ana", "a", "RUN-1").await;
    world.passes(30 * MINUTE).await;
    is_done(&world, "ben", "b", "RUN-2").await;
    let why = is_too_much(&world, "a", "RUN-3").await;
    assert!(why.contains("2 of 2 steps"), "{why}");
    world.restart().await;
    is_too_much(&world, "b", "RUN-4").await;
    // An hour after the first, there is room for one.
    world.passes(31 * MINUTE).await;
    is_done(&world, "ana", "a", "RUN-5").await;
    is_too_much(&world, "a", "RUN-6").await;
    assert_eq!(effects(&world), 3);
    world.finish().await;
}

/// One step can touch everything.
#[tokio::test(flavor = "multi_thread")]
async fn pods_are_counted_as_the_steps_say() {
    let touching = |name: &str, pods: &str| -> &'static str {
        format!("{}    touches: {{ pods: {pods} }}\n", restarts(name, "", "")).leak()
    };
    let runbooks =
        [touching("eight", "8"), touching("three", "\"1 + 2\""), touching("unknown", "\"size(alert.labels)\"")];
    let world = opened(&runbooks, "[budgets.checkout]\npods = 10\n").await;
    is_done(&world, "ana", "eight", "RUN-1").await;
    let why = is_too_much(&world, "three", "RUN-2").await;
    assert!(why.contains("8 of 10 pods"), "{why}");
    let why = is_too_much(&world, "unknown", "RUN-3").await;
    assert!(why.contains("touches an unknown part"), "what cannot be told is refused: {why}");
    world.passes(HOUR).await;
    is_done(&world, "ana", "three", "RUN-4").await;
    world.finish().await;
}
