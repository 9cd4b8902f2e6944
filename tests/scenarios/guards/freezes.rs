//! Freezes: a service that is frozen is left alone, by order and by the calendar.

use std::time::Duration;

use super::{HOUR, MINUTE, effects, is_done, is_refused, opened, restarts};

/// Somebody says "nothing until the sale is over", and it is over by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_somebody_froze_is_left_alone_until_the_freeze_ends() {
    let world = opened(&[restarts("a", "", "")], "").await;
    world.does("ana", "/freeze service:checkout until:20m reason:\"the sale\"").await;
    let told = is_refused(&world, "ben", "a", "frozen").await;
    assert!(told.contains("the sale") && told.contains("ana"), "it says why and by whom: {told}");
    world.sees("/freezes", "the sale").await;
    world.restart().await;
    is_refused(&world, "ben", "a", "frozen").await;
    world.passes(20 * MINUTE).await;
    world.sees("/freezes", "Nothing is frozen").await;
    is_done(&world, "ben", "a", "RUN-1").await;

    world.does("ana", "/freeze service:* until:2h reason:\"the audit\"").await;
    is_refused(&world, "ben", "a", "frozen").await;
    world.does("ben", "/unfreeze service:*").await;
    is_done(&world, "ben", "a", "RUN-2").await;
    world.finish().await;
}

/// A slip of the fingers would freeze nothing, and nobody would know.
#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_of_a_service_that_nobody_knows_is_refused() {
    let world = opened(&[], "").await;
    let told = world.is_refused("ana", "/freeze service:chekout until:20m reason:\"the sale\"").await;
    assert!(told.contains("did you mean `checkout`?"), "{told}");
    let told = world.is_refused("ana", "/freeze service:checkout until:2020-01-01T00:00:00Z reason:x").await;
    assert!(told.contains("that has passed"), "{told}");
    world.is_refused("ana", "/unfreeze service:checkout").await;
    world.finish().await;
}

/// The calendar of the configuration freezes by the clocks of its time zone; what is made for emergencies goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_the_configuration_freezes_all_but_what_is_allowed_in_it() {
    // The story begins at noon in London of a Monday, which is one o'clock in Berlin.
    let window = "[[freezes]]\nname = \"lunch\"\nreason = \"everybody eats\"\nmatch = ['service=\"checkout\"']\n\
                  weekly = { from = \"mon 13:00\", to = \"mon 14:00\", zone = \"Europe/Berlin\" }\n";
    let allowed = restarts("emergency", "guards: { allowed_in_freeze: true }", "");
    let world = opened(&[restarts("a", "", ""), allowed], window).await;
    let told = is_refused(&world, "ben", "a", "frozen").await;
    assert!(told.contains("lunch") && told.contains("everybody eats"), "{told}");
    is_done(&world, "ben", "emergency", "RUN-1").await;
    world.passes(HOUR).await;
    is_done(&world, "ben", "a", "RUN-2").await;
    world.finish().await;
}

/// It is looked at right before every change: what began in time does not go on in a freeze.
#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_comes_in_the_middle_lets_nothing_more_be_changed() {
    let first = "  - { name: first, action: http, with: { method: POST, url: \"API/restart\", body: {} }, timeout: 1m, \
                 repeat: safe }\n  - { name: breathe, action: wait, with: { for: 5m } }\n";
    let world = opened(&[restarts("a", "", first)], "").await;
    world.does("ana", "/runbook run runbook:a incident:INC-1").await;
    world.run_comes_to("RUN-1", "waiting", Duration::ZERO).await;
    world.does("ben", "/freeze service:checkout until:1h reason:\"the sale\"").await;
    world.run_comes_to("RUN-1", "held", 6 * MINUTE).await;
    world.sees("/why run:RUN-1", "frozen").await;
    assert_eq!(effects(&world), 1);
    world.does("ben", "/unfreeze service:checkout").await;
    world.does("ana", "/runbook answer question:RUN-1 answer:retry").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!(effects(&world), 2);
    world.finish().await;
}
