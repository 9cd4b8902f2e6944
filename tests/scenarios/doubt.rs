//! Doubt: the answer of a target was lost, and nothing is done twice because of it.

use std::{sync::Arc, time::Duration};

use firewarden::app::demo::checkout::Change;

use crate::world::{Config, Fault, Moment, Which, World, alert};

const MINUTE: Duration = Duration::from_mins(1);

/// Deploys what it is told, and can neither look for it nor repeat it.
const DEPLOY: &str = r#"
name: deploy-once
mode: auto
trigger: { chat: {} }
inputs:
  to: { type: text }
target: { service: checkout, environment: production }
steps:
  - name: what is live
    action: http
    with: { url: "API/version", extract: { version: response.json.live } }
    output: live
  - name: deploy
    action: http
    with:
      method: POST
      url: "API/deployments"
      body: { version: "{{ to }}", expect_live: "{{ live.version }}" }
      expect: [200, 201]
      extract: { id: response.json.id }
    timeout: 30s
    undo:
      action: http
      with:
        method: POST
        url: "API/deployments"
        body: { version: "{{ live.version }}", expect_live: "{{ to }}" }
        expect: [200, 201]
    output: deployment
  - name: restart
    action: http
    with: { method: POST, url: "API/restart", body: { because_of: "{{ deployment.id }}" } }
    timeout: 30s
    repeat: safe
"#;

/// A deployment that was made is not made again because its answer was lost: two at once are how an outage gets worse.
/// The target is slow to list it, so one look that finds nothing proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_whose_answer_was_lost_is_found_and_never_sent_again() {
    let world = World::at_noon().await;
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;

    world.service.delay_listing(Duration::from_secs(40));
    let bot = world.bot.clone();
    let strike = Fault::Strike(Arc::new(move || bot.kill()));
    world.service.plan(Which::Next("POST", "/deployments"), Moment::After, strike);
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    assert!(crate::world::until(20, async || !world.bot.is_alive()).await, "the bot is killed by its own request");
    assert_eq!(world.service.checkout.live(), "v42", "the request arrived");

    world.restart().await;
    world.sees("/incident timeline incident:INC-1", "did not find it, look 1").await;
    assert_ne!(world.run_state("RUN-1").await, "done");
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;

    assert_eq!(world.service.calls_of("POST", "/deployments"), 1, "it was sent once, ever");
    assert_eq!(world.service.checkout.effects().len(), 1);
    let told = world.sees("/incident timeline incident:INC-1", "ound that `roll back` happened").await;
    assert!(told.contains("ost sight of `roll back`"), "{told}");
    world.finish().await;
}

/// Where nobody but a person can know, a person is asked, for as long as it takes; each answer leads on.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_for_is_asked_about_and_every_answer_works() {
    let world = World::at_noon_with(Config::default().runbook(DEPLOY)).await;
    let service = &world.service;
    let deploys = async |to: &str, moment| {
        service.plan(Which::Next("POST", "/deployments"), moment, Fault::Reset);
        world.does("ana", &format!("/runbook run runbook:deploy-once inputs:to={to}")).await;
    };

    deploys("v44", Moment::After).await;
    world.run_comes_to("RUN-1", "in doubt", MINUTE).await;
    world.restart().await;
    world.passes(10 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "in doubt", "doubt does not expire, and a restart does not end it");
    assert_eq!(service.calls_of("POST", "/deployments"), 1);
    let told = world.is_refused("ana", "/runbook answer question:RUN-1 answer:retry").await;
    assert!(told.contains("did-not-happen"), "{told}");
    let told = world.is_refused("ben", "/runbook run runbook:deploy-once inputs:to=v45").await;
    assert!(told.contains("RUN-1"), "the target stays locked: {told}");
    let told = world.is_refused("ben", "/runbook answer question:RUN-1 answer:happened").await;
    assert!(told.contains("later steps read `id`") && told.contains("output:"), "{told}");
    world.does("ben", r#"/runbook answer question:RUN-1 answer:happened output:"{\"id\":\"d-3\"}""#).await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!(service.calls_of("POST", "/deployments"), 1);
    assert_eq!(service.checkout.live(), "v44");

    deploys("v45", Moment::Before).await;
    world.run_comes_to("RUN-2", "in doubt", MINUTE).await;
    assert_eq!(service.checkout.live(), "v44");
    world.does("ben", "/runbook answer question:RUN-2 answer:did-not-happen").await;
    world.run_comes_to("RUN-2", "done", MINUTE).await;
    assert_eq!(service.checkout.live(), "v45", "what did not happen is done, for a person said so");
    assert_eq!(service.calls_of("POST", "/deployments"), 3);

    deploys("v46", Moment::After).await;
    world.run_comes_to("RUN-3", "in doubt", MINUTE).await;
    world.does("ben", "/runbook answer question:RUN-3 answer:abort").await;
    world.run_comes_to("RUN-3", "failed", MINUTE).await;
    world.passes(MINUTE).await;
    assert_eq!(service.calls_of("POST", "/deployments"), 4, "nothing is sent after an abort");

    world.does("ana", "/runbook run runbook:deploy-once inputs:to=v47").await;
    world.run_comes_to("RUN-4", "done", MINUTE).await;
    let deployed = service.checkout.effects().iter().filter(|it| matches!(it.change, Change::Deployed { .. })).count();
    assert_eq!((deployed, service.checkout.live()), (4, "v47".to_owned()));

    let world = world.finish().await;
    let pages = world.pages().await;
    for run in ["RUN-1", "RUN-2", "RUN-3"] {
        assert!(pages.iter().any(|page| page.contains(run)), "people are paged about {run}: {pages:#?}");
    }
}
