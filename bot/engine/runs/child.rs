//! `runbook`: a step that starts another run and waits for its end.
//!
//! The other run is started in the transaction of the intent, so there is one for each attempt and never two. It has a
//! journal, guards and approvals of its own, shares the locks of the run that started it, and hands back its outputs when
//! it ends, in the transaction of its end. The person who asked for the first run asked for all.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Outcome, actions,
    advance::Went,
    case::Case,
    finish,
    start::{self, Started, Wish},
};
use crate::{
    domain::{
        ids::RunId,
        runbooks::plan::Step,
        runs::{Event, Parent, Reason, RunState, StepRecord},
    },
    store::{self, runs},
};

/// How many runs may wait for each other's end.
pub(super) const DEEPEST: usize = 5;

/// Starts the run of an attempt that is about to be noted.
pub(super) async fn begin(case: &mut Case<'_, '_>, step: &Step, record: StepRecord) -> store::Result<Went> {
    let key = record.key.clone();
    case.note(record.clone()).await?;
    match start(case, &record).await? {
        Ok(child) => {
            let event =
                Event::ChildStarted { run: case.run.id, step: key.clone(), name: case.name_of(&key.path), child };
            let actor = case.itself();
            case.tell(actor, &event).await?;
        }
        Err(why) => {
            let record = case.journal.at(&key).cloned().unwrap_or(record);
            finish::ended(case, step, record, Outcome::Refused(why)).await?;
        }
    }
    Ok(Went::On)
}

async fn start(case: &mut Case<'_, '_>, record: &StepRecord) -> store::Result<Result<RunId, String>> {
    let name = record.with.get("name").and_then(Value::as_str).unwrap_or_default();
    let rules = case.context.rules;
    let Some(plan) = rules.runs.runbooks.get(name) else { return Ok(Err(format!("there is no runbook `{name}`"))) };
    if is_too_deep(case).await? {
        return Ok(Err(format!("more than {DEEPEST} runs would wait for each other")));
    }
    let given: BTreeMap<String, String> = record
        .with
        .get("inputs")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let parent = Parent { run: case.run.id, step: record.key.clone() };
    let wish = Wish {
        incident: case.run.incident,
        cause: case.run.cause.clone(),
        given,
        parent: Some((parent, case.run.holder(), case.run.mode)),
        ..Wish::new(plan, case.run.requested_by.clone(), format!("{}/{}", case.run.id, record.key))
    };
    Ok(match start::start(case.context, &wish).await? {
        Started::New(child) => Ok(child),
        Started::Attached(other) => Err(format!("`{other}` of `{name}` is at work on the target")),
        Started::Refused(refused) if refused.detail.is_empty() => Err(refused.reason.words().to_owned()),
        Started::Refused(refused) => Err(format!("{}: {}", refused.reason.words(), refused.detail)),
    })
}

async fn is_too_deep(case: &mut Case<'_, '_>) -> store::Result<bool> {
    let mut parent = case.run.parent.clone().map(|parent| parent.run);
    for _ in 1..DEEPEST {
        let Some(id) = parent else { return Ok(false) };
        parent = runs::by_id(case.context.tx, id).await?.and_then(|run| run.parent).map(|parent| parent.run);
    }
    Ok(parent.is_some())
}

/// The run has ended: the attempt that started it has its outcome, and the run that waits for it goes on.
pub(super) async fn ended(case: &mut Case<'_, '_>, state: RunState, reason: Reason, detail: &str) -> store::Result<()> {
    let Some(parent) = case.run.parent.clone() else { return Ok(()) };
    let outcome = outcome(case, state, reason, detail).await?;
    let Some(mut waiting) = Case::open(case.context, parent.run).await? else { return Ok(()) };
    finish::finish(&mut waiting, &parent.step, outcome).await?;
    let state = waiting.run.state;
    if state.is_over() {
        return Ok(());
    }
    if state.needs_people() || state == RunState::Queued {
        // It goes on when somebody wants it to.
        return waiting.save().await;
    }
    waiting.go_on().await
}

async fn outcome(case: &mut Case<'_, '_>, state: RunState, reason: Reason, detail: &str) -> store::Result<Outcome> {
    let id = case.run.id;
    let why = if detail.is_empty() { reason.words().to_owned() } else { format!("{}: {detail}", reason.words()) };
    let why = format!("{id} ended as {state} ({why})");
    Ok(match state {
        RunState::Done | RunState::Observed => {
            let scope = case.scope(None, "").await?;
            let names: Map<String, Value> =
                case.run.plan.outputs.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect();
            match actions::evaluated(&names, &scope) {
                Ok(values) => Outcome::Done(values),
                Err(_) if state == RunState::Observed => Outcome::Done(Value::Null),
                Err(why) => Outcome::Failed { why: format!("{id} has no {why}"), may_have_changed: true },
            }
        }
        // Nobody knows what it left behind, or it was left as it was.
        RunState::Released => Outcome::Failed { why, may_have_changed: true },
        RunState::Failed if reason == Reason::Aborted => Outcome::Failed { why, may_have_changed: true },
        RunState::Failed
        | RunState::Cancelled
        | RunState::Refused
        | RunState::Undone
        | RunState::Running
        | RunState::Queued
        | RunState::Waiting
        | RunState::Approval
        | RunState::Held
        | RunState::InDoubt
        | RunState::Stuck
        | RunState::Paused => Outcome::Refused(why),
    })
}
