//! Which runbook does what people want done: the one that the catalog names, else the one that says it is for it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    domain::runbooks::{
        condition,
        plan::{InputSource, Operation, Plan, Target},
        scope::Scope,
        words,
    },
    engine::{Refusal, Rules},
};

/// What somebody wants done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) operation: Operation,
    pub(super) service: &'a str,
    /// Where, if they say so.
    pub(super) environment: Option<&'a str>,
}

impl Wanted<'_> {
    /// What a refusal says cannot be done, with the service.
    pub(super) fn words(&self) -> String {
        let verb = match self.operation {
            Operation::Rollback => "roll back",
            Operation::Scale => "scale",
            Operation::Restart => "restart",
        };
        format!("{verb} `{}`", self.service)
    }

    fn command(&self) -> String {
        format!("/{} service:{}", self.operation.word(), self.service)
    }
}

/// A runbook that does it, where it does it, and what it is given for that.
#[derive(Debug, Clone)]
pub(super) struct Chosen<'r> {
    pub(super) plan: &'r Plan,
    pub(super) target: Target,
    pub(super) given: BTreeMap<String, String>,
}

impl Chosen<'_> {
    /// Whether the runbook takes this.
    pub(super) fn takes(&self, input: &str) -> bool {
        is_open(self.plan, input)
    }
}

/// The runbook that does it.
///
/// The catalog's word counts first. Else those that declare the command and whose condition holds there go before those
/// that declare it for anything.
pub(super) fn choose<'r>(rules: &'r Rules, wanted: &Wanted<'_>) -> Result<Chosen<'r>, Refusal> {
    let mut all = candidates(rules, wanted)?;
    let places: BTreeSet<String> = all.iter().map(|chosen| chosen.target.environment.clone()).collect();
    let places: Vec<String> = places.into_iter().collect();
    match places.as_slice() {
        [] => return Err(nothing_does(wanted)),
        [_] => {}
        [first, ..] => {
            let what = format!("Cannot {}: it is in {}", wanted.words(), words::listed(&places));
            return Err(Refusal::new(what).hint(format!("say where: `{} environment:{first}`", wanted.command())));
        }
    }
    match (all.pop(), all.is_empty()) {
        (Some(chosen), true) => Ok(chosen),
        (last, _) => {
            let names: Vec<&str> = all.iter().chain(&last).map(|chosen| chosen.plan.name.as_str()).collect();
            let what = format!("Cannot {}: {} are all for it", wanted.words(), words::listed(&names));
            let word = wanted.operation.word();
            Err(Refusal::new(what).hint(format!(
                "name one in the catalog of services, `runbooks: {{ {word}: {} }}`, or `/runbook run` one",
                names.first().copied().unwrap_or_default()
            )))
        }
    }
}

fn nothing_does(wanted: &Wanted<'_>) -> Refusal {
    let there = wanted.environment.map(|there| format!(" in `{there}`")).unwrap_or_default();
    let word = wanted.operation.word();
    Refusal::new(format!("Cannot {}{there}: no runbook does it", wanted.words())).hint(format!(
        "declare `trigger: {{ chat: {{ command: {word} }} }}` in one, or name one in the catalog of services, \
         `runbooks: {{ {word}: … }}`"
    ))
}

