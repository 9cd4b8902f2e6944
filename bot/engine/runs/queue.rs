//! Runs that wait for others with the same key: they start by themselves, in their order, when there is room.

use futures::future::BoxFuture;

use crate::{
    domain::{
        ids::RunId,
        runs::{
            Hold, Reason, RunState,
            guards::{self, Moment},
        },
    },
    engine::{
        Context,
        runs::{case::Case, facts},
    },
    store::{self, Reader, guards as asked},
};

/// How a run with this key would find the others that are at work for it, if there is no room.
pub(super) async fn busy(reader: &mut Reader, key: &str, limit: u32) -> store::Result<Option<Vec<RunId>>> {
    let at_work = asked::at_work_for(reader, key).await?;
    let is_full = u32::try_from(at_work.len()).is_ok_and(|count| count >= limit);
    Ok(is_full.then_some(at_work))
}

/// A run with this key has ended: those that waited for it start, as far as there is room and the guards let them.
pub(super) fn go_on<'a>(context: &'a mut Context<'_>, key: &'a str) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        while let Some(first) = asked::first_queued(context.tx, key).await? {
            let Some(mut case) = Case::open(context, first).await? else { return Ok(()) };
            let limit = case.run.plan.guards.concurrency.as_ref().map_or(1, |together| together.limit);
            if busy(case.context.tx, key, limit).await?.is_some() {
                return Ok(());
            }
            let (_, facts) = facts::of_case(&mut case).await?;
            // Its time begins now.
            case.run.deadline = case.run.plan.timeout.map(|timeout| case.now() + timeout);
            match guards::evaluate(&case.run.plan.guards, Moment::Start, &facts, case.now()) {
                Ok(()) => case.go_on().await?,
                // Lifting a halt starts nothing by itself, and what waited is not lost.
                Err(refused) if matches!(refused.reason, Reason::Halted | Reason::HaltFile) => {
                    let hold = Hold { reason: refused.reason, path: None, detail: refused.detail };
                    case.hold(RunState::Held, hold).await?;
                }
                // Its end lets the next one go on.
                Err(refused) => return case.end(refused.reason.ends_as(), refused.reason, &refused.detail).await,
            }
        }
        Ok(())
    })
}
