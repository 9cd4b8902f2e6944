//! A deployment is made of the commit that was asked for, once, from what is live, and followed to its end.

use serde_json::json;

use super::{GOOD, MINUTE, ROLL_BACK, begin, end, roll_back};
use crate::world::github::{Course, LIVE};

/// One request, of the commit itself and with nothing merged into it; the run ends when the deployment does.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_made_once_and_followed_to_its_end() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    roll_back(&world, GOOD, LIVE).await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!(github.made(), [GOOD]);
    let asked = github.asked_of_newest();
    assert_eq!((&asked["ref"], &asked["auto_merge"]), (&json!(GOOD), &json!(false)));
    assert!(asked.get("required_contexts").is_none(), "what was not said is GitHub's to decide");
    let world = end(world, &github).await;
    let (_, journal) = world.run(1).await;
    let record = &journal.0[0];
    assert_eq!(asked["payload"]["firewarden"]["key"], record.effect.as_str(), "a later look finds it by its key");
    assert_eq!(
        record.output,
        json!({
            "id": 2, "sha": GOOD, "environment": "production", "repo": "acme/checkout", "state": "success",
            "url": "https://ci.test/deployments/2",
        })
    );
}

/// Whoever decided did so for what was live then; nothing is deployed over what somebody has deployed since.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deployed_when_something_else_is_live_than_expected() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.somebody_deploys("4343434343434343434343434343434343434343");
    roll_back(&world, GOOD, LIVE).await;
    let seen = world.run_comes_to("RUN-1", "failed", MINUTE).await;
    let why = "`4343434343434343434343434343434343434343` is live in `production` (deployment 2)";
    assert!(seen.contains(why), "{seen}");
    assert_eq!(github.calls("POST", "/deployments"), 0);
    end(world, &github).await;
}

/// A short or symbolic name of a commit could mean another one by the time it is deployed.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_whole_id_of_a_commit_is_deployed() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    roll_back(&world, "main", LIVE).await;
    let seen = world.run_comes_to("RUN-1", "failed", MINUTE).await;
    assert!(seen.contains("`sha` is `main`, not the whole id of a commit"), "{seen}");
    assert_eq!(github.calls("GET", "/deployments") + github.calls("POST", "/deployments"), 0);
    end(world, &github).await;
}

/// GitHub answers 202 when it merged something instead: that is no deployment, and nobody waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_202_is_no_deployment() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.merges_instead();
    roll_back(&world, GOOD, LIVE).await;
    let seen = world.run_comes_to("RUN-1", "failed", MINUTE).await;
    assert!(seen.contains("GitHub made no deployment: it answered 202, Auto-merged main into topic"), "{seen}");
    assert_eq!((github.calls("POST", "/deployments"), github.made().len()), (1, 0));
    end(world, &github).await;
}

/// A deployment that failed may have changed something: people are asked, and Undo deploys what was live before.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_failed_is_held_and_undone_by_one_of_what_was_live() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.go(Course::ends("failure", 30));
    roll_back(&world, GOOD, LIVE).await;
    let seen = world.run_comes_to("RUN-1", "held", MINUTE).await;
    assert!(seen.contains("deployment 2 ended as `failure`: said by the deployer, see https://ci.test"), "{seen}");
    github.go(Course::ends("success", 20));
    world.does("ana", "/runbook answer question:RUN-1 answer:undo").await;
    world.run_comes_to("RUN-1", "undone", MINUTE).await;
    assert_eq!(github.made(), [GOOD, LIVE]);
    end(world, &github).await;
}

/// Undo after success deploys what was live before; but not over what somebody has deployed since.
#[tokio::test(flavor = "multi_thread")]
async fn an_undo_refuses_when_somebody_has_deployed_since() {
    const FAILS: &str = "\n  - name: fails\n    action: assert\n    with: [{ that: \"1 == 2\", else: no_luck }]\n";
    let text: &'static str = Box::leak(format!("{}{FAILS}", ROLL_BACK.trim_end()).into_boxed_str());
    let (world, github) = begin(&[text]).await;
    roll_back(&world, GOOD, LIVE).await;
    world.run_comes_to("RUN-1", "held", MINUTE).await;
    github.somebody_deploys("4343434343434343434343434343434343434343");
    world.does("ana", "/runbook answer question:RUN-1 answer:undo").await;
    let seen = world.run_comes_to("RUN-1", "stuck, undoing", MINUTE).await;
    assert!(seen.contains(&format!("is live in `production` (deployment 3), not `{GOOD}` as expected")), "{seen}");
    assert_eq!(github.made(), [GOOD]);
    world.does("ana", "/runbook answer question:RUN-1 answer:release").await;
    world.run_comes_to("RUN-1", "released", MINUTE).await;
    end(world, &github).await;
}

/// A person mended the deployer and wants it tried anew: what failed is deployed again, not looked up again.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_failed_is_made_anew_when_a_person_says_so() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.go(Course::ends("error", 10));
    roll_back(&world, GOOD, LIVE).await;
    world.run_comes_to("RUN-1", "held", MINUTE).await;
    github.go(Course::ends("success", 10));
    world.does("ana", "/runbook answer question:RUN-1 answer:retry").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!(github.made(), [GOOD, GOOD]);
    end(world, &github).await;
}

/// Without `[github]` a step says so, and nothing else happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_github_says_so() {
    let world = crate::world::World::at_noon_with(crate::world::Config::default().runbook(ROLL_BACK)).await;
    roll_back(&world, GOOD, LIVE).await;
    let seen = world.run_comes_to("RUN-1", "failed", MINUTE).await;
    assert!(seen.contains("GitHub is not configured: add `[github]` to `firewarden.toml`"), "{seen}");
    world.finish().await;
}