/// The best runbooks for each place in which it may be wanted.
fn candidates<'r>(rules: &'r Rules, wanted: &Wanted<'_>) -> Result<Vec<Chosen<'r>>, Refusal> {
    let operation = wanted.operation;
    let listed = rules.catalog.services.get(wanted.service).map(|service| service.environments.keys());
    let listed: Vec<&str> = listed.into_iter().flatten().map(String::as_str).collect();
    let mut places: BTreeMap<Target, Vec<(u8, Chosen<'r>)>> = BTreeMap::new();
    for plan in rules.runs.runbooks.values().filter(|plan| plan.trigger.chat) {
        let tried: Vec<Option<&str>> = match wanted.environment {
            Some(environment) => vec![Some(environment)],
            None if is_open(plan, "environment") && !listed.is_empty() => listed.iter().copied().map(Some).collect(),
            None => vec![None],
        };
        for environment in tried {
            let Some((chosen, scope)) = aimed(plan, wanted, environment) else { continue };
            let named = rules.catalog.runbook(operation, wanted.service, &chosen.target.environment);
            let command = plan.trigger.command.as_ref().filter(|command| command.operation == operation);
            let rank = match (named, command) {
                (Some(named), _) if named == plan.name => 2,
                (Some(_), _) | (None, None) => continue,
                (None, Some(command)) => match &command.when {
                    Some(when) if is_for(rules, when, &chosen, scope) => 1,
                    Some(_) => continue,
                    None => 0,
                },
            };
            places.entry(chosen.target.clone()).or_default().push((rank, chosen));
        }
    }
    if let Some(refusal) = missing(rules, wanted, &listed, &places) {
        return Err(refusal);
    }
    let best = places.into_values().flat_map(|ranked| {
        let most = ranked.iter().map(|(rank, _)| *rank).max().unwrap_or_default();
        ranked.into_iter().filter(move |(rank, _)| *rank == most).map(|(_, chosen)| chosen)
    });
    Ok(best.collect())
}

/// The catalog names a runbook that is not in force, or is not for this: another one in its place would be a surprise.
fn missing(
    rules: &Rules,
    wanted: &Wanted<'_>,
    listed: &[&str],
    found: &BTreeMap<Target, Vec<(u8, Chosen<'_>)>>,
) -> Option<Refusal> {
    let places = wanted.environment.map_or_else(|| listed.to_vec(), |environment| vec![environment]);
    let named = places.into_iter().find_map(|environment| {
        let target = Target { service: wanted.service.to_owned(), environment: environment.to_owned() };
        let name = rules.catalog.runbook(wanted.operation, wanted.service, environment)?;
        // Where it is in force and acts elsewhere, elsewhere may be what is meant.
        let is_missing = !rules.runs.runbooks.contains_key(name) || found.is_empty();
        is_missing.then_some((name, target))
    });
    let (name, target) = named?;
    let what = format!("Cannot {}: the catalog names `{name}`, which does not do it on `{target}`", wanted.words());
    Some(Refusal::new(what).hint("`/runbook list` shows what is in force; it must have `trigger: { chat: {} }`"))
}

/// What the runbook would act on, if that is the service; and what is known of its inputs.
fn aimed<'r>(plan: &'r Plan, wanted: &Wanted<'_>, environment: Option<&str>) -> Option<(Chosen<'r>, Scope)> {
    let mut given = BTreeMap::new();
    let mut scope = Scope::new();
    for input in &plan.inputs {
        let value = match (&input.source, input.name.as_str()) {
            (InputSource::Const(value), _) => Some(value.clone()),
            (InputSource::Given { .. }, "service") => Some(Value::from(wanted.service)),
            (InputSource::Given { default, .. }, "environment") => {
                environment.map(Value::from).or_else(|| default.clone())
            }
            (InputSource::Given { default, .. }, _) => default.clone(),
        };
        if let Some(value) = value {
            scope.set(input.name.clone(), value);
        }
    }
    let known = [("service", Some(wanted.service)), ("environment", environment)];
    for (name, value) in known.into_iter().filter(|(name, _)| is_open(plan, name)) {
        given.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }
    let target = plan.target(&scope).ok()?;
    let is_it = target.service == wanted.service && environment.is_none_or(|there| target.environment == there);
    is_it.then_some((Chosen { plan, target, given }, scope))
}

/// Whether somebody may give the input.
fn is_open(plan: &Plan, name: &str) -> bool {
    plan.inputs.iter().any(|input| input.name == name && matches!(input.source, InputSource::Given { .. }))
}

/// Whether the condition of the command holds for the target. One that cannot be told does not.
fn is_for(rules: &Rules, when: &str, chosen: &Chosen<'_>, mut scope: Scope) -> bool {
    let target = &chosen.target;
    scope.set("target", json!({ "service": target.service, "environment": target.environment }));
    if let Some(entry) = rules.catalog.entry(&target.service, &target.environment) {
        scope.set("catalog", entry);
    }
    condition::holds(when, &scope).unwrap_or(false)
}
