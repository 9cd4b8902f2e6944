//! Programs that a runbook starts end with their step, with everything that they started themselves.

use std::{fs, path::Path, time::Duration};

use crate::world::{Config, World, until};

/// A script whose background process would go on for an hour.
const LINGERS: &str = r#"
name: lingers
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: start something and hang
    action: shell
    with:
      script: |
        sh -c 'trap "" TERM HUP; sleep 3600 & echo $! > grandchild; wait' &
        echo $$ > child
        wait
    timeout: 1s
    irreversible: true
"#;

/// A step that took too long and goes on in the background changes things after people were told that it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_too_long_is_killed_with_all_that_it_started() {
    let world = World::start_with(Config::default().runbook(LINGERS)).await;
    let folder = world.folder().to_owned();
    world.does("ana", "/runbook run runbook:lingers").await;
    let started = until(10, async || pid(&folder, "grandchild").is_some_and(is_alive)).await;
    assert!(started, "the script started its grandchild");
    let grandchild = pid(&folder, "grandchild").unwrap();

    world.sees("/runbook show name:RUN-1", "in doubt").await;
    assert!(until(5, async || !is_alive(grandchild)).await, "the grandchild is gone");
    assert!(!is_alive(pid(&folder, "child").unwrap()), "the script is gone");
    let card = world.run_comes_to("RUN-1", "in doubt", Duration::ZERO).await;
    assert!(card.contains("It happened"), "what it did is asked about:\n{card}");
    world.does("ana", "/runbook answer question:RUN-1 answer:abort").await;
    world.run_comes_to("RUN-1", "failed", Duration::ZERO).await;
    world.finish().await;
}

fn pid(folder: &Path, name: &str) -> Option<u32> {
    fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
}

/// Whether a process runs; one that has ended and waits for its parent does not.
fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    stat.rsplit(')').next().is_some_and(|rest| !matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None))
}
