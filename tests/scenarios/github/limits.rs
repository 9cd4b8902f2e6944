//! Limits and outages: what was refused did not happen and is waited for; what is not answered is told, and read again.

use std::time::Duration;

use super::{GOOD, MINUTE, ROLL_BACK, begin, end, roll_back};
use crate::world::{
    Moment,
    github::{LIVE, Trouble},
};

/// The primary limit says until when; nothing is asked before, and the deployment is made after.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_used_up_is_waited_out() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.allows(2, 3 * MINUTE);
    roll_back(&world, GOOD, LIVE).await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert!(world.now().since(world.begun()) >= 3 * MINUTE);
    assert_eq!((github.calls("POST", "/deployments"), github.made().len()), (1, 1), "the limit was known before");
    assert!(world.bot.log().contains("GitHub's rate limit is used up"), "it is told");
    end(world, &github).await;
}

/// A write that the secondary limit refuses did not happen: it is sent again when GitHub says so, and in no doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_comes_too_soon_is_sent_when_github_says_so() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.plan("POST", "/deployments", Moment::Before, Trouble::Secondary(Duration::from_secs(45)));
    roll_back(&world, GOOD, LIVE).await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!((github.calls("POST", "/deployments"), github.made().len()), (2, 1));
    let world = end(world, &github).await;
    assert_eq!(world.run(1).await.1.0.len(), 2, "two steps, each attempted once");
}

/// Much may happen while one waits: what is live is looked at again before the write is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deployed_over_what_somebody_deployed_during_the_wait() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.plan("POST", "/deployments", Moment::Before, Trouble::Secondary(Duration::from_secs(45)));
    roll_back(&world, GOOD, LIVE).await;
    assert!(crate::world::until(20, async || github.calls("POST", "/deployments") == 1).await, "it is refused");
    github.somebody_deploys("4343434343434343434343434343434343434343");
    let seen = world.run_comes_to("RUN-1", "failed", 5 * MINUTE).await;
    assert!(seen.contains("is live in `production` (deployment 2)"), "{seen}");
    assert_eq!((github.calls("POST", "/deployments"), github.made().len()), (1, 0));
    end(world, &github).await;
}

/// Whoever halts everything while a write waits for its limit is obeyed.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_is_not_tried_again_after_a_halt() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.plan("POST", "/deployments", Moment::Before, Trouble::Secondary(Duration::from_secs(45)));
    roll_back(&world, GOOD, LIVE).await;
    assert!(crate::world::until(20, async || github.calls("POST", "/deployments") == 1).await, "it is refused");
    let (is_done, said) = world.program("ana", &["halt"]).await;
    assert!(is_done, "{said}");
    world.run_comes_to("RUN-1", "held", 5 * MINUTE).await;
    assert_eq!((github.calls("POST", "/deployments"), github.made().len()), (1, 0));
    end(world, &github).await;
}

/// A limit that ends only after the step's time is not waited for: it is a plain failure that says until when.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_takes_too_long_is_a_plain_failure() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.allows(0, 40 * MINUTE);
    roll_back(&world, GOOD, LIVE).await;
    let seen = world.run_comes_to("RUN-1", "failed", MINUTE).await;
    assert!(seen.contains("GitHub's rate limit is used up until 12:40:01"), "{seen}");
    assert_eq!(github.calls("POST", "/deployments"), 0);
    end(world, &github).await;
}

/// GitHub is down for a while: reads are tried again, whoever looks at the bot's health is told, and the run goes on.
#[tokio::test(flavor = "multi_thread")]
async fn reads_outlast_an_outage_and_say_so() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.plan_times(4, "GET", "/deployments", &Trouble::Status(503));
    roll_back(&world, GOOD, LIVE).await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    assert_eq!((github.calls("GET", "/deployments"), github.made().len()), (5, 1));
    assert!(world.bot.log().contains("GitHub cannot be asked"), "{}", world.bot.log());
    end(world, &github).await;
}

/// An outage that outlasts the step ends it before anything was changed.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_outlasts_the_step_changes_nothing() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.plan_times(1_000, "GET", "/deployments", &Trouble::Status(503));
    roll_back(&world, GOOD, LIVE).await;
    world.clock().step(MINUTE).await;
    world.sees("/bot health", "GitHub cannot be asked: GitHub answered 503").await;
    let seen = world.run_comes_to("RUN-1", "failed", 11 * MINUTE).await;
    assert!(seen.contains("GitHub cannot be asked,") && seen.contains("times in a row"), "{seen}");
    assert_eq!(github.calls("POST", "/deployments"), 0);
    end(world, &github).await;
}

/// What GitHub refuses is neither tried again nor in doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_plain_failure_and_is_not_sent_again() {
    let (world, github) = begin(&[ROLL_BACK]).await;
    github.plan("POST", "/deployments", Moment::Before, Trouble::Refusal(409, "Conflict merging main into topic"));
    roll_back(&world, GOOD, LIVE).await;
    let seen = world.run_comes_to("RUN-1", "failed", MINUTE).await;
    assert!(seen.contains("GitHub answered 409: Conflict merging main into topic"), "{seen}");
    assert_eq!(github.calls("POST", "/deployments"), 1);
    end(world, &github).await;
}
