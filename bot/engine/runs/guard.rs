//! What stands between a step and its intent: room in the system that it reaches, the guards, and the budget.

use std::time::Duration;

use serde_json::Value;

use crate::{
    domain::{
        runbooks::{
            actions::named,
            condition,
            plan::{Step, Target},
            scope::Scope,
        },
        runs::{
            Event, Hold, Pass, Reason, Stage, StepKey, StepRecord, Verdict,
            budgets::{self, Budget, Cost},
            guards::{self, Moment, Refused},
            next::CHILD,
            systems,
        },
        time::Time,
    },
    engine::{
        Rules, deployments,
        runs::{
            actions::{self, Action},
            case::Case,
            facts,
        },
    },
    store::{self, Reader, budgets as spendings, guards as asked, locks},
};

/// When a step looks again whether there is room for it.
const LOOKS_AGAIN: Duration = Duration::from_secs(5);

/// The system that the step reaches, if it reaches out.
pub(super) fn system(step: &Step, with: &Value) -> Option<String> {
    let is_outside = actions::named(&step.action).is_some_and(|action: &Action| action.inside().is_none());
    is_outside.then(|| systems::system(&step.action, with))
}

/// Puts the step off to a moment if as many effects are in flight to its system as may be. That it waits is told once.
///
/// Looks for what is in doubt, and what is taken back, are never held up; they count like everything else.
pub(super) async fn bulkhead(
    case: &mut Case<'_, '_>,
    (step, key): (&Step, &StepKey),
    system: Option<&String>,
) -> store::Result<Option<Time>> {
    let limit = system.and_then(|system| Some((system, *case.context.rules.limits.get(system)?)));
    if let Some((system, limit)) = limit
        && asked::in_flight(case.context.tx, system).await? >= i64::from(limit)
    {
        let detail = format!("{limit} in flight to `{system}`");
        let hold = Hold { reason: Reason::Bulkhead, path: Some(step.path.clone()), detail: detail.clone() };
        // Of several lanes that wait the first is told.
        if case.run.hold.as_ref().is_none_or(|hold| hold.reason != Reason::Bulkhead) {
            let (run, step_key, name) = (case.run.id, key.clone(), case.name_of(&step.path));
            let event = Event::StepDelayed { run, step: step_key, name, reason: Reason::Bulkhead, detail };
            let actor = case.itself();
            case.tell(actor, &event).await?;
            case.run.hold = Some(hold);
        }
        return Ok(Some(case.now() + LOOKS_AGAIN));
    }
    case.run.hold.take_if(|hold| hold.reason == Reason::Bulkhead && hold.path.as_ref() == Some(&step.path));
    Ok(None)
}

/// Evaluates the guards of a change and, if they hold, takes the lock, the budget and the cooldown. Whoever asks saves the
/// run.
///
/// What follows a failure or the end has no alert to wait for and no budget to spare, but heeds a halt.
pub(super) async fn mutation_is_refused(
    case: &mut Case<'_, '_>,
    step: &Step,
    (effect, scope): (&str, &Scope),
) -> store::Result<Option<Refused>> {
    let path = &step.path;
    let (moment, mut facts) = facts::of_case(case).await?;
    facts.lacks_approvers = false;
    let is_wanted = case.journal.last(path, Pass::Do).is_some_and(|last| last.verdict == Some(Verdict::Retry));
    if !is_wanted && case.journal.of(path, Pass::Do).any(StepRecord::may_have_happened) {
        // The effect was begun already, and may have happened: it is brought to its end.
        facts.firing = None;
    }
    let is_aside = matches!(case.run.stage(), Stage::Failing | Stage::Ending);
    let moment = if is_aside { Moment::Undo } else { moment };
    let now = case.now();
    let (plan, target, alert) = (case.run.plan.clone(), case.run.target.clone(), case.run.cause.clone());
    if let Err(refused) = guards::evaluate(&plan.guards, moment, &facts, now) {
        return Ok(Some(refused));
    }
    if let Some(other) = facts.locked_by {
        return Ok(Some(Refused::new(Reason::TargetLocked, format!("by {other}"))));
    }
    if !facts.holds_target {
        locks::take(case.context.tx, &target, case.run.holder(), now);
    }
    // What another run changes is spent by that one.
    if !is_aside
        && step.action != CHILD
        && let Some(refused) = spend(case, step, (effect, scope)).await?
    {
        return Ok(Some(refused));
    }
    if case.run.mutated_at.is_none() && !is_aside {
        if let Some(cooldown) = &plan.guards.cooldown {
            let alert = alert.as_ref().map(|cause| &cause.key);
            let charge = guards::charge(facts.charged.as_ref(), cooldown, alert, now);
            locks::charge(case.context.tx, &plan.name, &target, &charge).await?;
        }
        case.run.mutated_at = Some(now);
    }
    Ok(None)
}

