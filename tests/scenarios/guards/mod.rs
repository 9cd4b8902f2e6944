//! Guards: each refuses what it is for, `/why` says so by its code, and each lets pass what is in order.

mod answers;
mod approvals;
mod bans;
mod bounds;
mod breaker;
mod budget;
mod bulkhead;
mod concurrency;
mod cooldown;
mod firing;
mod freezes;
mod halts;
mod locks;
mod target;
mod unreadable;

use std::time::Duration;

use crate::world::{Config, World, alert};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A runbook of this name that restarts the service of the story, with these lines before its steps, and these steps
/// before the restart.
fn restarts(name: &str, lines: &str, before: &str) -> &'static str {
    format!(
        "name: {name}\nmode: auto\ntrigger: {{ chat: {{}} }}\ntarget: {{ service: checkout, environment: production }}\n\
         {lines}\nsteps:\n{before}  - name: restart\n    action: http\n    \
         with: {{ method: POST, url: \"API/restart\", body: {{}} }}\n    timeout: 1m\n    repeat: safe\n"
    )
    .leak()
}

/// A world with these runbooks and lines of the configuration in which an incident is open, so that `/why` has a place.
async fn opened(runbooks: &[&'static str], lines: &str) -> World {
    let config = runbooks.iter().fold(Config::default(), |config, text| config.runbook(text));
    let world = World::at_noon_with(config.with(lines)).await;
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    world.sees("/incident show incident:INC-1", "1 firing").await;
    world
}

/// Asks for a run that must not start, and that `/why` explains by this code.
async fn is_refused(world: &World, person: &'static str, runbook: &str, code: &str) -> String {
    let told = world.is_refused(person, &format!("/runbook run runbook:{runbook} incident:INC-1")).await;
    assert!(told.contains(&format!("the reason is `{code}`")), "{told}");
    world.sees("/why incident:INC-1", code).await;
    told
}

/// Asks for a run and waits until everything is done.
async fn is_done(world: &World, person: &'static str, runbook: &str, run: &str) {
    world.does(person, &format!("/runbook run runbook:{runbook} incident:INC-1")).await;
    world.run_comes_to(run, "done", MINUTE).await;
}

/// How often something was done to the service.
fn effects(world: &World) -> usize {
    world.service.checkout.effects().len()
}
