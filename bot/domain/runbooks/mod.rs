//! The runbook language: from a file that a person wrote to a plan that a run can follow.
//!
//! Reading has no effect and needs nothing but the text. Whatever the text is, it ends with a plan or with a list of
//! problems, each with its place and how to mend it; the reader does not panic and does not run long.

pub mod actions;
pub mod condition;
pub mod inputs;
pub mod plan;
pub mod scope;
pub mod template;
pub mod words;

pub use condition::Condition;
pub use plan::Plan;
pub use scope::Scope;
