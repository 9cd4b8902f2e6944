//! Backups: a copy of a moment while the bot works, and a way back from it on which nothing is done twice.

use std::{fs, time::Duration};

use firewarden::store;

use crate::world::{Config, Fault, Moment, Which, World, alert};

const MINUTE: Duration = Duration::from_mins(1);

/// Deploys what it is told; it can neither be looked for nor repeated.
const DEPLOY: &str = r#"
name: deploy-once
mode: auto
trigger: { chat: {} }
inputs:
  to: { type: text }
target: { service: search, environment: production }
steps:
  - name: deploy
    action: http
    with:
      method: POST
      url: "API/deployments"
      body: { version: "{{ to }}", expect_live: v42 }
      expect: [200, 201]
    timeout: 30s
    irreversible: true
  - name: restart
    action: http
    with: { method: POST, url: "API/restart", body: {} }
    timeout: 30s
    repeat: safe
"#;

/// The only backup in the folder.
fn backup(world: &World) -> String {
    let names = fs::read_dir(world.folder().join("backups")).unwrap();
    let names: Vec<String> = names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 1, "nothing half written is left: {names:?}");
    format!("backups/{}", names[0])
}

async fn identity(world: &World) -> String {
    let store = world.store().await;
    let identity = store::runs::instance(&mut store.read().await.unwrap()).await.unwrap();
    store.close().await;
    identity
}

/// A backup of an hour ago knows nothing of that hour. What it believes to be about to happen has happened, or was
/// settled by people, and doing it again is how a restore becomes the second outage.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_an_hour_ago_starts_held_and_does_nothing() {
    let world = World::at_noon_with(Config::default().on_file().runbook(DEPLOY)).await;
    fs::create_dir(world.folder().join("backups")).unwrap();
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.service.plan(Which::Next("POST", "/deployments"), Moment::Before, Fault::Hang);
    world.does("ana", "/runbook run runbook:deploy-once inputs:to=v44").await;
    assert!(crate::world::until(20, async || world.service.calls_of("POST", "/deployments") == 1).await);

    let (is_done, said) = world.program("ana", &["backup", "backups"]).await;
    assert!(is_done && said.contains("read back"), "{said}");
    let file = backup(&world);

    // An hour in which people settle everything.
    world.restart().await;
    world.run_comes_to("RUN-2", "in doubt", MINUTE).await;
    world.does("ben", "/runbook answer question:RUN-2 answer:abort").await;
    world.does("ben", "/runbook answer question:APR-1 answer:reject").await;
    world.clock().leap(60 * MINUTE, MINUTE).await;
    let (is_done, said) = world.program("ana", &["restore", &file, "--aside", "broken.db"]).await;
    assert!(!is_done && said.contains("another process has it open"), "not while a bot is at work: {said}");
    assert!(world.bot.stop().await.unwrap().0.success());
    let before = identity(&world).await;
    let (calls, effects) = (world.service.calls(), world.service.checkout.effects().len());

    let (is_done, said) = world.program("ana", &["import", &file]).await;
    assert!(!is_done && said.contains("it is a backup"), "{said}");
    let (is_done, said) = world.program("ana", &["restore", &file]).await;
    assert!(!is_done && said.contains("there is a store at") && said.contains("--aside"), "{said}");
    let (is_done, said) = world.program("ana", &["restore", &file, "--aside", "broken.db"]).await;
    assert!(is_done && said.contains("It starts held") && said.contains("RUN-2"), "{said}");
    assert!(world.folder().join("broken.db").is_file(), "nothing is deleted");
    assert_ne!(identity(&world).await, before);

    world.bot.start().await;
    assert_eq!(world.run_state("RUN-2").await, "in doubt");
    assert_eq!(world.run_state("RUN-1").await, "held");
    world.passes(5 * MINUTE).await;
    world.restart().await;
    world.clock().leap(60 * MINUTE, 5 * MINUTE).await;
    assert_eq!(
        (world.run_state("RUN-2").await.as_str(), world.run_state("RUN-1").await.as_str()),
        ("in doubt", "held")
    );
    world.sees("/bot health", "restored from a backup of").await;
    let told = world.is_refused("ben", "/runbook answer question:RUN-1 answer:retry").await;
    assert!(told.contains("halted"), "{told}");
    let told = world.is_refused("ben", "/runbook answer question:APR-1 answer:approve").await;
    assert!(!told.is_empty(), "what was asked before is asked anew");
    assert_eq!(
        (world.service.calls(), world.service.checkout.effects().len()),
        (calls, effects),
        "nothing was touched"
    );

    world.does("chris", "/halt lift:\"looked at everything\"").await;
    world.passes(2 * MINUTE).await;
    assert_eq!(
        (world.service.calls(), world.run_state("RUN-1").await.as_str()),
        (calls, "held"),
        "lifting resumes nothing"
    );
    world.does("ben", "/runbook answer question:RUN-2 answer:happened").await;
    world.run_comes_to("RUN-2", "done", MINUTE).await;
    world.does("ben", "/runbook answer question:RUN-1 answer:release").await;
    assert_eq!(world.service.calls_of("POST", "/deployments"), 1, "what was in doubt was not done again");

    let world = world.finish().await;
    let pages = world.pages().await;
    let told = pages.iter().filter(|page| page.contains("The store was restored from")).count();
    assert_eq!(told, 1, "people are told once: {pages:#?}");
    let (is_done, said) = world.program("ana", &["verify"]).await;
    assert!(is_done, "{said}");
}

/// A file that was copied by hand says nothing of it, so somebody has to.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_made_by_hand_can_be_made_to_start_held() {
    let world = World::at_noon_with(Config::default().runbook(DEPLOY)).await;
    world.service.plan(Which::Next("POST", "/deployments"), Moment::Before, Fault::Hang);
    world.does("ana", "/runbook run runbook:deploy-once inputs:to=v44").await;
    assert!(crate::world::until(20, async || world.service.calls_of("POST", "/deployments") == 1).await);
    let (is_done, said) = world.program("ana", &["restore", "--adopt"]).await;
    assert!(!is_done && said.contains("a bot is at work on it"), "{said}");
    world.kill();

    // A server takes a moment to notice.
    let mut said = String::new();
    let adopted = crate::world::until(20, async || {
        let (is_done, told) = world.program("ana", &["restore", "--adopt"]).await;
        said = told;
        is_done
    });
    assert!(adopted.await && said.contains("RUN-1"), "{said}");
    world.bot.start().await;
    assert_eq!(world.run_state("RUN-1").await, "in doubt");
    world.sees("/bot health", "restored from a copy").await;
    world.passes(2 * MINUTE).await;
    assert_eq!(world.service.calls(), 1);
    world.does("chris", "/halt lift:\"looked at everything\"").await;
    world.does("ana", "/runbook answer question:RUN-1 answer:abort").await;
    world.finish().await;
}
