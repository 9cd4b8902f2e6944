//! Holds every run of a store that was restored from a copy: nobody knows what was done since the copy was made.
//!
//! A step that was begun may have happened, once or since then again by somebody else, so nothing is looked for or
//! repeated by itself: a person says what became of it.

use super::{advance, case::Case};
use crate::{
    domain::{
        ids::RunId,
        runbooks::plan::Mode,
        runs::{Hold, Journal, Reason, RunState, StepKey, StepState},
    },
    engine::Context,
    store::{self, FaultKind, restores, runs},
};

/// What stands because of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine) struct Held {
    /// Every run that was at work or waited.
    pub(in crate::engine) runs: Vec<RunId>,
    /// Those of them of which a step is in doubt.
    pub(in crate::engine) in_doubt: Vec<RunId>,
}

/// Holds every run that is at work or waits; one that only observes changes nothing and goes on.
pub(super) async fn hold(context: &mut Context<'_>, from: &str) -> store::Result<Held> {
    let mut held = Held::default();
    let first = restores::revisions_from(context.tx).await?;
    for run in runs::open(context.tx).await? {
        // One that is queued has begun nothing, and is held when its turn comes.
        if run.mode == Mode::Observe || run.state.needs_people() || run.state == RunState::Queued {
            continue;
        }
        let mut case = match Case::open(context, run.id).await {
            Ok(Some(case)) => case,
            Ok(None) => continue,
            // Nobody can drive it either, and the others have to be held in any case.
            Err(fault) if fault.kind == FaultKind::Defect => {
                tracing::error!(%fault, run = %run.id, "a run cannot be read and is not held by the restore");
                continue;
            }
            Err(fault) => return Err(fault),
        };
        held.runs.push(run.id);
        let why = format!("the store was restored from {from}, made before it had an answer");
        case.run.epoch += 1;
        case.run.revision = case.run.revision.max(first);
        advance::lose(&mut case, &why).await?;
        if let Some(key) = doubtful(&case.journal, case.run.pass) {
            held.in_doubt.push(run.id);
            let detail = format!("{}: {why}", case.name_of(&key.path));
            case.hold(RunState::InDoubt, Hold { reason: Reason::InDoubt, path: Some(key.path), detail }).await?;
        } else {
            let why = Hold { reason: Reason::Restored, path: None, detail: from.to_owned() };
            case.hold(RunState::Held, why).await?;
        }
    }
    Ok(held)
}

/// The newest attempt of which nobody knows whether it happened.
fn doubtful(journal: &Journal, pass: crate::domain::runs::Pass) -> Option<StepKey> {
    let unsettled = journal.0.iter().rev().find(|record| {
        record.key.pass == pass
            && record.state == StepState::InDoubt
            && record.verdict.is_none()
            && journal.last(&record.key.path, pass) == Some(record)
    });
    unsettled.map(|record| record.key.clone())
}
