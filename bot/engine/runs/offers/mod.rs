//! `/rollback`, `/scale` and `/restart`: what people want done to a service, by the runbook that does it.
//!
//! Each first shows what is, what it would do and which guard would refuse, and writes nothing. Its button starts the
//! runbook, with the same guards, approvals and journal as if an alert had.

mod cards;
mod choose;
mod commands;
mod prepare;
mod version;

use crate::engine::features::Feature;

/// The feature `offers`.
pub static FEATURE: Feature =
    Feature { name: "offers", commands: commands::COMMANDS, timers: &[], cards: &[], names: &[] };
