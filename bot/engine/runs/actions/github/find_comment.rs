//! `github.find_comment`: looks for the comment that a step made, by its key.

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{At, marked, not_done, sighted, told};
use crate::engine::runs::{Outcome, Ports, Work};

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(find(ports, work).map(told))
}

async fn find(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let comments = at.host.comments(at.repo, at.needed_number("number")?, at.until).await.map_err(not_done)?;
    Ok(sighted(marked(&comments, at.key()), "id"))
}
