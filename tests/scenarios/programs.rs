//! Programs that a runbook starts end with their step, with everything that they started themselves.

use std::{fs, path::Path, time::Duration};

use crate::world::{Config, World, store::is_on_postgres, until};

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
    timeout: 5s
    irreversible: true
"#;

/// A script that hangs the first time, and is sent again.
const AGAIN: &str = r#"
name: again
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: change something slowly
    action: shell
    with:
      script: |
        echo "$FIREWARDEN_KEY" >> begun
        if [ ! -e first ]; then
          echo $$ > first
          sleep 3600 & echo $! > grandchild
          wait
        fi
        echo over >> ended
    timeout: 1h
    repeat: safe
"#;

/// A step that took too long and goes on in the background changes things after people were told that it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_too_long_is_killed_with_all_that_it_started() {
    let world = World::start_with(Config::default().runbook(LINGERS)).await;
    let folder = world.folder().to_owned();
    world.does("ana", "/runbook run runbook:lingers").await;
    // It lives as long as the timeout, which a busy machine may spend on other things: it is not looked for before.
    world.sees("/runbook show name:RUN-1", "in doubt").await;
    let grandchild = pid(&folder, "grandchild").expect("the script started its grandchild");
    assert!(until(5, async || !is_alive(grandchild)).await, "the grandchild is gone");
    assert!(!is_alive(pid(&folder, "child").unwrap()), "the script is gone");
    let card = world.run_comes_to("RUN-1", "in doubt", Duration::ZERO).await;
    assert!(card.contains("It happened"), "what it did is asked about:\n{card}");
    world.does("ana", "/runbook answer question:RUN-1 answer:abort").await;
    world.run_comes_to("RUN-1", "failed", Duration::ZERO).await;
    world.finish().await;
}

/// The bot is killed, and what it had started goes on: sent again beside it, the change would be made twice at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_a_killed_bot_is_ended_before_its_step_is_repeated() {
    let world = World::at_noon_with(Config::default().runbook(AGAIN)).await;
    let folder = world.folder().to_owned();
    world.does("ana", "/runbook run runbook:again").await;
    assert!(until(20, async || pid(&folder, "grandchild").is_some()).await, "the script is in the middle");
    let (first, grandchild) = (pid(&folder, "first").unwrap(), pid(&folder, "grandchild").unwrap());
    world.kill();
    assert!(is_alive(first) && is_alive(grandchild), "both outlive the bot");

    world.restart().await;
    if is_on_postgres() {
        // Whoever began it may be on another machine, where nobody can look: people are asked.
        world.run_comes_to("RUN-1", "in doubt", Duration::ZERO).await;
        assert!(!is_alive(first), "what is on this machine is ended before anybody is asked");
        world.does("ben", "/runbook answer question:RUN-1 answer:did-not-happen").await;
    }
    world.run_comes_to("RUN-1", "done", Duration::from_mins(1)).await;
    assert!(!is_alive(first) && !is_alive(grandchild), "nothing of the first attempt is left");
    let begun = fs::read_to_string(folder.join("begun")).unwrap();
    let keys: Vec<&str> = begun.lines().collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "it is sent again under its key: {keys:?}");
    assert_eq!(fs::read_to_string(folder.join("ended")).unwrap(), "over\n", "it came to its end once");
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
