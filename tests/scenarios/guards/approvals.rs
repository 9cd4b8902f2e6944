//! Approvals that are withdrawn: what people are asked about can settle itself while they think.

use super::{MINUTE, effects};
use crate::world::{Config, World, alert};

/// Rolls back when the alert fires, and asks no longer than it does.
async fn asked() -> World {
    let config = Config::default().edit("  expires: 15m", "  expires: 2h\n  abort_when: \"!alert.firing\"");
    let world = World::at_noon_with(config).await;
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world
}

/// Somebody wakes up, sees a button and presses it, twenty minutes after the fault was gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_withdrawn_when_the_alert_is_over() {
    let world = asked().await;
    world.passes(20 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "waiting for people", "it still fires");
    world.alertmanager().resolves(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "refused", std::time::Duration::ZERO).await;
    let why = world.sees("/why run:RUN-1", "abort_condition").await;
    assert!(why.contains("withdrew APR-1") && why.contains("!alert.firing"), "{why}");
    let told = world.is_refused("ben", "/runbook answer question:APR-1 answer:approve").await;
    assert!(told.contains("withdrawn"), "{told}");
    assert_eq!(effects(&world), 0);
    world.finish().await;
}

/// A source that fell silent has not said that it is over, but nobody can say that it fires either.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_looked_at_every_minute_and_once_more_when_somebody_agrees() {
    let timed = "  expires: 2h\n  abort_when: \"timestamp(now) - timestamp(run.started_at) > duration('10m')\"";
    let world = World::at_noon_with(Config::default().edit("  expires: 15m", timed)).await;
    world.service.checkout.release("v43", true);
    world.does("ana", "/runbook run runbook:rollback-service").await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.passes(9 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "waiting for people");
    world.passes(3 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "refused");
    world.sees("/why run:RUN-1", "abort_condition").await;
    world.finish().await;
}

/// What is in order is approved and done.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_counts_while_the_alert_fires() {
    let world = asked().await;
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!(world.service.checkout.live(), "v42");
    world.finish().await;
}
