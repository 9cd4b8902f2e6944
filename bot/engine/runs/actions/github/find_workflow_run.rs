//! `github.find_workflow_run`: looks for the run that a step set off, and follows it to its end.

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::{
    At, not_done, told,
    workflow_runs::{self, Followed},
};
use crate::engine::runs::{Outcome, Ports, Work};

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(find(ports, work).map(told))
}

async fn find(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let newest = at.host.dispatched_runs(at.repo, at.text("workflow")?, at.until).await.map_err(not_done)?;
    let Some(own) = newest.iter().find(|run| run.title.contains(at.key())) else {
        return Ok(json!({ "found": false, "failed": false }));
    };
    match workflow_runs::follow(&at, own.id, 1).await {
        Followed::Ended(run) => {
            let mut output = workflow_runs::output(&run);
            let is_failed = !workflow_runs::is_success(&run);
            output["found"] = true.into();
            output["failed"] = is_failed.into();
            output["why"] = if is_failed { workflow_runs::words(&at, &run).await.into() } else { Value::Null };
            Ok(output)
        }
        Followed::Open(stands) => Err(not_done(format!("run {} is there and {stands}", own.id))),
    }
}
