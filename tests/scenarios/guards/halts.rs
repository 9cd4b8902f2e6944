//! Halt as a guard: everything, or one service, and what it says of itself.

use super::{MINUTE, effects, is_done, is_refused, opened, restarts};

/// What was halted is not changed, what was not is, and whoever wonders reads by whom and why.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_halted_is_refused_and_nothing_else() {
    let world = opened(&[restarts("a", "", "")], "").await;
    world.does("ben", "/halt service:checkout reason:\"the disk is full\"").await;
    let told = is_refused(&world, "ana", "a", "halted").await;
    assert!(told.contains("the disk is full") && told.contains("ben"), "{told}");
    world.does("chris", "/halt service:checkout lift:\"it has room\"").await;
    world.does("ben", "/halt service:other reason:\"it is another one\"").await;
    is_done(&world, "ana", "a", "RUN-1").await;
    world.finish().await;
}

/// The file stops what is under way before its next change, and without it the run goes on when somebody says so.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_a_reason_of_its_own() {
    let breathe = "  - { name: breathe, action: wait, with: { for: 5m } }\n";
    let world = opened(&[restarts("a", "", breathe)], "").await;
    world.does("ana", "/runbook run runbook:a incident:INC-1").await;
    world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    std::fs::write(world.halt_file(), "by hand").unwrap();
    world.run_comes_to("RUN-1", "held", 10 * MINUTE).await;
    world.sees("/why run:RUN-1", "halt").await;
    assert_eq!(effects(&world), 0);
    std::fs::remove_file(world.halt_file()).unwrap();
    world.passes(MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "held", "nothing resumes by itself");
    world.does("ben", "/runbook answer question:RUN-1 answer:retry").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    world.finish().await;
}
