//! `github.rerun_workflow`: runs a workflow's run again, and follows it to its end.
//!
//! With the attempt that is to be run again, a newer one is taken for what was wanted, whoever began it: so the step may be
//! repeated.

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{At, not_done, told, workflow_runs};
use crate::engine::runs::{Outcome, Ports, Work};

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(rerun(ports, work).map(told))
}

async fn rerun(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let id = at.needed_number("run")?;
    let wanted = at.number("attempt")?;
    let run = at.host.workflow_run(at.repo, id, at.until).await.map_err(not_done)?;
    match wanted {
        Some(wanted) if run.attempt > wanted => return workflow_runs::end(&at, id, wanted + 1).await,
        Some(wanted) if run.attempt < wanted => {
            return Err(not_done(format!("run {id} has no attempt {wanted}: its newest is {}", run.attempt)));
        }
        Some(_) | None => {}
    }
    if run.status != "completed" {
        return Err(not_done(format!("run {id} is still `{}`, see {}", run.status, run.url)));
    }
    let only_failed = at.optional("jobs") != Some("all");
    at.write(|| at.host.rerun(at.repo, id, only_failed, at.until)).await?;
    workflow_runs::end(&at, id, run.attempt + 1).await
}
