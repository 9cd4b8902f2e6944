//! What follows when a run cannot go on, or has nothing left to do.
//!
//! A failure before the first change ends the run; after it nothing more is touched and people decide, unless the runbook
//! wants everything taken back. Its own steps for a failure come first, those for every end last.

use crate::{
    domain::{
        runbooks::plan::WhenUndone,
        runs::{Ending, Event, Failure, Hold, Pass, Reason, RunState, Stage, StepKey, StepRecord, StepState, Verdict},
    },
    engine::{
        chat::{Line, Message},
        runs::{
            advance::{Stop, Went},
            case::Case,
        },
    },
    store,
};

/// Stops the run, of which nothing is in flight.
pub(super) async fn stop(case: &mut Case<'_, '_>, stop: Stop) -> store::Result<Went> {
    match stop {
        Stop::Fail(hold) => fail(case, hold).await,
        Stop::Stand(state, hold) => {
            case.hold(state, hold).await?;
            Ok(Went::Rests)
        }
        Stop::Cancel(person) => {
            case.run.cancelled_by = None;
            fail(case, Hold { reason: Reason::Cancelled, path: None, detail: format!("by {person}") }).await
        }
        Stop::Pause => {
            case.pause().await?;
            Ok(Went::Rests)
        }
    }
}

/// The run cannot go on.
pub(super) async fn fail(case: &mut Case<'_, '_>, hold: Hold) -> store::Result<Went> {
    let is_aside = matches!(case.run.stage(), Stage::Failing | Stage::Ending);
    if is_aside && let Some(path) = &hold.path {
        return passes(case, path, &hold).await;
    }
    let after_mutation = case.journal.has_mutated(&case.run.plan);
    let declared = &case.run.plan.on_failure;
    let steps = if after_mutation { &declared.after_mutation } else { &declared.before_mutation };
    let is_met = case.run.failure.as_ref().is_some_and(|failure| failure.after_mutation == after_mutation);
    if !steps.is_empty() && !is_met && !is_aside && is_failure(hold.reason) {
        let event = Event::FailureMet {
            run: case.run.id,
            runbook: case.run.plan.name.clone(),
            reason: hold.reason,
            detail: hold.detail.clone(),
        };
        let actor = case.itself();
        case.tell(actor, &event).await?;
        case.run.failure = Some(Failure { hold, after_mutation, is_handled: false });
        return Ok(Went::On);
    }
    falls(case, hold).await
}

/// The same, when somebody decided so and no worker drives the run.
pub(super) async fn fail_for(case: &mut Case<'_, '_>, hold: Hold) -> store::Result<()> {
    match fail(case, hold).await? {
        Went::On => case.go_on().await,
        Went::Out(_) | Went::Asked | Went::PutOff(_) | Went::Stops(_) | Went::Rests => Ok(()),
    }
}

/// Whether something went wrong, and not somebody decided so.
fn is_failure(reason: Reason) -> bool {
    !matches!(reason, Reason::Cancelled | Reason::Rejected | Reason::Halted | Reason::HaltFile | Reason::Restored)
}

/// Whether the run itself went wrong, so that it may take back what it did by itself.
fn is_own_failure(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::StepFailed | Reason::Assertion | Reason::VerificationBad | Reason::NoValue | Reason::TimedOut
    )
}

/// A step beside the way cannot be begun: it is told, and the others go on.
async fn passes(case: &mut Case<'_, '_>, path: &str, hold: &Hold) -> store::Result<Went> {
    let Some(step) = case.run.plan.at(path) else { return Ok(Went::On) };
    let key = StepKey::new(path, Pass::Do, case.journal.next_attempt(path, Pass::Do));
    let (now, error) = (case.now(), format!("{}: {}", hold.reason.words(), hold.detail));
    let record = case.record(key.clone(), String::new(), &step.action);
    let verdict = Some(Verdict::Refused);
    let failed =
        StepRecord { state: StepState::Failed, verdict, error: Some(error.clone()), ended: Some(now), ..record };
    case.note(failed).await?;
    let (run, name) = (case.run.id, case.name_of(path));
    let event = Event::StepFailed { run, step: key, name, changes: !step.reads(), error, will_retry_at: None };
    let actor = case.itself();
    case.tell(actor, &event).await?;
    Ok(Went::On)
}

