//! Attempts a step: its condition, the agreement of people, the guards, then the intent.

use serde_json::json;

use crate::{
    domain::{
        runbooks::{
            condition,
            plan::{Class, Group, Mode, Step},
            scope::Scope,
        },
        runs::{
            Event, Pass, Reason, RunState, Stage, StepKey, StepRecord, StepState, Verdict,
            values::{frozen, keys},
        },
    },
    engine::runs::{
        Work,
        actions::{self, Inside},
        advance::{Went, fail},
        approve::{self, Gate},
        case::Case,
        child, guard,
        render::render,
    },
    store,
};

pub(super) async fn begin(
    case: &mut Case<'_, '_>,
    path: &str,
    attempt: u32,
    same_as: Option<u32>,
) -> store::Result<Went> {
    let Some(step) = case.run.plan.at(path) else {
        return Ok(fail(Reason::StepFailed, path, "the plan has no such step"));
    };
    let key = StepKey::new(path, Pass::Do, attempt);
    let effect = match same_as.and_then(|same| case.journal.at(&StepKey::new(path, Pass::Do, same))) {
        Some(same) => same.effect.clone(),
        None => case.effect(&key).await?,
    };
    let scope = case.scope_of(&step, &effect, None).await?;
    if attempt == 1
        && let Some(when) = &step.when
    {
        match condition::holds(when, &scope) {
            Ok(true) => {}
            Ok(false) => {
                skip(case, &step, &format!("`{when}` does not hold")).await?;
                return Ok(Went::On);
            }
            Err(error) => return has_no_value(case, &step, &error.to_string()).await,
        }
    }
    if case.run.mode == Mode::Observe && !step.reads() {
        return observe(case, path).await;
    }
    match approve::gate(case, &step, &scope).await? {
        Gate::Open => {}
        Gate::Shut(refused) => return Ok(fail(refused.reason, path, &refused.detail)),
        Gate::Asked => return Ok(Went::Asked),
        Gate::LeftOut(why) => {
            skip(case, &step, &why).await?;
            return Ok(Went::On);
        }
        Gate::Reread(path, attempt) => return Box::pin(begin(case, &path, attempt, None)).await,
    }
    if let Some(group) = &step.group {
        return lanes(case, &step, group, (key, effect), &scope).await;
    }
    let with = match render(&step.action, &step.with, &scope) {
        Ok(with) => with,
        Err(what) => return has_no_value(case, &step, &format!("{}: {what}", step.name)).await,
    };
    let system = guard::system(&step, &with);
    if let Some(at) = guard::bulkhead(case, (&step, &key), system.as_ref()).await? {
        return Ok(Went::PutOff(at));
    }
    if !step.reads()
        && let Some(refused) =
            guard::version_is_banned(case.context.tx, &case.run.target, (&step.action, &with)).await?
    {
        return Ok(fail(refused.reason, path, &refused.detail));
    }
    if !step.reads()
        && let Some(refused) = guard::mutation_is_refused(case, &step, (&effect, &scope)).await?
    {
        return Ok(fail(refused.reason, path, &refused.detail));
    }
    let mut record = case.record(key.clone(), effect.clone(), &step.action);
    record.with = with.clone();
    record.system = system;
    if !step.reads() {
        let undo = step.undo.as_ref().and_then(|undo| render(&undo.action, &undo.with, &scope).ok());
        record.before = json!({ "values": case.journal.outputs(&case.run.plan, None, path), "undo": undo });
    }
    if case.journal.of(path, Pass::Do).next_back().is_none_or(|last| last.verdict != Some(Verdict::NotYet)) {
        intended(case, &record, &step.name, !step.reads()).await?;
    }
    if let Some(inside) = actions::named(&step.action).and_then(actions::Action::inside) {
        return inside_step(case, inside, &step, record, &scope).await;
    }
    case.note(record).await?;
    Ok(Went::Out(Box::new(Work {
        key,
        action: step.action.clone(),
        with,
        scope,
        changes: !step.reads(),
        timeout: step.timeout,
        effect,
        run: case.run.id,
        epoch: case.run.epoch,
        store: case.store().await?,
    })))
}

pub(super) async fn inside_step(
    case: &mut Case<'_, '_>,
    inside: Inside,
    step: &Step,
    record: StepRecord,
    scope: &Scope,
) -> store::Result<Went> {
    match inside {
        Inside::Wait => actions::wait::begin(case, record).await,
        Inside::Assert => actions::assert::begin(case, step, record, scope).await,
        Inside::Ask => actions::ask::begin(case, step, record).await,
        Inside::Announce => actions::announce::begin(case, step, record).await,
        Inside::Set => actions::set::begin(case, step, record, scope).await,
        Inside::Runbook => child::begin(case, step, record).await,
        Inside::IncidentUpdate => actions::incident_update::begin(case, step, record).await,
        Inside::Ledger(ask) => Box::pin(actions::deployments::begin(case, ask, record)).await,
    }
}

