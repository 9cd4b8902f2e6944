//! What the log says of deployments and of changes near an incident.
//!
//! The kinds and their fields are stored for ever: they are added to, never changed.

use serde::{Deserialize, Serialize};

use super::{ChangeKind, State, deployment::named};
use crate::domain::{
    duration,
    ids::{DeploymentId, IncidentId, RunId},
    time::Time,
    timeline,
};

/// Something happened to a deployment, or a change came near an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A deployment was first heard of, or came further.
    DeploymentReported {
        /// The deployment.
        deployment: DeploymentId,
        /// What is deployed.
        service: String,
        /// Where.
        environment: String,
        /// Which version, as machines name it.
        sha: String,
        /// Which version, as people name it.
        version: Option<String>,
        /// How far it came.
        state: State,
        /// When, as its source says.
        at: Time,
        /// Who deploys.
        by: Option<String>,
        /// Whether it brings a migration; unknown if nobody said.
        migration: Option<bool>,
        /// Where people look at it.
        url: Option<String>,
        /// The run that deploys it, if one does.
        run: Option<RunId>,
    },
    /// A deployment turned out to be a run's own.
    DeploymentOwned {
        /// The deployment.
        deployment: DeploymentId,
        /// The run.
        run: RunId,
    },
    /// An incident opened while a deployment was live and had not baked.
    DeploymentSuspected {
        /// The deployment.
        deployment: DeploymentId,
        /// Which version, as machines name it.
        sha: String,
        /// Which version, as people name it.
        version: Option<String>,
        /// The incident.
        incident: IncidentId,
        /// How long it had been live.
        age_ms: u64,
    },
    /// The deployment of an earlier version took the place of another one.
    DeploymentRolledBack {
        /// The one that was live.
        deployment: DeploymentId,
        /// Its version, as machines name it.
        sha: String,
        /// Its version, as people name it.
        version: Option<String>,
        /// The one that took its place.
        by: DeploymentId,
    },
    /// Somebody ordered that a version shall not be deployed.
    VersionBanned {
        /// Of which service.
        service: String,
        /// Where.
        environment: String,
        /// The version.
        sha: String,
        /// Why, in words.
        reason: String,
    },
    /// Somebody took that back.
    VersionUnbanned {
        /// Of which service.
        service: String,
        /// Where.
        environment: String,
        /// The version.
        sha: String,
        /// Why, in words.
        reason: String,
    },
    /// A version was deployed that somebody had banned.
    BannedDeployed {
        /// The deployment.
        deployment: DeploymentId,
        /// Of which service.
        service: String,
        /// Where.
        environment: String,
        /// The version.
        sha: String,
        /// Who deployed it, if it is known.
        by: Option<String>,
        /// Why it is banned.
        reason: String,
    },
    /// Something changed that is no deployment.
    ChangeReported {
        /// What it is.
        change: ChangeKind,
        /// The service.
        service: String,
        /// What it is, in a few words.
        what: String,
        /// When, as its source says.
        at: Time,
        /// Who did it.
        by: Option<String>,
        /// Where people look at it.
        url: Option<String>,
    },
    /// Something changed near in time to the incident.
    ChangeNearby {
        /// What it is.
        change: ChangeKind,
        /// The service.
        service: String,
        /// Where, if it was at one place.
        environment: Option<String>,
        /// What it is, in a few words.
        what: String,
        /// When it happened.
        at: Time,
        /// Who did it.
        by: Option<String>,
        /// Where people look at it.
        url: Option<String>,
        /// How long before the incident opened; nothing if it was open already.
        before_ms: Option<u64>,
    },
    /// Nothing that is reported changed near in time before the incident opened.
    NoChangeNearby {
        /// The service.
        service: String,
        /// In which time before.
        within_ms: u64,
    },
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::DeploymentReported {
                deployment,
                service,
                environment,
                sha,
                version,
                state,
                at,
                by,
                migration,
                ..
            } => {
                format!(
                    "reported that the deployment of `{}` to `{service}` in `{environment}` {} at `{}`{}{}, {deployment}",
                    named(version.as_deref(), sha),
                    state.verb(),
                    at.long(),
                    whose(by.as_deref()),
                    match migration {
                        Some(true) => ", with a migration",
                        Some(false) => ", without a migration",
                        None => "",
                    },
                )
            }
            Event::DeploymentOwned { deployment, run } => format!("recognized {deployment} as the work of `{run}`"),
            Event::DeploymentSuspected { deployment, sha, version, incident, age_ms } => format!(
                "counted {deployment} of `{}` as not good: `{incident}` opened when it had been live for `{}` (near in time, not a cause)",
                named(version.as_deref(), sha),
                length(*age_ms),
            ),
            Event::DeploymentRolledBack { deployment, sha, version, by } => {
                format!("counted {deployment} of `{}` as rolled back by {by}", named(version.as_deref(), sha))
            }
            Event::VersionBanned { service, environment, sha, reason } => {
                format!("banned `{}` of `{service}` in `{environment}`: {reason}", named(None, sha))
            }
            Event::VersionUnbanned { service, environment, sha, reason } => {
                format!("lifted the ban of `{}` of `{service}` in `{environment}`: {reason}", named(None, sha))
            }
            Event::BannedDeployed { deployment, service, environment, sha, by, reason } => format!(
                "noticed that `{}` was deployed to `{service}` in `{environment}`{} although it is banned (`{reason}`), {deployment}",
                named(None, sha),
                whose(by.as_deref()),
            ),
            Event::ChangeReported { change, service, what, at, by, .. } => {
                format!("reported a {change} of `{service}` at `{}`{}: `{what}`", at.long(), whose(by.as_deref()))
            }
            Event::ChangeNearby { change, service, environment, what, at, by, before_ms, .. } => format!(
                "noted a {change} of `{service}`{} at `{}`{}{}: `{what}` (near in time, not a cause)",
                environment.as_ref().map_or_else(String::new, |environment| format!(" in `{environment}`")),
                at.long(),
                before_ms.map_or_else(String::new, |before| format!(", `{}` before it opened", length(before))),
                whose(by.as_deref()),
            ),
            Event::NoChangeNearby { service, within_ms } => {
                format!("found no change of `{service}` reported in the `{}` before it opened", length(*within_ms))
            }
        }
    }
}

fn whose(by: Option<&str>) -> String {
    by.map_or_else(String::new, |by| format!(", by `{by}`"))
}

fn length(millis: u64) -> String {
    duration::human(std::time::Duration::from_millis(millis))
}
