//! `firewarden runbook plan`: what a run would do, from the store itself, beside a running bot or without one.

mod text;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use clap::Args;

use super::{Failure, say, store, warn};
use crate::{
    adapters::{clock::SystemClock, http::Outbound, programs::Processes},
    app::{
        config::{Config, Look},
        ports,
        ruleset::Ruleset,
    },
    domain::{people::PersonId, runbooks::plan::Target},
    engine::{
        Stop,
        ports::{Clock, CodeHost, Http},
        runs::foresee::{self, World},
    },
};

/// What is asked about.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// The runbook, by its name.
    name: String,
    /// An input; may be given several times.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// What it shall be aimed at; fills the inputs that say only that.
    #[arg(long, value_name = "SERVICE/ENVIRONMENT")]
    target: Option<String>,
    /// Who would ask for it: their own agreement does not count, and their own lock does not keep them out.
    #[arg(long = "as", value_name = "PERSON")]
    person: Option<String>,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints what a run would do.
pub(super) async fn plan(config: &Path, asked: &Asked) -> Result<(), Failure> {
    let about = foresee::Asked {
        runbook: asked.name.clone(),
        given: inputs(&asked.inputs)?,
        target: asked.target.as_deref().map(target).transpose()?,
        requester: asked.person.clone().map(PersonId),
    };
    let config = Config::load(config, Look::WithoutSecrets)?;
    let ruleset = Ruleset::load(&config, &Ruleset::default(), Look::WithoutSecrets);
    if !ruleset.problems.is_empty() && !ruleset.runbooks.contains_key(&asked.name) {
        return Err(ruleset.problems.into());
    }
    let rules = ruleset.rules(&config);
    let store = store::opened(config.store()?, "").await?;
    let http: Arc<dyn Http> = Arc::new(Outbound::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let code_host = match ports::github(&config, &http, &clock) {
        Ok(github) => github.map(|github| github as Arc<dyn CodeHost>),
        Err(error) => {
            warn(&format!("note: GitHub is left out: {error:#}"));
            None
        }
    };
    let ports = ports::ports(&config, &http, Arc::new(Processes), (&clock, code_host));
    let world = World { store: &store, rules: &rules, ports: &ports };
    let outlook = match Stop::sort(foresee::foresee(world, about).await)? {
        Ok(outlook) => outlook,
        Err(refusal) => return Err(Failure::Misused(refusal.to_string())),
    };
    if asked.json {
        say(&serde_json::to_string_pretty(&outlook).map_err(anyhow::Error::from)?);
    } else {
        say(&text::written(&outlook));
    }
    match &outlook.refused {
        None => Ok(()),
        Some(stopped) => Err(Failure::Refused(text::refused(&outlook, stopped))),
    }
}

fn inputs(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut inputs = BTreeMap::new();
    for text in given {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::Misused(format!("`{text}` is not an input\nhint: write it as `--input name=value`")));
        };
        if inputs.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::Misused(format!("`{name}` is given twice\nhint: give each input once")));
        }
    }
    Ok(inputs)
}

fn target(text: &str) -> Result<Target, Failure> {
    match text.split_once('/') {
        Some((service, environment)) if !service.is_empty() && !environment.is_empty() => {
            Ok(Target { service: service.to_owned(), environment: environment.to_owned() })
        }
        Some(_) | None => {
            Err(Failure::Misused(format!("`{text}` is not a target\nhint: write it as `checkout/production`")))
        }
    }
}
