//! What the log says of locks on services.

use serde::{Deserialize, Serialize};

use crate::domain::{people::PersonId, time::Time, timeline};

/// Something happened to a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Somebody locked a service, or prolonged their lock.
    ServiceLocked {
        /// The service.
        service: String,
        /// Until when.
        until: Time,
        /// Why.
        reason: String,
    },
    /// A lock became another person's.
    LockHandedOver {
        /// The service.
        service: String,
        /// Whose it was.
        from: PersonId,
        /// Whose it is.
        to: PersonId,
        /// Until when.
        until: Time,
    },
    /// Somebody unlocked a service.
    ServiceUnlocked {
        /// The service.
        service: String,
        /// Whose lock it was.
        owner: PersonId,
    },
    /// The time of a lock is over.
    LockEnded {
        /// The service.
        service: String,
        /// Whose lock it was.
        owner: PersonId,
    },
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::ServiceLocked { service, until, reason } => {
                format!("locked `{service}` until {}: {reason}", until.long())
            }
            Event::LockHandedOver { service, from, to, until } => {
                format!("handed the lock of `{service}` over from `{from}` to `{to}`, until {}", until.long())
            }
            Event::ServiceUnlocked { service, owner } => format!("unlocked `{service}`, which `{owner}` had locked"),
            Event::LockEnded { service, owner } => {
                format!("ended the lock of `{owner}` on `{service}`: its time is over")
            }
        }
    }
}
