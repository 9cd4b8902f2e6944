//! Doubt at GitHub: an answer that was lost, and a bot that was killed, make no second deployment.

use std::sync::Arc;

use super::{GOOD, MINUTE, ROLL_BACK, begin, end, roll_back};
use crate::world::{
    Moment, World,
    github::{Course, GitHub, LIVE, Trouble},
};

/// One deployment was made, and both looked for and followed.
async fn is_done_once(world: World, github: &GitHub) {
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!((github.calls("POST", "/deployments"), github.made().len()), (1, 1));
    let world = end(world, github).await;
    let (_, journal) = world.run(1).await;
    let done = &journal.0[0];
    assert_eq!(done.output["state"], "success", "later steps read what the look found: {done:?}");
}

/// 502 after the deployment was made: a retry would make a second one, so it is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_502_after_the_deployment_was_made_is_looked_for_and_found() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.plan("POST", "/deployments", Moment::After, Trouble::Status(502));
    roll_back(&world, GOOD, LIVE).await;
    is_done_once(world, &github).await;
}

/// 502 before it was made: two looks, a minute apart, prove it, and it is made then.
#[tokio::test(flavor = "multi_thread")]
async fn a_502_before_the_deployment_was_made_is_made_after_two_looks() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.plan("POST", "/deployments", Moment::Before, Trouble::Status(502));
    roll_back(&world, GOOD, LIVE).await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!((github.calls("POST", "/deployments"), github.made().len()), (2, 1));
    assert!(world.now().since(world.begun()) >= MINUTE, "the looks are apart");
    end(world, &github).await;
}

/// The connection breaks after the request was written: nobody knows, so it is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_leaves_one_deployment() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.plan("POST", "/deployments", Moment::After, Trouble::Reset);
    roll_back(&world, GOOD, LIVE).await;
    is_done_once(world, &github).await;
}

/// Killed by its own request, and while it follows: one deployment either way.
#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_is_killed_in_the_middle_leaves_one_deployment() {
    for (method, path) in [("POST", "/deployments"), ("GET", "/2/statuses")] {
        let (world, github) = begin(&[ROLL_BACK]).await;
        let bot = world.bot.clone();
        github.plan(method, path, Moment::After, Trouble::Strike(Arc::new(move || bot.kill())));
        roll_back(&world, GOOD, LIVE).await;
        assert!(crate::world::until(20, async || !world.bot.is_alive()).await, "{method} {path} kills the bot");
        world.restart().await;
        is_done_once(world, &github).await;
    }
}

/// A look that finds a failed deployment does not take it for one that never was, nor for a good one.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_finds_a_failed_deployment_says_that_it_failed() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.go(Course::ends("failure", 20));
    github.plan("POST", "/deployments", Moment::After, Trouble::Status(502));
    roll_back(&world, GOOD, LIVE).await;
    let seen = world.run_comes_to("RUN-1", "held", 5 * MINUTE).await;
    assert!(seen.contains("deployment 2 ended as `failure`"), "{seen}");
    assert_eq!(github.made(), [GOOD]);
    end(world, &github).await;
}

/// The step's time ends before the deployment does: it was made, so it is followed on, and not said to have failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_takes_longer_than_its_step_is_followed_on() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.go(Course::ends("success", 15 * 60));
    roll_back(&world, GOOD, LIVE).await;
    world.run_comes_to("RUN-1", "done", 20 * MINUTE).await;
    assert_eq!(github.made(), [GOOD]);
    end(world, &github).await;
}
