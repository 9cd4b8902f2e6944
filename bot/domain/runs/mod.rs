//! Runs: what an execution of a runbook does next, given its plan and its journal.
//!
//! The journal alone decides. An effect whose outcome is unknown is looked for, repeated only if the runbook allows it,
//! or put before people; it is never taken for a failure.

pub mod approvals;
pub mod events;
pub mod guards;
pub mod journal;
pub mod next;
pub mod reason;
pub mod run;
#[cfg(test)]
mod tests;

pub use approvals::{Approval, ApprovalState};
pub use events::Event;
pub use journal::{Journal, Pass, StepKey, StepRecord, StepState, Verdict};
pub use next::{Next, Situation};
pub use reason::Reason;
pub use run::{Cause, Hold, Run, RunState};
