//! `github.dispatch_workflow`: sets off a workflow, and follows its run to the end.

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{At, told, workflow_runs};
use crate::engine::{
    ports::Dispatch,
    runs::{Outcome, Ports, Work},
};

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(dispatch(ports, work).map(told))
}

async fn dispatch(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let mut inputs = at.names("inputs")?;
    // GitHub takes inputs as texts: <https://docs.github.com/en/rest/actions/workflows>
    for value in inputs.values_mut().filter(|value| !value.is_string()) {
        *value = Value::from(value.to_string());
    }
    if let Some(input) = at.optional("key_input") {
        inputs.insert(input.to_owned(), at.key().into());
    }
    let workflow = at.text("workflow")?.to_owned();
    let dispatch = Dispatch { workflow, reference: at.text("ref")?.to_owned(), inputs };
    match at.write(|| at.host.dispatch(at.repo, &dispatch, at.until)).await? {
        Some(run) => workflow_runs::end(&at, run, 1).await,
        None => Err(Outcome::Unknown("the workflow was set off, and GitHub does not say which run it is".to_owned())),
    }
}
