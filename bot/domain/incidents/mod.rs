//! Incidents: phases, roles, milestones with provenance, and when one resolves, reopens or asks a person.
//!
//! Silence never ends an incident, and a time that nobody knows stays unknown.

pub mod event;
pub mod incident;
pub mod milestones;
pub mod phase;
pub mod resolving;

pub use event::{Event, Grouping, Member};
pub use incident::{Incident, Origin, Role, Settings};
pub use milestones::{Mark, Measure, Milestone, Milestones, Replaced};
pub use phase::{Immovable, Phase};
pub use resolving::{AfterQuiet, Counts, Doubt, OnFire};
