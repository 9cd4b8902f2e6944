//! The pure rules: every decision is a function of state, input and time.
//!
//! Nothing here waits, reads a clock, draws a random number or touches the outside. Features stand in their order; a
//! later one may know an earlier one, never the other way round.

pub mod alerts;
pub mod catalog;
pub mod deployments;
pub mod diagnostic;
pub mod duration;
pub mod freezes;
pub mod ids;
pub mod incidents;
pub mod locks;
pub mod people;
pub mod reviews;
pub mod routes;
pub mod runbooks;
pub mod runs;
pub mod severity;
pub mod silences;
pub mod time;
pub mod timeline;
pub mod traces;
