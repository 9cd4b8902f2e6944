//! Locks on services: somebody keeps a service for themselves, for a while.
//!
//! Their own runs go on; everybody else's are refused. A lock ends by itself, so that nobody's holiday holds a service.

mod event;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{people::PersonId, time::Time};

pub use event::Event;

/// How long a lock lasts if nobody says.
pub const USUAL: Duration = Duration::from_hours(2);
/// The longest lock.
pub const LONGEST: Duration = Duration::from_hours(7 * 24);

/// A lock on a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLock {
    /// The service.
    pub service: String,
    /// Whose it is.
    pub owner: PersonId,
    /// Why, in their words.
    pub reason: String,
    /// Since when it is theirs.
    pub at: Time,
    /// When it ends by itself.
    pub until: Time,
}

impl ServiceLock {
    /// Whether it keeps this person's runs from the service at this moment; nobody's means an alert's.
    pub fn keeps_out(&self, person: Option<&PersonId>, now: Time) -> bool {
        now < self.until && person != Some(&self.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_out_everybody_else_while_it_lasts() {
        let (ana, ben) = (PersonId("ana".to_owned()), PersonId("ben".to_owned()));
        let until = Time::EPOCH + USUAL;
        let lock = ServiceLock {
            service: "checkout".to_owned(),
            owner: ana.clone(),
            reason: "debugging".to_owned(),
            at: Time::EPOCH,
            until,
        };
        assert!(lock.keeps_out(Some(&ben), Time::EPOCH) && lock.keeps_out(None, Time::EPOCH));
        assert!(!lock.keeps_out(Some(&ana), Time::EPOCH));
        assert!(!lock.keeps_out(None, until));
    }
}
