//! `github.comment`: comments on an issue or a pull request.

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::{At, told};
use crate::engine::runs::{Outcome, Ports, Work};

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(comment(ports, work).map(told))
}

async fn comment(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let (number, body) = (at.needed_number("number")?, at.marked(at.text("body")?));
    let made = at.write(|| at.host.comment(at.repo, number, &body, at.until)).await?;
    Ok(json!({ "id": made.number, "url": made.url }))
}
