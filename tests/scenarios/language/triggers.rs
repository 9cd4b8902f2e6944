//! Runbooks that nobody starts by hand: by the clock, by incidents, by other runs and by requests of other tools.

use super::{MINUTE, notes, opened};
use crate::world::{Config, Fault, Hand, Moment, Which, World, config::SOURCE_TOKEN, http};

/// Looks at the service every ten minutes.
const PATROL: &str = r#"
name: patrol
mode: auto
trigger: { schedule: { cron: "*/10 * * * *", zone: Europe/Berlin, missed: run } }
target: { service: checkout, environment: production }
steps:
  - { name: look, action: http, with: { url: "API/health" } }
"#;

/// What a deployer asks for after it has deployed.
const AFTER: &str = r#"
name: after-deploy
mode: auto
trigger: { webhook: {} }
inputs: { version: { type: text } }
target: { service: checkout, environment: staging }
steps:
  - { name: tell, action: announce, with: { text: "{{ version }} is out" } }
"#;

/// A patrol that a restart leaves out, or makes twice, is no patrol.
#[tokio::test(flavor = "multi_thread")]
async fn the_clock_starts_it_once_for_each_time_over_kills() {
    let world = World::at_noon_with(Config::default().runbook(PATROL)).await;
    world.passes(5 * MINUTE).await;
    world.announce("");
    for run in ["RUN-1", "RUN-2"] {
        world.kill();
        world.restart().await;
        world.passes(10 * MINUTE).await;
        world.run_comes_to(run, "done", MINUTE).await;
    }
    let seen = world.console("ana").sees("/runbook show name:RUN-3").await;
    assert!(!seen.contains("patrol"), "two times have passed:\n{seen}");
    let _ended = world.bot.stop().await;
}

/// A deployer tells the bot that it is done, twice because the network is what it is, and starts one run.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_starts_what_its_configuration_names() {
    let config = Config::default().runbook(AFTER).source_runbooks(&["after-deploy"]);
    let world = World::at_noon_with(config).await;
    let ask = async |runbook: &str, token: &str| {
        let request = http().post(format!("{}/webhooks/runbooks/{runbook}", world.url())).bearer_auth(token);
        let request = request.header("idempotency-key", "delivery-7").body(r#"{"inputs": {"version": "v50"}}"#);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, body) = ask("after-deploy", SOURCE_TOKEN).await;
    assert!(status == 202 && body.contains("RUN-1"), "{status} {body}");
    let (status, body) = ask("after-deploy", SOURCE_TOKEN).await;
    assert!(status == 202 && body.contains("RUN-1"), "{status} {body}");
    assert_eq!(ask("after-deploy", "another").await.0, 401);
    assert_eq!(ask("rollback-service", SOURCE_TOKEN).await.0, 403, "a source starts only what it names");
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    world.finish().await;
}

/// What belongs to a bad incident is done when it gets bad, by whomever, and what belongs to a phase when it is reached.
#[tokio::test(flavor = "multi_thread")]
async fn an_incident_starts_what_belongs_to_its_severity_and_phase() {
    let worse = notes("worse", "{ incident: { severity: SEV1 } }");
    let moved = notes("moved", "{ incident: { phase: mitigating } }");
    let world = opened(&[worse, moved]).await;
    world.does("ana", "/incident severity incident:INC-1 severity:SEV1").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    // Going down and up again is nothing new.
    world.does("ana", "/incident severity incident:INC-1 severity:SEV2").await;
    world.does("ana", "/incident severity incident:INC-1 severity:SEV1").await;
    world.does("ana", "/incident phase incident:INC-1 phase:mitigating").await;
    world.run_comes_to("RUN-2", "done", MINUTE).await;
    let timeline = world.console("ana").sees("/incident timeline incident:INC-1").await;
    let newest = timeline.split("\n--- ").next().unwrap();
    let count = |text: &str| newest.matches(text).count();
    assert_eq!((count("noted: worse was here"), count("noted: moved was here")), (1, 1), "{timeline}");
    assert_eq!(world.run_state("RUN-3").await, "");
    world.finish().await;
}

/// What follows a failure is a runbook of its own, and what people did not start they cannot start by a slip.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_run_starts_another() {
    let first = notes("first", "{ chat: {} }")
        .replace("steps:\n", "steps:\n  - { name: look, action: http, with: { url: \"API/health\" } }\n");
    let after = notes("after", "{ run: { runbook: first, ended: done } }");
    let otherwise = notes("otherwise", "{ run: { runbook: first, ended: failed } }");
    let world = opened(&[&*first.leak(), after, otherwise]).await;
    let told = world.is_refused("ana", "/runbook run runbook:after incident:INC-1").await;
    assert!(told.contains("its `trigger` does not name people"), "{told}");
    world.does("ana", "/runbook run runbook:first incident:INC-1").await;
    world.run_comes_to("RUN-2", "done", MINUTE).await;
    world.sees("/incident timeline incident:INC-1", "after was here").await;
    world.service.plan(Which::Every("GET", "/health"), Moment::Before, Fault::Status(404));
    world.does("ana", "/runbook run runbook:first incident:INC-1").await;
    world.run_comes_to("RUN-3", "failed", MINUTE).await;
    world.run_comes_to("RUN-4", "done", MINUTE).await;
    world.sees("/incident timeline incident:INC-1", "otherwise was here").await;
    world.finish().await;
}