/// What follows a failure once the runbook's own steps for it are done.
async fn falls(case: &mut Case<'_, '_>, hold: Hold) -> store::Result<Went> {
    if !case.journal.has_mutated(&case.run.plan) {
        return conclude(case, Ending { state: hold.reason.ends_as(), reason: hold.reason, detail: hold.detail }).await;
    }
    let steps: Vec<String> = case.journal.undoable(&case.run.plan).map(|step| step.name).collect();
    if case.run.plan.undo == WhenUndone::Auto
        && case.run.stage() == Stage::Ahead
        && is_own_failure(hold.reason)
        && !steps.is_empty()
    {
        let actor = case.itself();
        case.tell(actor, &Event::UndoAsked { run: case.run.id, steps }).await?;
        case.run.failure = Some(Failure { hold, after_mutation: true, is_handled: true });
        case.run.pass = Pass::Undo;
        return Ok(Went::On);
    }
    case.hold(RunState::Held, hold).await?;
    Ok(Went::Rests)
}

/// Every step of the stage is settled.
pub(super) async fn done(case: &mut Case<'_, '_>) -> store::Result<Went> {
    match case.run.stage() {
        Stage::Failing => {
            let Some(failure) = case.run.failure.as_mut() else { return Ok(Went::On) };
            failure.is_handled = true;
            let hold = failure.hold.clone();
            falls(case, hold).await
        }
        Stage::Ending => ended(case).await,
        Stage::Ahead | Stage::Back => {
            let ending = Ending { state: RunState::Done, reason: Reason::Completed, detail: String::new() };
            conclude(case, ending).await
        }
    }
}

/// Everything that can be taken back is.
pub(super) async fn undone(case: &mut Case<'_, '_>) -> store::Result<Went> {
    let standing = case.journal.standing(&case.run.plan);
    let stands = (!standing.is_empty()).then(|| format!("what stands all the same: {}", standing.join(", ")));
    let failure = case.run.failure.as_ref().filter(|_| case.run.plan.undo == WhenUndone::Auto);
    let failed = failure.map(|failure| format!("after `{}`: {}", failure.hold.reason, failure.hold.detail));
    let detail = failed.into_iter().chain(stands).collect::<Vec<_>>().join("; ");
    conclude(case, Ending { state: RunState::Undone, reason: Reason::Undone, detail }).await
}

/// Ends the run, after the steps that follow every end.
pub(super) async fn conclude(case: &mut Case<'_, '_>, ending: Ending) -> store::Result<Went> {
    if case.run.plan.finally.is_empty() || case.run.ending.is_some() {
        end(case, ending).await?;
        return Ok(Went::Rests);
    }
    case.run.ending = Some(ending);
    Ok(Went::On)
}

/// The same, when somebody decided so and no worker drives the run.
pub(super) async fn conclude_for(case: &mut Case<'_, '_>, ending: Ending) -> store::Result<()> {
    match conclude(case, ending).await? {
        Went::On => case.go_on().await,
        Went::Out(_) | Went::Asked | Went::PutOff(_) | Went::Stops(_) | Went::Rests => Ok(()),
    }
}

/// The steps that follow every end are settled. If one of them failed, people have to know.
async fn ended(case: &mut Case<'_, '_>) -> store::Result<Went> {
    let Some(ending) = case.run.ending.clone() else { return Ok(Went::Rests) };
    let failed = case.journal.0.iter().find(|record| {
        record.key.pass == Pass::Do
            && record.key.path.starts_with(FINALLY)
            && record.state == StepState::Failed
            && record.verdict != Some(Verdict::Skip)
            && case.journal.last(&record.key.path, Pass::Do) == Some(record)
    });
    let Some(failed) = failed.cloned() else {
        end(case, ending).await?;
        return Ok(Went::Rests);
    };
    let detail = format!("{}: {}", case.name_of(&failed.key.path), failed.error.unwrap_or_default());
    if case.journal.has_mutated(&case.run.plan) || case.run.mutated_at.is_some() {
        let hold = Hold { reason: Reason::StepFailed, path: Some(failed.key.path), detail };
        case.hold(RunState::Held, hold).await?;
    } else {
        let detail = if ending.detail.is_empty() { detail } else { format!("{}; {detail}", ending.detail) };
        end(case, Ending { state: RunState::Failed, reason: Reason::StepFailed, detail }).await?;
    }
    Ok(Went::Rests)
}

/// The beginning of the paths of the steps that follow every end.
const FINALLY: &str = "finally.";

async fn end(case: &mut Case<'_, '_>, ending: Ending) -> store::Result<()> {
    let is_by_itself =
        ending.state == RunState::Undone && case.run.plan.undo == WhenUndone::Auto && case.run.failure.is_some();
    case.end(ending.state, ending.reason, &ending.detail).await?;
    if is_by_itself {
        // Nobody was asked, so somebody has to be told.
        let line = Line::text("Runbook ")
            .code(&case.run.plan.name)
            .and(format!(" has taken back what it did ({}): ", case.run.id));
        case.say(Message::line(line.code(&ending.detail)), true).await?;
    }
    Ok(())
}