/// Whether the step would bring a version to the target that shall not be deployed there.
pub(super) async fn version_is_banned(
    reader: &mut Reader,
    target: &Target,
    (action, with): (&str, &Value),
) -> store::Result<Option<Refused>> {
    let names_one = named(action).is_some_and(|spec| spec.fields.iter().any(|field| field.name == "sha"));
    let is_outside = actions::named(action).is_some_and(|action| action.inside().is_none());
    let text = |name: &str| with.get(name).and_then(Value::as_str);
    let Some(sha) = text("sha").filter(|_| names_one && is_outside) else { return Ok(None) };
    let environment = text("environment").unwrap_or(&target.environment);
    let ban = deployments::is_banned(reader, &target.service, environment, sha).await?;
    Ok(ban.map(|ban| Refused::new(Reason::BannedVersion, format!("`{sha}` since {}: {}", ban.at.long(), ban.reason))))
}

/// Takes what the step touches from the budget of the service, unless there is not enough of it.
async fn spend(
    case: &mut Case<'_, '_>,
    step: &Step,
    (effect, scope): (&str, &Scope),
) -> store::Result<Option<Refused>> {
    let service = case.run.target.service.clone();
    let Some(budget) = budget(case.context.rules, &service) else { return Ok(None) };
    let cost = match cost(step, &budget, scope) {
        Ok(cost) => cost,
        Err(why) => return Ok(Some(Refused::new(Reason::Budget, why))),
    };
    let now = case.now();
    let since = now - budgets::WINDOW;
    spendings::forget(case.context.tx, since).await?;
    let spent = spendings::spent(case.context.tx, &service, since, effect).await?;
    if let Some(why) = budget.exceeded(spent, cost) {
        return Ok(Some(Refused::new(Reason::Budget, why)));
    }
    spendings::spend(case.context.tx, (&service, case.run.id), effect, cost, now).await?;
    Ok(None)
}

/// What may be changed of a service in an hour, if that is limited.
pub(super) fn budget(rules: &Rules, service: &str) -> Option<Budget> {
    rules.budgets.get(service).or_else(|| rules.budgets.get(budgets::DEFAULT)).copied()
}

/// What a step takes from a budget.
///
/// # Errors
/// A part that is limited is unknown.
pub(super) fn cost(step: &Step, budget: &Budget, scope: &Scope) -> Result<Cost, String> {
    let touched = |part: &str, is_limited: bool| match step.touches.get(part) {
        _ if !is_limited => Ok(0),
        Some(text) => amount(text, scope).map_err(|why| format!("`{}` touches an unknown part: {why}", step.name)),
        // What moves pods says how many, or a budget of pods would mean nothing.
        None if part == "pods" && step.action.starts_with("kubernetes.") => {
            Err(format!("`{}` does not say how many pods it touches", step.name))
        }
        None => Ok(0),
    };
    let pods = touched("pods", budget.pods.is_some())?;
    Ok(Cost { steps: 1, pods, percent: touched("percent", budget.percent.is_some())? })
}

/// How much it is, rounded up.
pub(super) fn amount(text: &str, scope: &Scope) -> Result<i64, String> {
    let value = condition::evaluate(text, scope).map_err(|error| error.to_string())?;
    let number = value.as_f64().filter(|number| (0.0..=1e12).contains(number));
    let number = number.ok_or_else(|| format!("`{text}` gives `{value}`, not a number"))?;
    #[expect(clippy::cast_possible_truncation, reason = "it lies in between, as was just looked")]
    Ok(number.ceil() as i64)
}
