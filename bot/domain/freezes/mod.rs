//! Freezes: times in which nobody changes a service, but for what is allowed in a freeze.
//!
//! A window stands in the configuration, once or every week; a freeze is ordered by a person.

mod event;
pub mod window;

use serde::{Deserialize, Serialize};

use crate::domain::{people::Actor, time::Time};

pub use event::Event;
pub use window::Window;

/// What a freeze is about that covers every service.
pub const EVERY_SERVICE: &str = "*";

/// A freeze that somebody ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The service, or [`EVERY_SERVICE`].
    pub service: String,
    /// Until when.
    pub until: Time,
    /// Why, in the words of who ordered it.
    pub reason: String,
    /// Who ordered it.
    pub actor: Actor,
    /// Since when.
    pub at: Time,
}

impl Freeze {
    /// Whether it covers the service at this moment.
    pub fn covers(&self, service: &str, now: Time) -> bool {
        now < self.until && (self.service == EVERY_SERVICE || self.service == service)
    }
}

/// A service as people read it.
pub fn covered(service: &str) -> String {
    if service == EVERY_SERVICE { "every service".to_owned() } else { format!("`{service}`") }
}
