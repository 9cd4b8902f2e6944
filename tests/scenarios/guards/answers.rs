//! Approvals: what people say, do not say, or could not know is a reason of its own.

use super::{MINUTE, effects, is_refused, opened, restarts};
use crate::world::{Config, World, alert};

/// A run that was set off by an alert and asks people.
async fn asked(config: Config) -> World {
    let world = World::at_noon_with(config).await;
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world
}

/// Whoever says no is heard, and whoever asks later reads that somebody did.
#[tokio::test(flavor = "multi_thread")]
async fn a_no_ends_the_run() {
    let world = asked(Config::default()).await;
    world.does("ben", "/runbook answer question:APR-1 answer:reject").await;
    world.run_comes_to("RUN-1", "cancelled", MINUTE).await;
    world.sees("/why run:RUN-1", "`rejected`").await;
    assert_eq!(effects(&world), 0);
    world.finish().await;
}

/// Nobody answered: that is no yes. Somebody is paged, and the run waits to be asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_no_yes() {
    let world = asked(Config::default()).await;
    world.passes(20 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "held");
    world.sees("/why run:RUN-1", "`approval_expired`").await;
    assert_eq!(effects(&world), 0);
    let told = world.is_refused("ben", "/runbook answer question:APR-1 answer:approve").await;
    assert!(told.contains("expired"), "{told}");
    let world = world.finish().await;
    assert!(world.pages().await.iter().any(|page| page.contains("approval_expired")), "somebody is paged");
}

/// Somebody deployed while people were thinking: they agreed to something else.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_since_is_shown_and_asked_anew() {
    let world = asked(Config::default()).await;
    world.service.checkout.release("v44", true);
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    let why = world.sees("/why run:RUN-1", "`drift`").await;
    assert!(why.contains("v43") && why.contains("v44"), "{why}");
    assert_eq!(effects(&world), 0);
    // Now they see what is there.
    world.does("ben", "/runbook answer question:APR-2 answer:approve").await;
    world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    assert_eq!(world.service.checkout.live(), "v43");
    world.finish().await;
}

/// A question that nobody can answer would hold a run until it expires, every time.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_could_approve_is_not_begun() {
    let approval = "approval: { before: restart, by: [\"person:ana\"] }";
    let asks = restarts("asks", approval, "").replace("mode: auto", "mode: ask");
    let world = opened(&[&*asks.leak()], "").await;
    // Ana is the only one who may, and whoever asks does not count.
    is_refused(&world, "ana", "asks", "no_approvers").await;
    world.does("ben", "/runbook run runbook:asks incident:INC-1").await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.does("ana", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    world.finish().await;
}
