//! Workflows: set off once, followed to the end, and the job and step that fail are named.

use std::time::Duration;

use super::{MINUTE, begin, end};
use crate::world::{
    Moment,
    github::{Course, Trouble},
};

const RESTART: &str = r#"
name: restart-by-workflow
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: restart
    action: github.dispatch_workflow
    with: { repo: acme/checkout, workflow: restart.yml, ref: main, inputs: { replicas: 3 }, key_input: key }
    timeout: 10m
    probe: { action: github.find_workflow_run, settle: 30s }
    output: restarted
  - name: tell
    action: announce
    with: { text: "run {{ restarted.id }} ended as {{ restarted.conclusion }}" }
"#;

const AGAIN: &str = r#"
name: run-again
mode: auto
trigger: { chat: {} }
inputs:
  failed: { type: integer, min: 1, max: 100000 }
target: { service: checkout, environment: production }
steps:
  - name: run it again
    action: github.rerun_workflow
    with: { repo: acme/checkout, run: "{{ failed }}", attempt: 1 }
    timeout: 10m
    repeat: safe
    output: again
  - name: tell
    action: announce
    with: { text: "attempt {{ again.attempt }} ended as {{ again.conclusion }}" }
"#;

/// The run that the dispatch made is the one that is followed, and bears the step's key.
#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_set_off_once_and_followed_to_its_end() {
    let (world, github) = begin(&[RESTART]).await;
    world.does("ana", "/runbook run runbook:restart-by-workflow").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    let world = end(world, &github).await;
    let (_, journal) = world.run(1).await;
    assert_eq!(github.runs(), [(format!("restart.yml {}", journal.0[0].effect), 1)]);
    assert_eq!(journal.0[0].output["conclusion"], "success");
}

/// Whoever is paged reads which job and which step failed, and where.
#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_fails_names_its_job_and_step() {
    let (world, github) = begin(&[RESTART]).await;
    github.go(Course::ends("failure", 30));
    world.does("ana", "/runbook run runbook:restart-by-workflow").await;
    let seen = world.run_comes_to("RUN-1", "held", MINUTE).await;
    let why = "run 2 ended as `failure`: job `restart` failure at step `Drain`, see https://github.test/runs/2";
    assert!(seen.contains(why), "{seen}");
    end(world, &github).await;
}

/// The answer to the dispatch was lost: the run is found by the key in its title, and no second one is set off.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispatch_whose_answer_was_lost_is_found_by_its_key() {
    let (world, github) = begin(&[RESTART]).await;
    github.go(Course::ends("success", 90));
    github.plan("POST", "/dispatches", Moment::After, Trouble::Status(502));
    world.does("ana", "/runbook run runbook:restart-by-workflow").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!((github.calls("POST", "/dispatches"), github.runs().len()), (1, 1));
    end(world, &github).await;
}

/// A run that failed is run again; where the answer is lost, the newer attempt is followed and none is begun besides.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_run_again_once() {
    let (world, github) = begin(&[RESTART, AGAIN]).await;
    github.go(Course::ends("failure", 10));
    world.does("ana", "/runbook run runbook:restart-by-workflow").await;
    world.run_comes_to("RUN-1", "held", MINUTE).await;
    world.does("ana", "/runbook answer question:RUN-1 answer:release").await;
    github.go(Course::ends("success", 40));
    github.plan("POST", "/rerun-failed-jobs", Moment::After, Trouble::Reset);
    world.does("ana", "/runbook run runbook:run-again inputs:failed=2").await;
    world.run_comes_to("RUN-2", "done", 5 * MINUTE).await;
    assert_eq!(github.calls("POST", "/rerun-failed-jobs"), 1);
    assert_eq!(github.runs()[0].1, 2);
    assert!(world.now().since(world.begun()) > Duration::from_secs(40));
    let world = end(world, &github).await;
    let (_, journal) = world.run(2).await;
    assert_eq!(journal.of("1", firewarden::domain::runs::Pass::Do).last().unwrap().output["attempt"], 2);
}
