//! Locks on services: whoever debugs a service has it for themselves, for a while.

use super::{MINUTE, is_done, is_refused, opened, restarts};

/// Automation that restarts what somebody is looking into destroys what they look at.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_service_is_only_its_owners() {
    let world = opened(&[restarts("a", "", "")], "").await;
    world.does("ana", "/lock service:checkout reason:\"heap dump\" for:20m").await;
    let told = is_refused(&world, "ben", "a", "service_locked").await;
    assert!(told.contains("heap dump") && told.contains("ana"), "{told}");
    is_done(&world, "ana", "a", "RUN-1").await;
    let told = world.is_refused("ben", "/lock service:checkout reason:mine").await;
    assert!(told.contains("ask `ana`"), "{told}");
    let told = world.is_refused("ben", "/unlock service:checkout").await;
    assert!(told.contains("ask `ana`"), "{told}");
    world.does("ana", "/unlock service:checkout").await;
    is_done(&world, "ben", "a", "RUN-2").await;
    world.finish().await;
}

/// A shift ends before the work does.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_handed_over_and_ends_by_itself() {
    let world = opened(&[restarts("a", "", "")], "").await;
    world.does("ana", "/lock service:checkout reason:\"heap dump\" for:20m").await;
    world.does("ana", "/lock service:checkout to:ben").await;
    is_refused(&world, "ana", "a", "service_locked").await;
    is_done(&world, "ben", "a", "RUN-1").await;
    world.restart().await;
    let listed = world.sees("/locks", "checkout").await;
    assert!(listed.contains("ben") && listed.contains("heap dump"), "{listed}");
    world.passes(20 * MINUTE).await;
    world.sees("/locks", "No service is locked").await;
    is_done(&world, "ana", "a", "RUN-2").await;
    let told = world.is_refused("ana", "/lock service:checkout reason:x for:30d").await;
    assert!(told.contains("longer than `7d`"), "{told}");
    let world = world.finish().await;
    let log = world.timeline(0).await;
    assert!(log.iter().any(|entry| entry.draft.text.contains("ended the lock of `ben` on `checkout`")), "it says so");
}

/// Whoever may administer is not kept out by somebody who has gone home.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_takes_a_lock_away() {
    let world = opened(&[restarts("a", "", "")], "").await;
    world.does("ana", "/lock service:checkout reason:\"heap dump\"").await;
    let told = world.is_refused("ana", "/lock service:checkout to:nobody").await;
    assert!(told.contains("nobody called `nobody`"), "{told}");
    world.does("chris", "/unlock service:checkout").await;
    is_done(&world, "ben", "a", "RUN-1").await;
    world.finish().await;
}
