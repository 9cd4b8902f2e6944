//! What the log says of freezes.

use serde::{Deserialize, Serialize};

use super::covered;
use crate::domain::{time::Time, timeline};

/// Something happened to a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Somebody froze a service.
    FreezeOrdered {
        /// The service, or `*`.
        service: String,
        /// Until when.
        until: Time,
        /// Why.
        reason: String,
    },
    /// Somebody lifted a freeze.
    FreezeLifted {
        /// The service, or `*`.
        service: String,
    },
    /// The time of a freeze is over.
    FreezeEnded {
        /// The service, or `*`.
        service: String,
    },
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::FreezeOrdered { service, until, reason } => {
                format!("froze {} until {}: {reason}", covered(service), until.long())
            }
            Event::FreezeLifted { service } => format!("lifted the freeze of {}", covered(service)),
            Event::FreezeEnded { service } => format!("ended the freeze of {}: its time is over", covered(service)),
        }
    }
}
