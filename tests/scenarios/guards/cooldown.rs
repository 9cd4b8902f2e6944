//! Cooldown and the most runs in a time: a runbook leaves a target alone that it has just changed.

use super::{HOUR, MINUTE, is_done, is_refused, opened, restarts};

/// What was changed needs time to show whether it helped.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_left_alone_until_the_cooldown_is_over() {
    let world = opened(&[restarts("a", "guards: { cooldown: { for: 30m } }", "")], "").await;
    is_done(&world, "ana", "a", "RUN-1").await;
    is_refused(&world, "ben", "a", "cooldown").await;
    world.passes(30 * MINUTE).await;
    is_done(&world, "ben", "a", "RUN-2").await;
    world.finish().await;
}

/// What has to be done three times a day is not mended by a fourth.
#[tokio::test(flavor = "multi_thread")]
async fn a_runbook_changes_a_target_only_so_often() {
    let world = opened(&[restarts("a", "guards: { max_runs: { count: 2, per: 90m } }", "")], "").await;
    is_done(&world, "ana", "a", "RUN-1").await;
    world.passes(HOUR).await;
    is_done(&world, "ana", "a", "RUN-2").await;
    is_refused(&world, "ben", "a", "max_runs").await;
    world.passes(30 * MINUTE).await;
    is_done(&world, "ben", "a", "RUN-3").await;
    world.finish().await;
}
