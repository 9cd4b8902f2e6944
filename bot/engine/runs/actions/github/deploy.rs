//! `github.deploy`: makes one deployment of one commit, and follows it to its end.
//!
//! What is live is looked at right before, and nothing is deployed if it is not what the runbook expects. A deployment that
//! an earlier attempt made under the same key is followed; only where it failed another one is made.

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{
    At,
    deployments::{self, Followed, SUCCESS},
    not_done, told,
};
use crate::engine::{
    ports::{Deployment, NewDeployment},
    runs::{Outcome, Ports, Work, actions::texts},
};

/// How many of the newest deployments are looked at to find the one that is live, and the step's own.
const NEWEST: usize = 100;

pub(in crate::engine::runs::actions) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(deploy(ports, work).map(told))
}

async fn deploy(ports: &Ports, work: &Work) -> Result<Value, Outcome> {
    let at = At::github(ports, work)?;
    let wanted = wanted(&at)?;
    let expected = at.commit("expect_live")?;
    let made = loop {
        // Each try looks anew at what is live: much may happen while one waits for a limit.
        let newest = at.host.deployments(at.repo, &wanted.environment, NEWEST, at.until).await.map_err(not_done)?;
        if let Some(own) = standing(&at, &newest).await? {
            break own.clone();
        }
        if let Some(expected) = expected {
            as_expected(&at, &newest, (expected, &wanted.sha)).await?;
        }
        match at.host.deploy(at.repo, &wanted, at.until).await {
            Ok(made) => break made,
            Err(unwritten) => at.wait_to_write(unwritten).await?,
        }
    };
    end(&at, &made).await
}

/// The deployment that an earlier attempt made under the same key, unless it failed.
async fn standing<'d>(at: &At<'_>, newest: &'d [Deployment]) -> Result<Option<&'d Deployment>, Outcome> {
    let Some(own) = newest.iter().find(|it| it.key.as_deref() == Some(at.key())) else { return Ok(None) };
    let status = at.host.deployment_status(at.repo, own.id, at.until).await;
    let status = status.map_err(|why| Outcome::Unknown(format!("deployment {} cannot be read: {why}", own.id)))?;
    let is_failed = status.is_some_and(|status| matches!(status.state.as_str(), "failure" | "error"));
    Ok((!is_failed).then_some(own))
}

fn wanted(at: &At<'_>) -> Result<NewDeployment, Outcome> {
    let sha = at.commit("sha")?.ok_or_else(|| not_done("there is no `sha`"))?;
    let contexts = at.work.with.get("required_contexts").map(|_| texts(&at.work.with, "required_contexts"));
    Ok(NewDeployment {
        key: at.key().to_owned(),
        sha: sha.to_ascii_lowercase(),
        environment: at.text("environment")?.to_owned(),
        description: at.optional("description").map(str::to_owned),
        task: at.optional("task").map(str::to_owned),
        required_contexts: contexts,
        payload: at.names("payload")?,
    })
}

/// Refuses unless the expected commit is live: that of the newest deployment whose newest word is success.
///
/// A deployment of the expected commit that failed may be half there. Where what is wanted is live under it, as in an undo,
/// it may be deployed again.
async fn as_expected(at: &At<'_>, newest: &[Deployment], (expected, wanted): (&str, &str)) -> Result<(), Outcome> {
    let mut is_half_there = false;
    for (place, deployment) in newest.iter().enumerate() {
        let status = at.host.deployment_status(at.repo, deployment.id, at.until).await.map_err(not_done)?;
        let is_expected = deployment.sha.eq_ignore_ascii_case(expected);
        match status.as_ref().map(|status| status.state.as_str()) {
            Some(SUCCESS) if is_expected || (is_half_there && deployment.sha.eq_ignore_ascii_case(wanted)) => {
                return Ok(());
            }
            Some(SUCCESS) => {
                let (id, live, environment) = (deployment.id, &deployment.sha, &deployment.environment);
                let why =
                    format!("`{live}` is live in `{environment}` (deployment {id}), not `{expected}` as expected");
                return Err(not_done(why));
            }
            Some("failure" | "error") if place == 0 => is_half_there = is_expected,
            Some(_) | None => {}
        }
    }
    Err(not_done(format!("nothing is known to be live, and `{expected}` is expected: no deployment has succeeded")))
}

/// Follows the deployment; from here on something has happened.
async fn end(at: &At<'_>, deployment: &Deployment) -> Result<Value, Outcome> {
    match deployments::follow(at, deployment.id).await {
        Followed::Ended(status) if status.state == SUCCESS => Ok(deployments::output(at, deployment, &status)),
        Followed::Ended(status) => Err(Outcome::Unsuccessful {
            why: deployments::words(deployment, &status),
            made: deployments::output(at, deployment, &status),
        }),
        Followed::Open(stands) => Err(Outcome::Unknown(format!("deployment {} was made and {stands}", deployment.id))),
    }
}
