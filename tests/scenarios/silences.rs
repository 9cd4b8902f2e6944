//! What people silence wakes nobody, and what still burns when the silence ends is not forgotten.

use std::time::Duration;

use firewarden::{
    domain::timeline::{Chain, verify},
    store,
};

use crate::world::{World, alert};

const MINUTE: Duration = Duration::from_mins(1);

/// What was said in the chat, once the bot has ended: the whole of it, and how many pages are among it.
async fn said(world: &World) -> (String, usize) {
    let store = world.store().await;
    let mut reader = store.read().await.unwrap();
    let posts = store::posts::newest(&mut reader, 1_000).await.unwrap();
    let chain = store::timeline::entries(&mut reader, Chain::System).await.unwrap();
    verify(&chain).unwrap();
    drop(reader);
    store.close().await;
    let pages = posts.iter().filter(|post| post.is_page).count();
    (posts.iter().map(|post| post.body.to_string()).collect::<Vec<_>>().join("\n"), pages)
}

/// Somebody changes disks at night and says so. Nobody is woken, no runbook touches anything; and because the last step
/// was forgotten, whoever is on call learns of it when the work is over, even though the bot was killed meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_still_fires_when_the_work_is_over_is_told_then() {
    let world = World::at_noon().await;
    world
        .does("ana", r#"/silence add matchers:"alertname=~\"Checkout.+\", env=production" for:1h comment:"new disks""#)
        .await;
    let refused = world.is_refused("ana", "/silence add matchers:\"env=~.*\" for:1h comment:all").await;
    assert!(refused.contains("it would silence every alert"), "{refused}");
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    let latency = alert("CheckoutLatency").service("checkout");
    world.alertmanager().fires(&latency).await;
    world.sees("/why alert:CheckoutErrorRate", "`silenced`").await;
    world.sees("/silence show silence:SIL-1", "2 firing, 0 silent").await;
    world.passes(20 * MINUTE).await;
    world.alertmanager().resolves(&latency).await;
    let seen = world.console("ana").sees("/incident list over:yes").await;
    assert!(seen.contains("There is no such incident"), "{seen}");
    assert_eq!(world.service.checkout.live(), "v43", "no runbook has touched it");

    world.passes(35 * MINUTE).await;
    world.kill();
    world.clock().advance(10 * MINUTE).await;
    world.restart().await;
    world.sees("/incident list", "INC-1").await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.sees("/why incident:INC-1", "`silenced`").await;
    let shown = world.console("ana").sees("/incident show incident:INC-1").await;
    assert!(shown.contains("1 firing"), "what ended meanwhile is not told: {shown}");
    world.passes(5 * MINUTE).await;
    let seen = world.console("ana").sees("/incident list over:yes").await;
    assert!(!seen.contains("INC-2"), "it is told once: {seen}");

    world.does("ana", "/runbook cancel run:RUN-1").await;
    let (said, _) = said(&world.finish().await).await;
    let part = said.find("Nothing that fires matches it").expect("the start is told");
    let ending = said[part..].find(" ends in ").expect("the end is announced");
    assert!(said[part + ending..].contains("1 alert fires that it held back, and people are told now"), "{said}");
}

/// People are at an incident, and somebody silences its alerts for the noise: they still learn that it is over.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_incident_learns_of_its_end_under_a_silence() {
    let world = World::at_noon().await;
    let fault = alert("CheckoutLatency").service("checkout");
    world.alertmanager().fires(&fault).await;
    world.sees("/incident show incident:INC-1", "1 firing").await;
    world.does("ben", "/silence add matchers:CheckoutLatency for:2h comment:noise").await;
    world.sees("/incident show incident:INC-1", "1 firing").await;
    world.passes(5 * MINUTE).await;
    world.alertmanager().resolves(&fault).await;
    world.sees("/incident show incident:INC-1", "monitoring").await;
    world.passes(MINUTE).await;
    world.alertmanager().fires(&fault.clone().since(world.now())).await;
    world.passes(15 * MINUTE).await;
    world.sees("/incident show incident:INC-1", "`resolved` since").await;
    world.does("ben", "/silence expire silence:SIL-1 reason:\"enough of it\"").await;
    world.sees("/incident show incident:INC-1", "1 firing").await;
    let (said, _) = said(&world.finish().await).await;
    assert!(said.contains("1 alert fires under it") && said.contains("enough of it"), "{said}");
}
