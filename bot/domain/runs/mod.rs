//! Runs: what an execution of a runbook does next, given its plan and its journal.
//!
//! The journal alone decides. An effect whose outcome is unknown is looked for, repeated only if the runbook allows it,
//! or put before people; it is never taken for a failure.

pub mod approvals;
pub mod breaker;
pub mod budgets;
pub mod events;
pub mod guard_reference;
pub mod guards;
pub mod journal;
pub mod next;
pub mod outlook;
pub mod reason;
pub mod rehearsals;
pub mod run;
pub mod systems;
#[cfg(test)]
mod tests;
pub mod values;
pub mod verification;

pub use approvals::{Approval, ApprovalState};
pub use events::Event;
pub use journal::{Journal, Pass, StepKey, StepRecord, StepState, Verdict};
pub use next::{Next, Situation};
pub use reason::Reason;
pub use run::{Cause, Ending, Failure, Hold, Parent, Run, RunState, Stage};
