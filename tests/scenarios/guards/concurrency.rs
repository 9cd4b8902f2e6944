//! Concurrency: only so many runs are at work for one key; one more waits, is skipped, or counts for those.

use super::{MINUTE, effects, is_refused, opened, restarts};

const BREATHE: &str = "  - { name: breathe, action: wait, with: { for: 5m } }\n";

fn guarded(when_busy: &str) -> String {
    format!("guards: {{ concurrency: {{ key: checkout-tier, limit: 1, when_busy: {when_busy} }} }}")
}

/// Two repairs of one tier at once make an outage of a fault; one after the other is what was meant.
#[tokio::test(flavor = "multi_thread")]
async fn a_queued_run_starts_by_itself_when_there_is_room() {
    let slow = restarts("slow", &guarded("queue"), BREATHE);
    let quick = restarts("quick", &guarded("queue"), "");
    let world = opened(&[slow, quick], "").await;
    world.does("ana", "/runbook run runbook:slow incident:INC-1").await;
    world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    for run in ["RUN-2", "RUN-3"] {
        world.does("ben", "/runbook run runbook:quick incident:INC-1").await;
        world.run_comes_to(run, "queued", std::time::Duration::ZERO).await;
        world.sees(&format!("/why run:{run}"), "concurrency").await;
    }
    world.does("ben", "/runbook cancel run:RUN-2").await;
    world.restart().await;
    world.passes(2 * MINUTE).await;
    assert_eq!((world.run_state("RUN-3").await.as_str(), effects(&world)), ("queued", 0));
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    world.run_comes_to("RUN-3", "done", MINUTE).await;
    assert_eq!(effects(&world), 2);
    world.finish().await;
}

/// What a halt stopped is not started by somebody else's end.
#[tokio::test(flavor = "multi_thread")]
async fn a_halt_holds_what_is_queued_when_its_turn_comes() {
    let slow = restarts("slow", &guarded("queue"), BREATHE);
    let quick = restarts("quick", &guarded("queue"), "");
    let world = opened(&[slow, quick], "").await;
    world.does("ana", "/runbook run runbook:slow incident:INC-1").await;
    world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    world.does("ben", "/runbook run runbook:quick incident:INC-1").await;
    world.does("ben", "/halt reason:\"wait\"").await;
    world.does("ben", "/runbook answer question:RUN-1 answer:release").await;
    world.run_comes_to("RUN-2", "held", std::time::Duration::ZERO).await;
    world.does("chris", "/halt lift:\"go on\"").await;
    world.passes(MINUTE).await;
    assert_eq!((world.run_state("RUN-2").await.as_str(), effects(&world)), ("held", 0));
    world.does("ben", "/runbook answer question:RUN-2 answer:retry").await;
    world.run_comes_to("RUN-2", "done", MINUTE).await;
    world.finish().await;
}

/// What need not be done twice is not queued up behind itself.
#[tokio::test(flavor = "multi_thread")]
async fn one_too_many_is_skipped_or_attached() {
    let slow = restarts("slow", &guarded("skip"), BREATHE);
    let skips = restarts("skips", &guarded("skip"), "");
    let attaches = restarts("attaches", &guarded("attach"), "");
    let world = opened(&[slow, skips, attaches], "").await;
    world.does("ana", "/runbook run runbook:slow incident:INC-1").await;
    world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    let told = is_refused(&world, "ben", "skips", "concurrency").await;
    assert!(told.contains("RUN-1 is at work for `checkout-tier`"), "{told}");
    let told = world.is_refused("ben", "/runbook run runbook:attaches incident:INC-1").await;
    assert!(told.contains("`RUN-1` is at work"), "{told}");
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    super::is_done(&world, "ben", "skips", "RUN-2").await;
    super::is_done(&world, "ben", "attaches", "RUN-3").await;
    world.finish().await;
}
