//! `github.find_issue`: looks for the issue that a step opened, by its key.

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{At, marked, not_done, sighted, told};
use crate::engine::runs::{Outcome, Ports, Work};

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(find(ports, work).map(told))
}

async fn find(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let newest = at.host.issues(at.repo, at.until).await.map_err(not_done)?;
    Ok(sighted(marked(&newest, at.key()), "number"))
}
