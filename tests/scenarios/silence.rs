//! Silence is not recovery, and recovery is what a source says, once it has held.

use std::time::Duration;

use firewarden::domain::{
    incidents::{Milestone, Phase},
    time::Time,
};

use crate::world::{Config, Hand, World, alert};

const MINUTE: Duration = Duration::from_mins(1);

fn at(clock: &str) -> Time {
    format!("2026-11-23T{clock}Z").parse().unwrap()
}

/// A bot that is at work since this time.
async fn since(clock: &str) -> World {
    let world = World::prepare(Some(Hand::at(at(clock))), Config::default()).await;
    world.bot.start().await;
    world
}

/// A bot that was down has heard nobody. It does not take that for silence, and silence not for recovery.
#[tokio::test(flavor = "multi_thread")]
async fn what_falls_silent_stays_open_and_says_since_when() {
    let world = since("12:00:00").await;
    let alert = alert("CheckoutLatency").service("checkout").until(at("12:04:00"));
    world.alertmanager().fires(&alert).await;
    world.sees("/incident show incident:INC-1", "1 firing").await;
    world.kill();
    world.clock().advance_to(at("12:30:00")).await;
    world.restart().await;
    world.sees("/incident show incident:INC-1", "1 firing").await;

    world.clock().advance_to(at("12:33:50")).await;
    let seen = world.console("ana").sees("/incident show incident:INC-1").await;
    assert!(seen.contains("1 firing"), "the source gets one more window:\n{seen}");
    world.clock().advance_to(at("12:34:10")).await;
    world.sees("/incident show incident:INC-1", "1 silent").await;
    world.sees("/incident timeline incident:INC-1", "since `2026-11-23 12:00").await;

    world.passes(30 * MINUTE).await;
    let seen = world.console("ana").sees("/incident show incident:INC-1").await;
    assert!(seen.contains("1 silent"), "{seen}");
    let incident = world.finish().await.incident(1).await;
    assert_eq!(incident.phase, Phase::Triage);
    assert_eq!(incident.milestones.at(Milestone::Resolved), None);
    assert_eq!(incident.milestones.at(Milestone::Mitigated), None, "silence is no recovery");
}

/// A bot in the middle of resolving is restarted; the review must still say when it was over, not when it was noticed.
#[tokio::test(flavor = "multi_thread")]
async fn resolved_is_the_moment_of_the_last_clearing_and_confirmed_after_the_quiet() {
    let world = since("03:00:00").await;
    let alert = alert("CheckoutLatency").service("checkout");
    world.alertmanager().fires(&alert).await;
    world.sees("/incident show incident:INC-1", "1 firing").await;
    world.clock().advance_to(at("03:20:00")).await;
    world.alertmanager().resolves(&alert).await;
    world.sees("/incident show incident:INC-1", "monitoring").await;
    world.restart().await;
    world.clock().advance_to(at("03:29:59")).await;
    let seen = world.console("ana").sees("/incident show incident:INC-1").await;
    assert!(seen.contains("monitoring"), "it has not been quiet for long enough:\n{seen}");
    world.clock().advance_to(at("03:30:01")).await;
    world.sees("/incident show incident:INC-1", "`resolved` since").await;

    let incident = world.finish().await.incident(1).await;
    assert_eq!(incident.phase, Phase::Resolved);
    let resolved = incident.milestones.mark(Milestone::Resolved).unwrap();
    assert_eq!((resolved.value, resolved.confirmed), (at("03:20:00"), Some(at("03:30:00"))));
    assert_eq!(incident.milestones.at(Milestone::Mitigated), Some(at("03:20:00")));
    assert_eq!(incident.milestones.at(Milestone::Started), Some(at("03:00:00")));
}

/// It looked mended and was not: what people were at goes on, and "mitigated" is not left standing as if it were true.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_comes_back_in_the_last_second_is_not_over() {
    let world = since("03:00:00").await;
    let fault = alert("CheckoutLatency").service("checkout");
    world.alertmanager().fires(&fault).await;
    world.sees("/incident show incident:INC-1", "1 firing").await;
    world.does("ana", "/incident phase incident:INC-1 phase:mitigating").await;
    world.clock().advance_to(at("03:20:00")).await;
    world.alertmanager().resolves(&fault).await;
    world.sees("/incident show incident:INC-1", "monitoring").await;
    world.clock().advance_to(at("03:29:59")).await;
    let again = fault.clone().since(at("03:29:50"));
    world.alertmanager().fires(&again).await;
    world.sees("/incident show incident:INC-1", "mitigating").await;
    world.clock().advance_to(at("03:41:00")).await;
    let seen = world.sees("/incident show incident:INC-1", "mitigating").await;
    assert!(seen.contains("1 firing"), "{seen}");
    world.sees("/incident timeline incident:INC-1", "took back `mitigated`").await;

    let incident = world.finish().await.incident(1).await;
    assert_eq!(incident.phase, Phase::Mitigating);
    assert_eq!(incident.milestones.at(Milestone::Mitigated), None);
    let void = incident.milestones.last(Milestone::Mitigated).unwrap();
    assert_eq!(void.value, at("03:20:00"), "what it was is kept");
    assert!(void.void.is_some());
    assert_eq!(incident.milestones.at(Milestone::Resolved), None);
}
