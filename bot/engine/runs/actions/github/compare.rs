//! `github.compare`: tells what lies between two commits.

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::{At, not_done, told};
use crate::engine::runs::{Outcome, Ports, Work};

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(compare(ports, work).map(told))
}

async fn compare(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let between = at.host.compare(at.repo, at.text("base")?, at.text("head")?, at.until).await.map_err(not_done)?;
    Ok(json!({
        "status": between.status, "ahead_by": between.ahead_by, "behind_by": between.behind_by,
        "files": between.files, "is_cut": between.is_cut, "url": between.url,
    }))
}
