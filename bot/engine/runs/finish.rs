//! Writes what came of an effect into the journal, in the same transaction as whatever follows from it.

use serde_json::{Map, Value};

use crate::{
    domain::{
        incidents::Milestone,
        runbooks::{
            condition,
            plan::{Mark, Probe, Step},
        },
        runs::{Event, Pass, StepKey, StepRecord, StepState, Verdict},
        time::Time,
    },
    engine::{
        deployments,
        incidents::acts,
        runs::{
            Outcome,
            actions::{self, prometheus},
            case::Case,
        },
    },
    store,
};

/// Writes what came of the effect with this key. One that is not open any more is left as it is.
pub(super) async fn finish(case: &mut Case<'_, '_>, key: &StepKey, outcome: Outcome) -> store::Result<()> {
    let Some(record) = case.journal.at(key).filter(|record| record.is_open()).cloned() else { return Ok(()) };
    let Some(step) = case.run.plan.at(&key.path) else { return Ok(()) };
    match key.pass {
        Pass::Probe => looked(case, &step, record, outcome).await,
        Pass::Do => done(case, &step, record, outcome).await,
        Pass::Undo => ended(case, &step, record, outcome).await,
    }
}

/// Notes an attempt that is over as soon as it begins, with what came of it.
pub(super) async fn at_once(
    case: &mut Case<'_, '_>,
    step: &Step,
    record: StepRecord,
    outcome: Outcome,
) -> store::Result<()> {
    case.note(record.clone()).await?;
    let record = case.journal.at(&record.key).cloned().unwrap_or(record);
    ended(case, step, record, outcome).await
}

/// A wait is over.
pub(super) async fn waited(case: &mut Case<'_, '_>, key: &StepKey) -> store::Result<()> {
    let Some(record) = case.journal.at(key).cloned() else { return Ok(()) };
    let Some(step) = case.run.plan.at(&key.path) else { return Ok(()) };
    ended(case, &step, record, Outcome::Done(Value::Null)).await
}

/// A step was attempted: an `until` may not hold yet.
async fn done(case: &mut Case<'_, '_>, step: &Step, record: StepRecord, outcome: Outcome) -> store::Result<()> {
    if step.until.as_ref().is_some_and(|until| until.asks) {
        return prometheus::wait::looked(case, step, record, outcome).await;
    }
    let (Outcome::Done(output), Some(until)) = (&outcome, &step.until) else {
        return ended(case, step, record, outcome).await;
    };
    let mut scope = case.scope_of(step, &record.effect, None).await?.with("output", output.clone());
    if let Some(name) = &step.output {
        scope.set(name.clone(), output.clone());
    }
    match condition::holds(&until.holds, &scope) {
        Ok(true) => ended(case, step, record, outcome).await,
        Ok(false) => {
            let first = case.journal.of(&step.path, Pass::Do).next().map_or(record.started, |first| first.started);
            let why = format!(
                "`{}` did not hold for {}",
                until.holds,
                crate::domain::duration::human(case.now().since(first))
            );
            let now = case.now();
            case.amend(StepRecord {
                state: StepState::Failed,
                verdict: Some(Verdict::NotYet),
                output: output.clone(),
                error: Some(why),
                ended: Some(now),
                ..record
            })
            .await
        }
        Err(error) => {
            let failed = Outcome::Failed { why: error.to_string(), may_have_changed: false };
            ended(case, step, record, failed).await
        }
    }
}

/// Writes the end of an attempt, tells it, and sets the milestone that it marks.
pub(super) async fn ended(
    case: &mut Case<'_, '_>,
    step: &Step,
    record: StepRecord,
    outcome: Outcome,
) -> store::Result<()> {
    // The first good sample: when the look that held was taken.
    let since = record.started;
    ended_since(case, step, record, (outcome, since)).await
}

