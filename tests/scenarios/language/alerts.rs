//! Alerts that start a runbook only together, or only if they go on.

use super::{MINUTE, notes};
use crate::world::{Config, World, alert};

/// One instance that fails is nothing; the third in ten minutes is a pattern, and whoever asks reads why not before.
#[tokio::test(flavor = "multi_thread")]
async fn three_alerts_in_ten_minutes_start_it() {
    let often =
        notes("often", "{ alert: { match: ['alertname=\"CheckoutInstance\"'], after: { count: 3, within: 10m } } }");
    let world = World::at_noon_with(Config::default().runbook(often).route("often")).await;
    let fires = async |instance: &str| {
        let alert = alert("CheckoutInstance").service("checkout").label("instance", instance);
        world.alertmanager().fires(&alert.since(world.now())).await;
    };
    fires("one").await;
    let why = world.sees("/why incident:INC-1", "too_few").await;
    assert!(why.contains("1 of 3"), "{why}");
    // The first is too long ago by the time of the third.
    world.passes(6 * MINUTE).await;
    fires("two").await;
    world.passes(5 * MINUTE).await;
    fires("three").await;
    world.sees("/why incident:INC-1", "2 of 3").await;
    assert_eq!(world.run_state("RUN-1").await, "");
    world.passes(MINUTE).await;
    fires("four").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    world.sees("/incident timeline incident:INC-1", "often was here").await;
    world.finish().await;
}

/// Most of what fires is over in a minute; a delay leaves it alone, and outlives a restart.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_starts_it_only_if_it_goes_on() {
    let later = notes("later", "{ alert: { match: ['alertname=~\"CheckoutSlow.*\"'], delay: 2m } }");
    let world = World::at_noon_with(Config::default().runbook(later).route("later")).await;
    let slow = alert("CheckoutSlow").service("checkout");
    world.alertmanager().fires(&slow).await;
    world.sees("/why incident:INC-1", "delayed").await;
    world.passes(MINUTE).await;
    world.alertmanager().resolves(&slow).await;
    world.passes(2 * MINUTE).await;
    let why = world.sees("/why incident:INC-1", "still_firing").await;
    assert!(why.contains("it did not go on firing"), "{why}");
    assert_eq!(world.run_state("RUN-1").await, "");

    world.alertmanager().fires(&alert("CheckoutSlower").service("checkout").since(world.now())).await;
    world.passes(MINUTE).await;
    world.restart().await;
    assert_eq!(world.run_state("RUN-1").await, "");
    world.passes(MINUTE).await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    world.finish().await;
}
