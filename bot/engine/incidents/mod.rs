//! Incidents: opened by alerts and by people, moved by both, and never ended by silence.

pub mod acts;
pub mod cards;
mod commands;
pub mod decide;
mod desk;
mod entries;
mod looks;
mod names;
mod placing;
mod responses;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(in crate::engine) use self::{
    looks::unknown,
    names::{must_be_service, service_is_known},
};
use crate::{
    domain::{alerts::Alert, ids::IncidentId, incidents::Phase, routes::Decision},
    engine::{chat::Lookup, features::Feature},
};

/// Something happened to an incident that runs want to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// An alert began to fire in it: for the first time, again, or as another one of its group.
    Fired {
        /// The incident.
        incident: IncidentId,
        /// The alert as it stands.
        alert: Arc<Alert>,
        /// Where the alert goes, and why.
        decision: Arc<Decision>,
        /// Whether the alert opened it.
        is_new_incident: bool,
    },
    /// A source said that an alert of it is over.
    Cleared {
        /// The incident.
        incident: IncidentId,
        /// The alert as it stands.
        alert: Arc<Alert>,
    },
    /// It was moved.
    PhaseMoved {
        /// The incident.
        incident: IncidentId,
        /// Before.
        from: Phase,
        /// After.
        to: Phase,
    },
}

/// The feature `incidents`.
pub static FEATURE: Feature = Feature {
    name: "incidents",
    commands: commands::COMMANDS,
    timers: &[(acts::QUIET, decide::quiet_is_over)],
    cards: &[("incident", cards::render)],
    names: &[(Lookup::Incident, names::incidents), (Lookup::Service, names::services)],
};