/// What the clock starts at half past two, every night.
fn nightly(missed: &str) -> &'static str {
    let trigger = format!("{{ schedule: {{ cron: '30 2 * * *', zone: Europe/Berlin, missed: {missed} }} }}");
    notes("nightly", &trigger)
}

/// A world that begins at this moment.
async fn since(begin: &str, runbook: &'static str) -> World {
    let hand = Hand::at(begin.parse().unwrap());
    let world = World::prepare(Some(hand), Config::default().runbook(runbook)).await;
    world.bot.start().await;
    world
}

/// Twice a year a night has no half past two, or two of them; what is due then happens once.
#[tokio::test(flavor = "multi_thread")]
async fn it_runs_once_in_the_nights_when_the_clocks_change() {
    let runs = async |world: &World| {
        let states = [world.run_state("RUN-1").await, world.run_state("RUN-2").await];
        states.iter().filter(|state| state.as_str() == "done").count()
    };
    // The clocks go from 02:00 to 03:00, which is 01:00 UTC.
    let spring = since("2026-03-29T00:10:00Z", nightly("run")).await;
    spring.clock().leap(45 * MINUTE, 5 * MINUTE).await;
    assert_eq!(runs(&spring).await, 0, "it is 01:55");
    spring.clock().leap(10 * MINUTE, MINUTE).await;
    assert_eq!(runs(&spring).await, 1, "it is 03:05");
    spring.clock().leap(120 * MINUTE, 5 * MINUTE).await;
    assert_eq!(runs(&spring).await, 1);
    spring.finish().await;
    // The clocks go from 03:00 back to 02:00.
    let autumn = since("2026-10-25T00:10:00Z", nightly("run")).await;
    autumn.clock().leap(25 * MINUTE, MINUTE).await;
    assert_eq!(runs(&autumn).await, 1, "it is 02:35");
    autumn.clock().leap(120 * MINUTE, 5 * MINUTE).await;
    assert_eq!(runs(&autumn).await, 1, "it was 02:30 once more");
    autumn.finish().await;
}

/// The bot was down when it was time: that is written down, and what is late is run or left out, as the runbook wants it.
#[tokio::test(flavor = "multi_thread")]
async fn a_missed_time_is_told_and_run_late_or_left_out() {
    for (missed, late) in [("run", "done"), ("skip", "")] {
        let world = since("2026-11-23T01:00:00Z", nightly(missed)).await;
        world.passes(MINUTE).await;
        world.kill();
        world.announce("");
        world.passes(60 * MINUTE).await;
        world.restart().await;
        world.passes(MINUTE).await;
        assert_eq!(world.run_state("RUN-1").await, late, "`missed: {missed}`");
        let why = world.sees("/why runbook:nightly", "`missed`").await;
        assert!(why.contains("2026-11-23T02:30:00 in Europe/Berlin"), "{why}");
        // The next night it is on time.
        world.clock().leap(22 * 60 * MINUTE, 60 * MINUTE).await;
        world.clock().leap(91 * MINUTE, MINUTE).await;
        let next = if missed == "run" { "RUN-2" } else { "RUN-1" };
        world.run_comes_to(next, "done", MINUTE).await;
        let world = world.finish().await;
        let log = world.timeline(0).await;
        let told: Vec<&str> =
            log.iter().map(|entry| entry.draft.text.as_str()).filter(|it| it.contains("`missed`")).collect();
        assert!(told.len() == 1 && told[0].contains("2026-11-23T02:30:00 in Europe/Berlin"), "{told:?}");
        assert_eq!(told[0].contains("it is run late"), missed == "run", "{told:?}");
    }
}
