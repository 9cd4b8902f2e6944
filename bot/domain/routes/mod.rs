//! Routes: what an alert means for people, and which incident it belongs to.
//!
//! Every decision carries a stable reason code, and the explanation of a decision comes from the code that takes it,
//! so the two cannot differ.

pub mod choose;
pub mod group;
pub mod route;

pub use choose::{Decision, Explanation, Outcome, Reason, Tried, channel, choose, explain};
pub use group::{GroupKey, Join, OpenGroup, grouping};
pub use route::{Pick, Route};
