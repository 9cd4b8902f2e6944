//! GitHub: what runbooks do there happens once, is followed to its end, and is refused when it should be.

mod app;
mod deploy;
mod doubt;
mod limits;
mod rollback;
mod workflows;
mod writing;

use std::time::Duration;

use crate::world::{Config, Hand, World, github::GitHub};

const MINUTE: Duration = Duration::from_mins(1);
/// The commit that stories deploy.
const GOOD: &str = "4141414141414141414141414141414141414141";

/// Rolls back as the design has it: the probe and the undo take the repository and the environment from their step.
const ROLL_BACK: &str = r#"
name: roll-back
mode: auto
trigger: { chat: {} }
inputs:
  sha: { type: text }
  live: { type: text }
target: { service: checkout, environment: production }
steps:
  - name: roll back
    action: github.deploy
    with: { repo: acme/checkout, environment: production, sha: "{{ sha }}", expect_live: "{{ live }}" }
    timeout: 10m
    probe: { action: github.find_deployment, settle: 60s }
    undo: { action: github.deploy, with: { sha: "{{ live }}", expect_live: "{{ sha }}" } }
    output: deployment
  - name: tell
    action: announce
    with: { text: "{{ deployment.sha }} is {{ deployment.state }}, see {{ deployment.url }}" }
"#;

/// A bot whose clock the story turns, beside a GitHub by the same clock.
async fn begin(runbooks: &[&'static str]) -> (World, GitHub) {
    let clock = Hand::at("2026-11-23T12:00:00Z".parse().unwrap());
    let github = GitHub::start(clock.clone()).await;
    let config = Config::default().with(&github.config());
    let config = runbooks.iter().fold(config, |config, text| config.runbook(text));
    let world = World::prepare(Some(clock), config).await;
    GitHub::keep_token(world.folder());
    world.bot.start().await;
    (world, github)
}

/// Ends the story with the bot and with GitHub. What is shown of the bot's token anywhere fails it.
async fn end(world: World, github: &GitHub) -> World {
    let world = world.finish().await;
    github.finish().await;
    assert!(!world.bot.log().contains("github-token-of-the-story"), "the log shows the token");
    world
}

/// Sets off the rollback.
async fn roll_back(world: &World, sha: &str, live: &str) {
    world.does("ana", &format!("/runbook run runbook:roll-back inputs:\"sha={sha} live={live}\"")).await;
}
