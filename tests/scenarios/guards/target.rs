//! Target: two repairs do not work on the same thing at the same time.

use super::{MINUTE, effects, is_done, is_refused, opened, restarts};

/// What one run has changed and another one changes back is nobody's plan.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_another_run_changes_is_left_alone() {
    let slow =
        format!("{}  - {{ name: breathe, action: wait, with: {{ for: 5m }} }}\n", restarts("slow", "", "")).leak();
    let world = opened(&[&*slow, restarts("quick", "", "")], "").await;
    world.does("ana", "/runbook run runbook:slow incident:INC-1").await;
    world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    let told = is_refused(&world, "ben", "quick", "target_locked").await;
    assert!(told.contains("by RUN-1"), "{told}");
    world.restart().await;
    is_refused(&world, "ben", "quick", "target_locked").await;
    assert_eq!(effects(&world), 1);
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    is_done(&world, "ben", "quick", "RUN-2").await;
    world.finish().await;
}
