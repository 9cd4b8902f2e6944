//! `/halt`: nothing is changed any more until somebody lifts it, and nothing goes on by itself then.

use crate::{
    domain::{
        people::{Actor, PersonId},
        runbooks::plan::Mode,
        runs::{Event, Hold, Pass, Reason, RunState},
        timeline::{Chain, Draft},
    },
    engine::{
        Context,
        runs::{case::Case, settle},
    },
    store::{
        self, FaultKind,
        halts::{self, EVERYTHING, Halt},
        runs, timeline,
    },
};

/// Orders a halt and holds every run that it covers. Says how many stand because of it; none if it stood already.
///
/// An effect in flight is watched to its end; its run is held after it. A run that cannot be read takes nothing from the
/// order: it changes nothing either.
pub(super) async fn order(
    context: &mut Context<'_>,
    service: Option<&str>,
    reason: &str,
    actor: &Actor,
) -> store::Result<Option<usize>> {
    let scope = service.unwrap_or(EVERYTHING);
    let halt = Halt { scope: scope.to_owned(), reason: reason.to_owned(), actor: actor.clone(), at: context.now };
    if !halts::order(context.tx, &halt).await? {
        return Ok(None);
    }
    let event = Event::HaltOrdered { scope: scope.to_owned(), reason: reason.to_owned() };
    timeline::append(context.tx, Chain::System, context.now, Draft::new(actor.clone(), &event)).await?;
    let mut held = 0;
    for run in runs::open(context.tx).await? {
        let is_covered = scope == EVERYTHING || scope == run.target.service;
        // One that is queued has begun nothing, and is held when its turn comes.
        if !is_covered || run.mode == Mode::Observe || run.state.needs_people() || run.state == RunState::Queued {
            continue;
        }
        held += 1;
        let mut case = match Case::open(context, run.id).await {
            Ok(Some(case)) => case,
            Ok(None) => continue,
            // Whoever drives it cannot read it either; the order has to stand in any case.
            Err(fault) if fault.kind == FaultKind::Defect => {
                tracing::error!(%fault, run = %run.id, "a run cannot be read and is not held by the halt");
                continue;
            }
            Err(fault) => return Err(fault),
        };
        if is_to_be_watched(&case) {
            continue;
        }
        let detail = format!("{reason}, ordered by {actor}");
        reads_end(&mut case).await?;
        case.hold(RunState::Held, Hold { reason: Reason::Halted, path: None, detail }).await?;
    }
    Ok(Some(held))
}

/// Whether something of the run is in flight, or in doubt and looked for.
fn is_to_be_watched(case: &Case<'_, '_>) -> bool {
    case.journal.0.iter().any(|record| {
        let changes = record.key.pass == Pass::Undo
            || (record.key.pass == Pass::Do && case.run.plan.step(&record.key.path).is_some_and(|step| !step.reads()));
        let is_last = case.journal.last(&record.key.path, record.key.pass) == Some(record);
        let is_unsettled = record.is_open() || record.state == crate::domain::runs::StepState::InDoubt;
        changes && is_last && is_unsettled && record.verdict.is_none()
    })
}

/// Reads that are in flight are of no use any more; waits go on to count.
async fn reads_end(case: &mut Case<'_, '_>) -> store::Result<()> {
    let waits: Vec<_> =
        case.journal.0.iter().filter(|record| record.is_open() && record.due_at.is_some()).cloned().collect();
    settle::close_open(case).await?;
    for wait in waits.into_iter().filter(|wait| wait.question.is_none()) {
        case.amend(wait).await?;
    }
    Ok(())
}

/// Lifts a halt, for this reason. Says whether there was one.
pub(super) async fn lift(
    context: &mut Context<'_>,
    service: Option<&str>,
    reason: &str,
    person: &PersonId,
) -> store::Result<bool> {
    let scope = service.unwrap_or(EVERYTHING);
    if !halts::lift(context.tx, scope).await? {
        return Ok(false);
    }
    let event = Event::HaltLifted { scope: scope.to_owned(), reason: Some(reason.to_owned()) };
    let draft = Draft::new(Actor::Person(person.clone()), &event);
    timeline::append(context.tx, Chain::System, context.now, draft).await?;
    Ok(true)
}