/// Opens the lanes of a step that holds others. The items of a list are looked at once, and kept.
async fn lanes(
    case: &mut Case<'_, '_>,
    step: &Step,
    group: &Group,
    (key, effect): (StepKey, String),
    scope: &Scope,
) -> store::Result<Went> {
    let (opened, names) = match group {
        Group::Parallel(branches) => {
            (json!(null), branches.iter().map(|branch| branch.name.clone()).collect::<Vec<_>>())
        }
        Group::ForEach(each) => {
            let items = condition::evaluate(&each.items, scope).map_err(|error| error.to_string());
            match items.and_then(frozen) {
                Ok(opened) => {
                    let names = keys(&opened);
                    (opened, names)
                }
                Err(why) => return has_no_value(case, step, &format!("{}: {why}", step.name)).await,
            }
        }
    };
    let now = case.now();
    let record = case.record(key.clone(), effect, &step.action);
    case.note(StepRecord { state: StepState::Done, output: opened, ended: Some(now), ..record }).await?;
    let event = Event::LanesBegun { run: case.run.id, step: key, name: case.name_of(&step.path), lanes: names };
    let actor = case.itself();
    case.tell(actor, &event).await?;
    Ok(Went::On)
}

/// A value is missing. What follows a failure or the end cannot count on all that stands above it: it is left out.
async fn has_no_value(case: &mut Case<'_, '_>, step: &Step, why: &str) -> store::Result<Went> {
    if matches!(case.run.stage(), Stage::Failing | Stage::Ending) {
        skip(case, step, why).await?;
        return Ok(Went::On);
    }
    Ok(fail(Reason::NoValue, &step.path, why))
}

/// Tells that something is about to happen.
pub(super) async fn intended(
    case: &mut Case<'_, '_>,
    record: &StepRecord,
    name: &str,
    changes: bool,
) -> store::Result<()> {
    let event = Event::StepIntended {
        run: case.run.id,
        step: record.key.clone(),
        name: crate::domain::runbooks::plan::named(name, &record.key.path),
        action: record.action.clone(),
        changes,
        with: record.with.clone(),
        before: record.before.clone(),
        effect: record.effect.clone(),
    };
    let actor = case.itself();
    case.tell(actor, &event).await?;
    Ok(())
}

/// Leaves a step out, with the reason.
pub(super) async fn skip(case: &mut Case<'_, '_>, step: &Step, why: &str) -> store::Result<()> {
    let key = StepKey::new(&step.path, Pass::Do, case.journal.next_attempt(&step.path, Pass::Do));
    let mut record = case.record(key.clone(), String::new(), &step.action);
    record.state = StepState::Skipped;
    record.ended = Some(case.now());
    record.error = Some(why.to_owned());
    case.note(record).await?;
    let name = case.name_of(&step.path);
    let event = Event::StepSkipped { run: case.run.id, step: key, name, why: why.to_owned() };
    let actor = case.itself();
    case.tell(actor, &event).await?;
    Ok(())
}

/// Tells what the rest of the run would have changed, and ends it.
async fn observe(case: &mut Case<'_, '_>, from: &str) -> store::Result<Went> {
    let template = crate::domain::runbooks::plan::template_of(from).into_owned();
    let all: Vec<Step> = case.run.plan.all_steps().into_iter().cloned().collect();
    let rest = all.into_iter().skip_while(|step| step.path != template);
    // Of what is in the same lists, this item stands for all.
    let lists = (template.rfind(']').map_or(0, |end| end + 1), from.rfind(']').map_or(0, |end| end + 1));
    for step in rest.filter(|step| matches!(step.class, Class::Mutates(_))) {
        let after = step.path.strip_prefix(template.get(..lists.0).unwrap_or_default()).map(str::to_owned);
        let step = match (after, from.get(..lists.1)) {
            (Some(after), Some(lane)) => step.placed(&format!("{lane}{after}")),
            _ => step,
        };
        let key = StepKey::new(&step.path, Pass::Do, 1);
        let effect = case.effect(&key).await?;
        let scope = case.scope_of(&step, &effect, None).await?;
        let with = match step.when.as_ref().map(|when| (when, condition::holds(when, &scope))) {
            Some((when, Ok(false))) => {
                skip(case, &step, &format!("`{when}` does not hold")).await?;
                continue;
            }
            Some((_, Err(error))) => json!({ "unknown": error.to_string() }),
            Some((_, Ok(true))) | None => {
                render(&step.action, &step.with, &scope).unwrap_or_else(|what| json!({ "unknown": what }))
            }
        };
        let mut record = case.record(key.clone(), effect, &step.action);
        record.state = StepState::Skipped;
        record.with = with.clone();
        record.ended = Some(case.now());
        record.error = Some(Reason::Observed.words().to_owned());
        case.note(record).await?;
        let name = case.name_of(&step.path);
        let event = Event::StepObserved { run: case.run.id, step: key, name, action: step.action.clone(), with };
        let actor = case.itself();
        case.tell(actor, &event).await?;
    }
    case.end(RunState::Observed, Reason::Observed, "").await?;
    Ok(Went::Rests)
}
