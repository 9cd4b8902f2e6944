//! `github.find_deployment`: looks for the deployment that a step made, and follows it to its end.

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::{
    At,
    deployments::{self, Followed, SUCCESS},
    not_done, told,
};
use crate::engine::runs::{Outcome, Ports, Work};

/// The most deployments that are looked through. Whoever has more since then is not told that it is not there.
const MOST: usize = 1_000;

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(find(ports, work).map(told))
}

async fn find(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let environment = at.text("environment")?;
    let newest = at.host.deployments(at.repo, environment, MOST, at.until).await.map_err(not_done)?;
    let Some(own) = newest.iter().find(|it| it.key.as_deref() == Some(at.key())) else {
        if newest.len() >= MOST {
            return Err(not_done(format!("it is not among the newest {MOST} deployments, and there are more")));
        }
        return Ok(json!({ "found": false, "failed": false, "repo": at.repo, "environment": environment }));
    };
    match deployments::follow(&at, own.id).await {
        Followed::Ended(status) => {
            let mut output = deployments::output(&at, own, &status);
            let is_failed = status.state != SUCCESS;
            output["found"] = true.into();
            output["failed"] = is_failed.into();
            output["why"] = if is_failed { deployments::words(own, &status).into() } else { Value::Null };
            Ok(output)
        }
        Followed::Open(stands) => Err(not_done(format!("deployment {} is there and {stands}", own.id))),
    }
}
