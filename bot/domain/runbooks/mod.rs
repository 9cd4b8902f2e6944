//! The runbook language: from a file that a person wrote to a plan that a run can follow.
//!
//! Reading has no effect and needs nothing but the text. Whatever the text is, it ends with a plan or with a list of
//! problems, each with its place and how to mend it; the reader does not panic and does not run long.

pub mod actions;
pub mod check;
pub mod condition;
mod fields;
pub(in crate::domain) mod format;
pub(in crate::domain) mod guarding;
pub mod inputs;
pub mod plan;
pub(in crate::domain) mod reader;
pub mod reference;
pub mod schedule;
pub mod schema;
pub mod scope;
mod step_format;
mod steps;
pub mod template;
mod trigger_format;
pub mod unknown;
pub mod words;
pub(in crate::domain) mod yaml;

#[cfg(test)]
mod tests;

pub use check::read;
pub use condition::Condition;
pub use plan::Plan;
pub use scope::Scope;
pub(crate) use steps::CHILD;

/// The lengths of time that a step may wait.
fn duration_range() -> std::ops::RangeInclusive<std::time::Duration> {
    std::time::Duration::from_secs(1)..=std::time::Duration::from_hours(24)
}

/// The name of the runbook's file, without its ending, if this is a file of tests: `NAME.test.yaml` stands beside
/// `NAME.yaml`.
pub fn tested(file: &std::path::Path) -> Option<&str> {
    let name = file.file_name()?.to_str()?;
    name.strip_suffix(".test.yaml").or_else(|| name.strip_suffix(".test.yml"))
}
