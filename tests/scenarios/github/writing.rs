//! Issues, comments, reverts and comparisons: what people read is written once, and found again by its hidden key.

use std::sync::Arc;

use super::{MINUTE, begin, end};
use crate::world::{Moment, github::Trouble};

const WRITE: &str = r#"
name: write-down
mode: auto
trigger: { chat: {} }
inputs:
  pull: { type: integer, min: 1, max: 1000 }
target: { service: checkout, environment: production }
steps:
  - name: what changed
    action: github.compare
    with: { repo: acme/checkout, base: v41, head: v42 }
    output: between
  - name: open an issue
    action: github.create_issue
    with:
      repo: acme/checkout
      title: "Checkout was rolled back"
      body: "{{ between.ahead_by }} commits, {{ between.files.[1] }}"
      labels: [incident]
    timeout: 1m
    probe: { action: github.find_issue, settle: 10s }
    irreversible: true
    output: issue
  - name: comment on it
    action: github.comment
    with: { repo: acme/checkout, number: "{{ issue.number }}", body: "Hello" }
    timeout: 1m
    probe: { action: github.find_comment, settle: 10s }
    irreversible: true
  - name: revert it
    action: github.revert_pull_request
    with: { repo: acme/checkout, number: "{{ pull }}", body: "It broke checkout" }
    timeout: 1m
    probe: { action: github.find_pull_request, settle: 10s }
    irreversible: true
    output: reverted
  - name: tell
    action: announce
    with: { text: "see {{ issue.url }} and {{ reverted.url }}" }
"#;

/// All of it, each once, with the key of its step where people do not see it.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_read_is_written_once_with_its_key() {
    let (world, github) = begin(&[WRITE]).await;
    let pull = github.has_pull_request(true);
    world.does("ana", &format!("/runbook run runbook:write-down inputs:pull={pull}")).await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    let world = end(world, &github).await;
    let (_, journal) = world.run(1).await;
    let key = |step: usize| format!("<!-- firewarden: {} -->", journal.0[step].effect);
    let issues = github.written("issues");
    assert_eq!(issues[0].1, format!("3 commits, migrations/0007_carts.sql\n\n{}", key(1)));
    assert_eq!(github.written("comments")[0].1, format!("Hello\n\n{}", key(2)));
    assert_eq!(github.written("pulls")[1].1, format!("It broke checkout\n\n{}", key(3)));
    assert_eq!((issues.len(), github.written("comments").len(), github.written("pulls").len()), (1, 1, 2));
}

/// Each answer is lost in turn, or the bot is killed by its own request: everything is found, and nothing stands twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_and_not_answered_is_found() {
    for path in ["/issues", "/comments", "/graphql"] {
        for is_killed in [false, true] {
            let (world, github) = begin(&[WRITE]).await;
            let pull = github.has_pull_request(true);
            let bot = world.bot.clone();
            let strike = Trouble::Strike(Arc::new(move || bot.kill()));
            let trouble = if is_killed { strike } else { Trouble::Status(502) };
            github.plan("POST", path, Moment::After, trouble);
            world.does("ana", &format!("/runbook run runbook:write-down inputs:pull={pull}")).await;
            if is_killed {
                assert!(crate::world::until(20, async || !world.bot.is_alive()).await, "{path} kills the bot");
                world.restart().await;
            }
            world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
            let counts = ["issues", "comments", "pulls"].map(|sort| github.written(sort).len());
            assert_eq!(counts, [1, 1, 2], "{path}");
            end(world, &github).await;
        }
    }
}

/// GraphQL refuses with the status 200; a pull request that is not merged is not even tried.
#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_was_not_merged_is_not_reverted() {
    let (world, github) = begin(&[WRITE]).await;
    let pull = github.has_pull_request(false);
    world.does("ana", &format!("/runbook run runbook:write-down inputs:pull={pull}")).await;
    let seen = world.run_comes_to("RUN-1", "held", MINUTE).await;
    assert!(seen.contains(&format!("pull request {pull} is not merged")), "{seen}");
    assert_eq!(github.calls("POST", "/graphql"), 0);
    end(world, &github).await;
}
