//! Approval: people count, not their accounts.

use std::time::Duration;

use crate::world::{Config, World};

const MINUTE: Duration = Duration::from_mins(1);

/// Dora comes in by two tokens; she is one person.
fn with_dora() -> Config {
    Config::default().person("dora", &["dora", "dora-phone"])
}

/// Four eyes are two people: whoever asked for a change cannot approve it, whichever device they take into their hand.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asked_cannot_approve_through_another_identity() {
    let world = World::at_noon_with(with_dora()).await;
    world.service.checkout.release("v43", true);
    world.does("dora", "/runbook run runbook:rollback-service").await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    for identity in ["dora", "dora-phone"] {
        let told = world.is_refused(identity, "/runbook answer question:APR-1 answer:approve").await;
        assert!(told.contains("whoever started the run does not count"), "{identity} is told why: {told}");
    }
    world.passes(MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "waiting for people");
    assert_eq!(world.service.checkout.effects(), []);
    let why = world.sees("/why run:RUN-1", "dora").await;
    assert!(why.to_lowercase().contains("did not count"), "the refusal is on record: {why}");

    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!(world.service.checkout.live(), "v42");
    world.finish().await;
}

/// Two approvals are two people, neither of them the one who asked.
#[tokio::test(flavor = "multi_thread")]
async fn two_approvals_are_two_people() {
    let config = with_dora().edit("  expires: 15m", "  count: 2\n  expires: 15m");
    let world = World::at_noon_with(config).await;
    world.service.checkout.release("v43", true);
    world.does("ana", "/runbook run runbook:rollback-service").await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.does("dora", "/runbook answer question:APR-1 answer:approve").await;
    let told = world.is_refused("dora-phone", "/runbook answer question:APR-1 answer:approve").await;
    assert!(told.contains("answered already"), "{told}");
    let told = world.is_refused("ana", "/runbook answer question:APR-1 answer:approve").await;
    assert!(told.contains("does not count"), "{told}");
    world.restart().await;
    world.passes(MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "waiting for people");
    assert_eq!(world.service.checkout.effects(), []);

    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!(world.service.checkout.effects().len(), 1);
    world.finish().await;
}
