//! Retention: what is long over leaves the store for a file, and can be read, reviewed and checked from it.

use std::{fs, time::Duration};

use crate::world::{Config, World, alert, shell::run_in};

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

async fn does(world: &World, arguments: &[&str]) -> String {
    let (is_done, said) = world.program("ana", arguments).await;
    assert!(is_done, "{arguments:?}: {said}");
    said
}

/// The review, drafted beside the bot.
fn reviewed(world: &World) -> String {
    let ended = run_in(world.folder(), &["review", "INC-1"], &[]);
    assert!(ended.code == 0 && ended.out.contains("# Review of INC-1"), "{ended:?}");
    ended.out
}

/// A store that only grows is slow when it is needed most, and one that forgets cannot be learned from.
#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_is_long_over_is_read_from_its_file() {
    let config = Config::default().with("[retention]\nclosed_after = \"2d\"\n");
    let world = World::at_noon_with(config).await;
    world.service.checkout.release("v43", true);
    let errors = alert("CheckoutErrorRate").service("checkout");
    world.alertmanager().fires(&errors).await;
    world.run_comes_to("RUN-1", "waiting for people", Duration::from_mins(1)).await;
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", Duration::from_mins(20)).await;
    world.alertmanager().resolves(&errors).await;
    world.does("ana", "/incident note text:\"a cache was cold\" incident:INC-1").await;
    world.does("ana", "/incident phase phase:closed incident:INC-1").await;
    world.clock().leap(HOUR, HOUR).await;
    // Once its own review was said, nothing is added any more.
    world.sees("/bot outbox", "Nothing waits").await;
    let review = reviewed(&world);

    world.clock().leap(DAY, HOUR).await;
    world.sees("/incident show incident:INC-1", "closed").await;
    // Another incident with another run: the newest of each kind stays in the store.
    world.alertmanager().fires(&alert("CheckoutErrorRate").label("cluster", "other").service("checkout")).await;
    world.does("ana", "/incident declare title:later").await;
    world.does("ana", "/runbook run runbook:restart-service").await;
    world.clock().leap(2 * DAY, HOUR).await;
    let told = world.is_refused("ana", "/incident show incident:INC-1").await;
    assert!(
        told.contains("is archived in `archive/INC-1.jsonl.gz`") && told.contains("firewarden archive show"),
        "{told}"
    );
    let told = world.is_refused("ana", "/incident note text:late incident:INC-1").await;
    assert!(told.contains("is archived in"), "{told}");

    let listed = does(&world, &["archive", "list"]).await;
    assert!(listed.contains("INC-1 ") && listed.contains("archive/INC-1.jsonl.gz"), "{listed}");
    let shown = does(&world, &["archive", "show", "INC-1"]).await;
    assert!(shown.contains("a cache was cold") && shown.contains("approved RUN-1"), "{shown}");
    assert!(does(&world, &["archive", "verify"]).await.contains("1 archived incidents are as they were written"));
    assert_eq!(reviewed(&world), review, "the review says the same");
    does(&world, &["verify"]).await;

    let file = world.folder().join("archive/INC-1.jsonl.gz");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 20]).unwrap();
    let (is_done, said) = world.program("ana", &["archive", "verify"]).await;
    assert!(!is_done && said.contains("INC-1 in `archive/INC-1.jsonl.gz`: line"), "{said}");
    let (is_done, said) = world.program("ana", &["archive", "show", "INC-1"]).await;
    assert!(!is_done && said.contains("cut off"), "{said}");
    world.finish().await;
}
