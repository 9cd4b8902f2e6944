//! `github.create_issue`: opens an issue.

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::{At, told};
use crate::engine::{
    ports::NewIssue,
    runs::{Outcome, Ports, Work, actions::texts},
};

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(create(ports, work).map(told))
}

async fn create(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let issue = NewIssue {
        title: at.text("title")?.to_owned(),
        body: at.marked(at.optional("body").unwrap_or_default()),
        labels: texts(&work.with, "labels"),
        assignees: texts(&work.with, "assignees"),
    };
    let made = at.write(|| at.host.open_issue(at.repo, &issue, at.until)).await?;
    Ok(json!({ "number": made.number, "url": made.url }))
}