/// The same for what began to be so at another moment.
pub(super) async fn ended_since(
    case: &mut Case<'_, '_>,
    step: &Step,
    record: StepRecord,
    (outcome, since): (Outcome, Time),
) -> store::Result<()> {
    let changes = record.key.pass == Pass::Undo || !step.reads();
    let (run, name, key) = (case.run.id, case.name_of(&step.path), record.key.clone());
    let now = case.now();
    let mut record = StepRecord { ended: Some(now), ..record };
    let started = record.started;
    let is_out_of_bounds = matches!(outcome, Outcome::OutOfBounds(_));
    let event = match outcome {
        Outcome::Done(output) => {
            record.state = StepState::Done;
            record.output = output.clone();
            let took_ms = u64::try_from(now.since(started).as_millis()).unwrap_or(u64::MAX);
            Event::StepDone { run, step: key.clone(), name, changes, output, took_ms }
        }
        Outcome::Unknown(why) if changes => {
            record.state = StepState::InDoubt;
            record.error = Some(why.clone());
            Event::StepInDoubt { run, step: key.clone(), name, why }
        }
        Outcome::Unknown(why) => {
            record.state = StepState::Failed;
            record.error = Some(why.clone());
            Event::StepFailed { run, step: key.clone(), name, changes, error: why, will_retry_at: None }
        }
        Outcome::Halted => {
            return not_begun(case, record, "the halt file is there, so it was not begun").await;
        }
        Outcome::Refused(why) | Outcome::OutOfBounds(why) => {
            record.state = StepState::Failed;
            record.error = Some(why.clone());
            record.verdict = Some(if is_out_of_bounds { Verdict::OutOfBounds } else { Verdict::Refused });
            Event::StepFailed { run, step: key.clone(), name, changes, error: why, will_retry_at: None }
        }
        Outcome::Unsuccessful { why, made } => {
            record.state = StepState::Failed;
            record.output = made;
            record.error = Some(why.clone());
            record.may_have_changed = changes;
            Event::StepFailed { run, step: key.clone(), name, changes, error: why, will_retry_at: None }
        }
        Outcome::Failed { why, may_have_changed } => {
            record.state = StepState::Failed;
            record.error = Some(why.clone());
            record.may_have_changed = changes && may_have_changed;
            Event::StepFailed { run, step: key.clone(), name, changes, error: why, will_retry_at: None }
        }
    };
    let is_done = record.state == StepState::Done;
    let made = deployed(&record);
    case.amend(record).await?;
    let actor = case.itself();
    let entry = case.tell(actor, &event).await?;
    tell_ledger(case, made).await?;
    if is_done
        && key.pass == Pass::Do
        && let (Some(Mark::Mitigated), Some(incident)) = (step.marks, case.run.incident)
    {
        acts::mark(case.context, incident, Milestone::Mitigated, since, entry).await?;
    }
    Ok(())
}

/// Writes that an intended effect was not begun, so that it can be begun anew.
pub(super) async fn not_begun(case: &mut Case<'_, '_>, record: StepRecord, why: &str) -> store::Result<()> {
    let step = case.run.plan.step(&record.key.path);
    let (reads, verdict) = (step.is_none_or(Step::reads), Some(anew(step)));
    let event = Event::StepFailed {
        run: case.run.id,
        step: record.key.clone(),
        name: case.name_of(&record.key.path),
        changes: record.key.pass == Pass::Undo || (record.key.pass == Pass::Do && !reads),
        error: why.to_owned(),
        will_retry_at: None,
    };
    let (error, ended) = (Some(why.to_owned()), Some(case.now()));
    case.amend(StepRecord { state: StepState::Failed, verdict, error, ended, ..record }).await?;
    let actor = case.itself();
    case.tell(actor, &event).await.map(drop)
}

/// How an attempt is marked that is simply made anew. A look of an `until` is one of many: the time in which they must
/// succeed does not begin anew with it.
pub(super) fn anew(step: Option<&Step>) -> Verdict {
    if step.is_some_and(|step| step.until.is_some()) { Verdict::NotYet } else { Verdict::Retry }
}

/// What the ledger takes up of an attempt whose action deploys, if a deployment was made: whether it succeeded or failed.
fn deployed(record: &StepRecord) -> Option<Value> {
    let deploys = actions::named(&record.action).is_some_and(actions::Action::deploys);
    let is_over = matches!(record.state, StepState::Done | StepState::Failed) && record.key.pass != Pass::Probe;
    (deploys && is_over && !record.output.is_null()).then(|| record.output.clone())
}

/// Tells the ledger of a deployment that was made.
async fn tell_ledger(case: &mut Case<'_, '_>, made: Option<Value>) -> store::Result<()> {
    let Some(output) = made else { return Ok(()) };
    let run = case.run.clone();
    Box::pin(deployments::acts::deployed(case.context, &run, &output)).await
}

