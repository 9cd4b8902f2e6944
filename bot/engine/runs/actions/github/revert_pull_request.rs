//! `github.revert_pull_request`: opens a pull request that takes a merged one back. Whether it is merged is people's.

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::{At, not_done, told};
use crate::engine::runs::{Outcome, Ports, Work};

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(revert(ports, work).map(told))
}

async fn revert(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let number = at.needed_number("number")?;
    let pull_request = at.host.pull_request(at.repo, number, at.until).await.map_err(not_done)?;
    if !pull_request.is_merged {
        return Err(not_done(format!("pull request {number} is not merged, so there is nothing to take back")));
    }
    let body = at.marked(at.optional("body").unwrap_or_default());
    let made = at.write(|| at.host.revert(&pull_request, at.optional("title"), &body, at.until)).await?;
    Ok(json!({ "number": made.number, "url": made.url }))
}
