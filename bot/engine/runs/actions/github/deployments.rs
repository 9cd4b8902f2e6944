//! A deployment as an action tells of it, and how it is followed to its end.

use serde_json::{Value, json};

use super::At;
use crate::engine::ports::{Deployment, DeploymentStatus};

/// The state of a deployment that succeeded and is in force.
pub(super) const SUCCESS: &str = "success";

/// How far a deployment could be followed.
pub(super) enum Followed {
    /// To its end.
    Ended(DeploymentStatus),
    /// Not to its end: how it stands, in words that follow its name.
    Open(String),
}

/// Follows a deployment to its end, or to the end of the step's time.
pub(super) async fn follow(at: &At<'_>, deployment: u64) -> Followed {
    loop {
        let stands = match at.host.deployment_status(at.repo, deployment, at.until).await {
            Ok(Some(status)) if is_end(&status.state) => return Followed::Ended(status),
            Ok(Some(status)) => format!("is still `{}`", status.state),
            Ok(None) => "is not begun: nobody has said anything about it".to_owned(),
            Err(why) => format!("cannot be followed: {why}"),
        };
        if !at.look_again().await {
            return Followed::Open(stands);
        }
    }
}

/// Whether nothing more is to be expected of a deployment in this state.
/// <https://docs.github.com/en/rest/deployments/statuses>
fn is_end(state: &str) -> bool {
    matches!(state, SUCCESS | "failure" | "error" | "inactive")
}

/// What people are told of a deployment that ended without success.
pub(super) fn words(deployment: &Deployment, status: &DeploymentStatus) -> String {
    let mut words = format!("deployment {} ended as `{}`", deployment.id, status.state);
    if status.state == "inactive" {
        words.push_str(", so another one has taken its place");
    }
    for (before, part) in [(": ", &status.description), (", see ", &status.log)] {
        if !part.is_empty() {
            words.push_str(before);
            words.push_str(part);
        }
    }
    words
}

/// What an action gives of a deployment.
pub(super) fn output(at: &At<'_>, deployment: &Deployment, status: &DeploymentStatus) -> Value {
    let url = if status.log.is_empty() { &deployment.url } else { &status.log };
    json!({
        "id": deployment.id, "sha": deployment.sha, "environment": deployment.environment, "repo": at.repo,
        "state": status.state, "url": url,
    })
}
