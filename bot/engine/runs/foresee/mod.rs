//! Finds out what a run would do, without doing it: what it reads is read, what it changes is not changed.
//!
//! Nothing is written, neither outside nor into the store, which may be that of a bot at work. What is read only after
//! something was changed is not read, for it would be another thing then; whatever depends on it says so.

mod reads;
mod rulings;
mod walk;

use std::collections::BTreeMap;

use serde_json::Value;

use self::walk::Walk;
use super::{
    Ports, actions,
    judge::{self, Aim},
    start::Wish,
};
use crate::{
    domain::{
        people::{Actor, PersonId},
        runbooks::{
            plan::{InputSource, Mode, Plan, Target},
            template, words,
        },
        runs::{budgets::Cost, outlook::Outlook},
    },
    engine::{Refusal, Rules, Stop},
    store::ReadOnly,
};

/// What a run would meet.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The store, which is only read.
    pub store: &'a ReadOnly,
    /// The rules in force.
    pub rules: &'a Rules,
    /// The outside, of which only what reads is asked.
    pub ports: &'a Ports,
}

/// The run that is asked about.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Its runbook.
    pub runbook: String,
    /// Its inputs, as a person gives them.
    pub given: BTreeMap<String, String>,
    /// What it shall be aimed at: inputs that nobody gave and that say only that are filled by it.
    pub target: Option<Target>,
    /// Who would ask for it; their own agreement does not count, and their own lock does not keep them out.
    pub requester: Option<PersonId>,
}

/// What this run would do at this moment.
///
/// # Errors
/// There is no such runbook, or it cannot be run with what is given; the store is in trouble.
pub async fn foresee(world: World<'_>, asked: Asked) -> Result<Outlook, Stop> {
    let runbooks = &world.rules.runs.runbooks;
    let Some(plan) = runbooks.get(&asked.runbook) else { return Err(no_such(&asked.runbook, runbooks).into()) };
    let mut given = asked.given;
    if let Some(target) = &asked.target {
        aim_by(plan, target, &mut given);
    }
    let requested_by = asked.requester.clone().map_or(Actor::Bot, Actor::Person);
    let wish = Wish { given, ..Wish::new(plan, requested_by, String::new()) };
    let aim = judge::aim(world.rules, &wish).map_err(Refusal::new)?;
    if let Some(wanted) = asked.target.filter(|wanted| *wanted != aim.target) {
        let what = format!("Cannot plan `{}` for `{wanted}`: it is aimed at `{}`", plan.name, aim.target);
        return Err(Refusal::new(what).hint("give it other inputs, or another `--target`").into());
    }
    // Found once, so that what is shown can be cleared of them; one that is missing is missed by its step.
    for name in plan.secrets() {
        let _found = world.ports.secrets.find(&name);
    }
    let mode = plan.mode.min(world.rules.runs.mode);
    let origin = Origin { requester: asked.requester, mode, depth: 1, changed: None, spent: Cost::default() };
    let (outlook, _) = outlook(world, plan, aim, origin).await?;
    let secrets = world.ports.secrets.known();
    Ok(outlook.each_text(&|text: &str| actions::without_secrets(text, &secrets)).sealed())
}

/// From where a run would come.
struct Origin {
    requester: Option<PersonId>,
    mode: Mode,
    /// How many runs would wait for each other, this one included.
    depth: usize,
    /// The step that has changed something by then.
    changed: Option<String>,
    /// What was taken from the budget by then.
    spent: Cost,
}

/// What this run would do, and what is taken from the budget by its end.
async fn outlook(world: World<'_>, plan: &Plan, mut aim: Aim, origin: Origin) -> Result<(Outlook, Cost), Stop> {
    let now = world.ports.clock.now();
    let mut outlook = Outlook::begun(plan, aim.target.clone(), origin.mode, aim.inputs.clone());
    let start = rulings::at_start(world, plan, &mut aim, &origin, now).await?;
    outlook.refused = start.refused();
    outlook.guards = start.rulings;
    let mut walk = Walk::new(world, plan, (aim.inputs, aim.target), (origin, start.breaker), now);
    outlook.steps = walk.main().await?;
    outlook.before_mutation = walk.aside(&plan.on_failure.before_mutation).await?;
    outlook.after_mutation = walk.aside(&plan.on_failure.after_mutation).await?;
    outlook.finally = walk.aside(&plan.finally).await?;
    outlook.refused = outlook.refused.or(walk.refused);
    outlook.approval = walk.approval;
    Ok((outlook.sealed(), walk.spent))
}

fn no_such<P>(name: &str, known: &BTreeMap<String, P>) -> Refusal {
    let refusal = Refusal::new(format!("There is no runbook `{name}`"));
    refusal.hint(match words::nearest(name, known.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "put its file where `[runbooks] directory` says".to_owned(),
        None => format!("there is {}", words::listed(&known.keys().map(String::as_str).collect::<Vec<_>>())),
    })
}

/// Gives the inputs that say nothing but what the run is aimed at, unless somebody has given them.
fn aim_by(plan: &Plan, target: &Target, given: &mut BTreeMap<String, String>) {
    let parts = [(&plan.target.service, &target.service), (&plan.target.environment, &target.environment)];
    for (text, value) in parts {
        let paths = template::variables(text).unwrap_or_default();
        let ([path], true) = (paths.as_slice(), template::is_path(text)) else { continue };
        let input = plan.inputs.iter().find(|input| path.len() == 1 && path.first() == Some(&input.name));
        if let Some(input) = input.filter(|input| matches!(input.source, InputSource::Given { .. })) {
            given.entry(input.name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// The inputs of a run that another one starts, as a person would give them.
fn given_by(with: &Value) -> BTreeMap<String, String> {
    let inputs = with.get("inputs").and_then(Value::as_object);
    let written = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    inputs.into_iter().flatten().map(|(name, value)| (name.clone(), written(value))).collect()
}
