//! Looks for what may have happened, and takes back what did.

use crate::{
    domain::runs::{Hold, Pass, Reason, RunState, StepKey, StepState, systems},
    engine::runs::{
        Work, actions,
        advance::{Stop, Went, fail},
        begin::{inside_step, intended},
        case::Case,
        render::render,
    },
    store,
};

/// Looks whether an attempt happened. It has the idempotency key of the effect that it looks for.
pub(super) async fn probe(case: &mut Case<'_, '_>, path: &str, attempt: u32, about: u32) -> store::Result<Went> {
    let looked_for = case.journal.at(&StepKey::new(path, Pass::Do, about)).cloned();
    let step = case.run.plan.at(path);
    let (Some(step), Some(looked_for)) = (step, looked_for) else {
        return Ok(fail(Reason::StepFailed, path, "the journal has no such attempt"));
    };
    let Some(probe) = &step.probe else {
        return Ok(fail(Reason::StepFailed, path, "the step has no probe"));
    };
    let scope = case.scope_of(&step, &looked_for.effect, Some(looked_for.seq)).await?;
    let with = match render(&probe.call.action, &probe.call.with, &scope) {
        Ok(with) => with,
        Err(what) => {
            let hold = Hold { reason: Reason::InDoubt, path: Some(path.to_owned()), detail: what };
            return Ok(Went::Stops(Stop::Stand(RunState::InDoubt, hold)));
        }
    };
    let key = StepKey::new(path, Pass::Probe, attempt);
    let mut record = case.record(key.clone(), looked_for.effect.clone(), &probe.call.action);
    record.about = Some(about);
    record.system = Some(systems::system(&probe.call.action, &with));
    record.with = with.clone();
    intended(case, &record, &step.name, false).await?;
    if let Some(inside) = actions::named(&probe.call.action).and_then(actions::Action::inside) {
        return inside_step(case, inside, &step, record, &scope).await;
    }
    case.note(record).await?;
    Ok(Went::Out(Box::new(Work {
        key,
        action: probe.call.action.clone(),
        with,
        scope,
        changes: false,
        timeout: step.timeout,
        effect: looked_for.effect,
        run: case.run.id,
        epoch: case.run.epoch,
        store: case.store().await?,
    })))
}

/// Takes a step back, from what was captured before it.
pub(super) async fn undo(case: &mut Case<'_, '_>, path: &str, attempt: u32) -> store::Result<Went> {
    let key = StepKey::new(path, Pass::Undo, attempt);
    let step = case.run.plan.at(path);
    let done = case.journal.of(path, Pass::Do).rfind(|record| !record.before.is_null()).cloned();
    let (Some(step), Some(done)) = (step, done) else {
        return Ok(fail(Reason::UndoFailed, path, "nothing was captured before the step"));
    };
    let Some(call) = &step.undo else {
        return Ok(fail(Reason::UndoFailed, path, "the step has no undo"));
    };
    let effect = case.effect(&key).await?;
    let mut scope = case.scope_of(&step, &effect, Some(done.seq)).await?;
    scope.set("output", done.output.clone());
    if let Some(name) = &step.output {
        scope.set(name.clone(), done.output.clone());
    }
    let captured = done.before.get("undo").filter(|undo| !undo.is_null()).cloned();
    let rendered = match captured {
        Some(with) => Ok(with),
        None => render(&call.action, &call.with, &scope),
    };
    let mut record = case.record(key.clone(), effect.clone(), &call.action);
    let with = match rendered {
        Ok(with) => with,
        Err(what) => {
            record.state = StepState::Failed;
            record.error = Some(what);
            record.ended = Some(case.now());
            case.note(record).await?;
            return Ok(Went::On);
        }
    };
    record.with = with.clone();
    record.system = Some(systems::system(&call.action, &with));
    intended(case, &record, &step.name, true).await?;
    if let Some(inside) = actions::named(&call.action).and_then(actions::Action::inside) {
        return inside_step(case, inside, &step, record, &scope).await;
    }
    case.note(record).await?;
    Ok(Went::Out(Box::new(Work {
        key,
        action: call.action.clone(),
        with,
        scope,
        changes: true,
        timeout: step.timeout,
        effect,
        run: case.run.id,
        epoch: case.run.epoch,
        store: case.store().await?,
    })))
}
