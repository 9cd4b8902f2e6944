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
    let told = world.is_refused("ben", "/runbook answer question:APR-1 answer:approve").await;
    assert!(told.contains("`APR-1` is archived with its run"), "{told}");

    let listed = does(&world, &["archive", "list"]).await;
    assert!(listed.contains("INC-1 ") && listed.contains("archive/INC-1.jsonl.gz"), "{listed}");
    let shown = does(&world, &["archive", "show", "INC-1"]).await;
    assert!(shown.contains("a cache was cold") && shown.contains("approved RUN-1"), "{shown}");
    assert!(does(&world, &["archive", "verify"]).await.contains("archives are as they were written"));
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

/// Tells everybody, and nothing else; whoever likes starts it.
const TIDY: &str = r#"
name: tidy-up
mode: auto
trigger: { chat: {} }
inputs: { service: { type: service, const: checkout } }
target: { service: "{{ service }}", environment: production }
steps: [{ name: tell everybody, action: announce, with: { text: it is tidy } }]
"#;

/// What belongs to no incident is most of a store after years: runs that people and clocks start, and what is told of them.
/// It leaves too, and an edit of what stays or of what left still shows.
#[tokio::test(flavor = "multi_thread")]
async fn runs_and_the_systems_timeline_are_read_from_their_files() {
    let config = Config::default().with("[retention]\nclosed_after = \"2d\"\n").runbook(TIDY);
    let world = World::at_noon_with(config).await;
    let runs = async |from: usize, to: usize| {
        for run in from..=to {
            world.does("ana", "/runbook run runbook:tidy-up").await;
            world.run_comes_to(&format!("RUN-{run}"), "done", Duration::from_mins(1)).await;
        }
        world.sees("/bot outbox", "Nothing waits").await;
    };
    runs(1, 2).await;
    world.clock().leap(2 * DAY, HOUR).await;
    world.sees("/runbook show name:RUN-1", "done").await;
    runs(3, 3).await;
    // Killed and started again, it goes on where it was.
    world.restart().await;
    world.clock().leap(14 * HOUR, HOUR).await;
    for line in ["/runbook show name:RUN-1", "/why run:RUN-2", "/runbook cancel run:RUN-2"] {
        let told = world.is_refused("ana", line).await;
        assert!(told.contains("is archived in `archive/RUN-1.jsonl.gz`"), "{line}: {told}");
    }
    runs(4, 4).await;

    let listed = does(&world, &["archive", "list"]).await;
    assert!(listed.contains("RUN-1, RUN-2: tidy-up, ended") && listed.contains("SYSTEM#1 to SYSTEM#"), "{listed}");
    let shown = does(&world, &["archive", "show", "RUN-2"]).await;
    assert!(
        shown.contains("RUN-2 done: `tidy-up` on `checkout/production`") && shown.contains("tell everybody"),
        "{shown}"
    );
    let shown = does(&world, &["archive", "show", "SYSTEM#1"]).await;
    assert!(shown.contains("SYSTEM#1 ") && shown.contains("RUN-2") && !shown.contains("RUN-3"), "{shown}");
    let (is_done, said) = world.program("ana", &["archive", "show", "RUN-3"]).await;
    assert!(!is_done && said.contains("`RUN-3` is not archived"), "{said}");
    does(&world, &["archive", "verify"]).await;
    does(&world, &["verify"]).await;
    let said = does(&world, &["backup", "copy.jsonl.gz"]).await;
    assert!(!said.contains("had been changed"), "{said}");

    world.spoil("update archives set hash = hash || 'x' where chain = 0").await;
    let (is_done, said) = world.program("ana", &["verify"]).await;
    assert!(!is_done && said.contains("is not what was written: its hash does not fit"), "{said}");
    world.spoil("update archives set hash = substr(hash, 1, 64) where chain = 0").await;
    does(&world, &["verify"]).await;
    // Somebody who hides an entry as if it had left, too.
    world
        .spoil(
            "update archives set hash = (select hash from timeline where chain = 0 order by seq limit 1), \
             seq = (select min(seq) from timeline where chain = 0) where chain = 0",
        )
        .await;
    world.spoil("delete from timeline where chain = 0 and seq in (select seq from archives where chain = 0)").await;
    does(&world, &["verify"]).await;
    let (is_done, said) = world.program("ana", &["archive", "verify"]).await;
    assert!(!is_done && said.contains("does not begin and end where the store says"), "{said}");

    // What was edited stays where it is, and is told of.
    let before = does(&world, &["archive", "list"]).await.matches("SYSTEM#").count();
    world.announce("what was changed by other means is not archived");
    world.spoil("update timeline set text = 'nothing happened' where chain = 0 and seq < 100").await;
    world.clock().leap(3 * DAY, HOUR).await;
    assert_eq!(does(&world, &["archive", "list"]).await.matches("SYSTEM#").count(), before);
    world.finish().await;
}
