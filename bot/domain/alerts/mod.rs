//! Alerts: what makes two statements one alert, and how one fires, repeats, resolves, goes stale and flaps.
//!
//! An alert resolves only because a source said so. Silence makes it stale, which people see and nothing takes for
//! recovery.

pub mod bounds;
pub mod fold;
pub mod labels;
pub mod matchers;
pub mod signal;
pub mod state;

pub use bounds::Malformed;
pub use fold::{Change, Changes, What, after_deafness, fold, sweep};
pub use labels::{Identity, Labels};
pub use matchers::{Matcher, Operator};
pub use signal::{Batch, Says, Signal};
pub use state::{Alert, AlertState, Settings, Voice};
