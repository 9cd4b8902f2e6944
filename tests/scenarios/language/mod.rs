//! What the language of runbooks has beside steps that follow each other, one file for each construct.

mod alerts;
mod children;
mod ends;
mod lanes;
mod steer;
mod timeouts;
mod triggers;

use std::time::Duration;

use crate::world::{Config, World, alert};

const MINUTE: Duration = Duration::from_mins(1);

/// A world with these runbooks in which the incident `INC-1` is open, so that there is a timeline to read.
async fn opened(runbooks: &[&'static str]) -> World {
    let config = runbooks.iter().fold(Config::default(), |config, text| config.runbook(text));
    let world = World::at_noon_with(config).await;
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    world.sees("/incident show incident:INC-1", "1 firing").await;
    world
}

/// A runbook of this name that changes nothing: started by this, it writes into the incident that it ran.
fn notes(name: &str, trigger: &str) -> &'static str {
    format!(
        "name: {name}\nmode: auto\ntrigger: {trigger}\ntarget: {{ service: checkout, environment: production }}\n\
         steps:\n  - {{ name: note it, action: incident.update, with: {{ note: \"{name} was here\" }} }}\n"
    )
    .leak()
}
