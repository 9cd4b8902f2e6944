//! Still firing: what was set off by an alert that is over by now changes nothing.

use super::{MINUTE, effects};
use crate::world::{Config, World, alert};

async fn asked() -> World {
    let world = World::at_noon_with(Config::default()).await;
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world
}

/// The action that ran on the resolved notification deleted the healthy one.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_for_an_alert_that_is_over() {
    let world = asked().await;
    world.alertmanager().resolves(&alert("CheckoutErrorRate").service("checkout")).await;
    world.sees("/incident show incident:INC-1", "monitoring").await;
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "refused", MINUTE).await;
    world.sees("/why run:RUN-1", "still_firing").await;
    assert_eq!(effects(&world), 0);
    world.finish().await;
}

/// What still fires is mended.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_still_fires_is_mended() {
    let world = asked().await;
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!(world.service.checkout.live(), "v42");
    world.finish().await;
}

/// What comes and goes all the time is no fault that a rollback mends: people have to look.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_for_an_alert_that_flaps() {
    let world = asked().await;
    let rate = alert("CheckoutErrorRate").service("checkout");
    for _ in 0..2 {
        world.passes(MINUTE).await;
        world.alertmanager().resolves(&rate).await;
        world.passes(MINUTE).await;
        world.alertmanager().fires(&rate.clone().since(world.now())).await;
    }
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "refused", MINUTE).await;
    world.sees("/why run:RUN-1", "`flapping`").await;
    assert_eq!(effects(&world), 0);
    world.finish().await;
}