/// A look has an answer, or none. Two looks that did not find it, `settle` apart, prove that it did not happen.
async fn looked(case: &mut Case<'_, '_>, step: &Step, look: StepRecord, outcome: Outcome) -> store::Result<()> {
    let (Some(probe), Some(about)) = (&step.probe, look.about) else { return Ok(()) };
    let sought = StepKey::new(&step.path, Pass::Do, about);
    let Some(mut sought) = case.journal.at(&sought).cloned() else { return Ok(()) };
    let now = case.now();
    let seen = match outcome {
        Outcome::Done(output) => {
            let scope = case.scope_of(step, &look.effect, Some(sought.seq)).await?.with("output", output.clone());
            sight(probe, &scope).map(|sight| (output, sight)).map_err(|error| error.to_string())
        }
        Outcome::Failed { why, .. }
        | Outcome::Unsuccessful { why, .. }
        | Outcome::Refused(why)
        | Outcome::OutOfBounds(why)
        | Outcome::Unknown(why) => Err(why),
        // Looks change nothing, so no halt keeps them from being made.
        Outcome::Halted => Err("it was not begun".to_owned()),
    };
    let (run, name, actor) = (case.run.id, case.name_of(&step.path), case.itself());
    let number = u32::try_from(case.journal.looks(&step.path, about).count()).unwrap_or(u32::MAX);
    let look = StepRecord { ended: Some(now), ..look };
    match seen {
        Err(why) => {
            let event = Event::StepFailed {
                run,
                step: look.key.clone(),
                name,
                changes: false,
                error: why.clone(),
                will_retry_at: None,
            };
            case.amend(StepRecord { state: StepState::Failed, error: Some(why), ..look }).await?;
            case.tell(actor, &event).await?;
        }
        Ok((output, Sight::Happened(found))) => {
            let step_key = look.key.clone();
            let verdict = Some(Verdict::Happened);
            case.amend(StepRecord { state: StepState::Done, verdict, output, ..look }).await?;
            let event = Event::StepProbed { run, step: step_key, name: name.clone(), found: true, look: number };
            case.tell(actor.clone(), &event).await?;
            settle(case, step, sought, Some(found), actor).await?;
        }
        Ok((output, Sight::Failed)) => {
            let step_key = look.key.clone();
            let verdict = Some(Verdict::Happened);
            let why = output.get("why").and_then(Value::as_str).unwrap_or("it happened and did not succeed").to_owned();
            case.amend(StepRecord { state: StepState::Done, verdict, output: output.clone(), ..look }).await?;
            let event = Event::StepProbed { run, step: step_key, name: name.clone(), found: true, look: number };
            case.tell(actor.clone(), &event).await?;
            let error = why.clone();
            let step = sought.key.clone();
            let failed = StepRecord { state: StepState::Failed, verdict, error: Some(why), ended: Some(now), ..sought };
            let failed = StepRecord { may_have_changed: true, output, ..failed };
            let made = deployed(&failed);
            case.amend(failed).await?;
            let event = Event::StepFailed { run, step, name, changes: true, error, will_retry_at: None };
            case.tell(actor, &event).await?;
            tell_ledger(case, made).await?;
        }
        Ok((output, Sight::Absent)) => {
            let step_key = look.key.clone();
            let verdict = Some(Verdict::Absent);
            case.amend(StepRecord { state: StepState::Done, verdict, output, ..look }).await?;
            let event = Event::StepProbed { run, step: step_key, name, found: false, look: number };
            case.tell(actor.clone(), &event).await?;
            if case.journal.is_absent(&step.path, about, probe.settle) {
                sought.error = Some("it was looked for twice and not found".to_owned());
                settle(case, step, sought, None, actor).await?;
            }
        }
    }
    Ok(())
}

/// Writes that an effect of which nobody knew happened, with its output, or did not.
pub(super) async fn settle(
    case: &mut Case<'_, '_>,
    step: &Step,
    record: StepRecord,
    happened: Option<Value>,
    actor: crate::domain::people::Actor,
) -> store::Result<()> {
    let event = Event::StepSettled {
        run: case.run.id,
        step: record.key.clone(),
        name: case.name_of(&step.path),
        happened: happened.is_some(),
        output: happened.clone().unwrap_or_default(),
    };
    let now = case.now();
    let is_mark = happened.is_some() && record.key.pass == Pass::Do && step.marks.is_some();
    let record = match happened {
        Some(output) => {
            StepRecord { state: StepState::Done, verdict: Some(Verdict::Happened), output, ended: Some(now), ..record }
        }
        None => StepRecord {
            state: StepState::Failed,
            verdict: Some(Verdict::Absent),
            may_have_changed: false,
            ended: Some(now),
            ..record
        },
    };
    let made = deployed(&record);
    case.amend(record).await?;
    let entry = case.tell(actor, &event).await?;
    tell_ledger(case, made).await?;
    if is_mark && let Some(incident) = case.run.incident {
        acts::mark(case.context, incident, Milestone::Mitigated, now, entry).await?;
    }
    Ok(())
}

/// What a look saw.
enum Sight {
    /// It is not there.
    Absent,
    /// It is there, and so has this output.
    Happened(Value),
    /// It is there, and did not succeed.
    Failed,
}

fn sight(probe: &Probe, scope: &crate::domain::runbooks::scope::Scope) -> Result<Sight, condition::ConditionError> {
    if !condition::holds(&probe.found, scope)? {
        return Ok(Sight::Absent);
    }
    if let Some(failed) = &probe.failed
        && condition::holds(failed, scope)?
    {
        return Ok(Sight::Failed);
    }
    let values: Result<Map<String, Value>, _> =
        probe.output.iter().map(|(name, text)| Ok((name.clone(), condition::evaluate(text, scope)?))).collect();
    values.map(|values| Sight::Happened(if values.is_empty() { Value::Null } else { Value::Object(values) }))
}
