//! What the example service can be switched between: the region that serves, and features that are on or off.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::state::Change;

/// The regions, of which one serves and the other follows it.
const REGIONS: [&str; 2] = ["east", "west"];
/// How far the data of the other region is behind.
const LAG_SECONDS: f64 = 0.4;

/// What is wanted, and what it must be before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Switch {
    Region { to: String, expect: String },
    Flag { name: String, on: bool, expect: bool },
}

/// How everything is switched.
pub(super) struct Switches {
    region: &'static str,
    flags: BTreeMap<String, bool>,
}

impl Default for Switches {
    /// East serves, and the new cart is on.
    fn default() -> Self {
        Self { region: REGIONS[0], flags: BTreeMap::from([("new-cart".to_owned(), true)]) }
    }
}

impl Switch {
    /// What is asked for, for whoever remembers requests.
    pub(super) fn request(&self) -> Value {
        match self {
            Switch::Region { to, expect } => json!(["region", to, expect]),
            Switch::Flag { name, on, expect } => json!(["flag", name, on, expect]),
        }
    }
}

impl Switches {
    /// Which region serves, and how the other one does.
    pub(super) fn regions(&self) -> Value {
        let other = REGIONS.into_iter().find(|region| *region != self.region).unwrap_or_default();
        json!({ "active": self.region, "standby": { "name": other, "healthy": true, "lag_seconds": LAG_SECONDS } })
    }

    /// Every flag.
    pub(super) fn flags(&self) -> Value {
        json!({ "flags": self.flags })
    }

    /// The region that serves.
    pub(super) fn region(&self) -> &'static str {
        self.region
    }

    /// Whether the feature is on; nothing is known of one that there is not.
    pub(super) fn is_on(&self, flag: &str) -> Option<bool> {
        self.flags.get(flag).copied()
    }

    /// Switches, and tells what was changed and what is answered.
    ///
    /// # Errors
    /// What it is, if that is not what was expected before, or if there is no such thing.
    pub(super) fn switch(&mut self, wanted: &Switch) -> Result<(Change, Value), Value> {
        match wanted {
            Switch::Region { to, expect } => {
                let known = REGIONS.into_iter().find(|region| region == to);
                let (Some(to), true) = (known, self.region == expect) else { return Err(json!(self.region)) };
                let from = std::mem::replace(&mut self.region, to);
                let change = Change::Moved { from: from.to_owned(), to: to.to_owned() };
                Ok((change, json!({ "active": to, "previous": from })))
            }
            Switch::Flag { name, on, expect } => match self.flags.get_mut(name) {
                Some(is) if is == expect => {
                    *is = *on;
                    Ok((Change::Flagged { name: name.clone(), on: *on }, json!({ "name": name, "on": on })))
                }
                is => Err(json!(is)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_switched_that_is_not_as_expected() {
        let mut switches = Switches::default();
        let west = Switch::Region { to: "west".to_owned(), expect: "east".to_owned() };
        assert!(switches.switch(&west).is_ok());
        assert_eq!((switches.switch(&west), switches.region()), (Err(json!("west")), "west"));
        let moon = Switch::Region { to: "moon".to_owned(), expect: "west".to_owned() };
        assert_eq!(switches.switch(&moon), Err(json!("west")));
        let flag = |name: &str| Switch::Flag { name: name.to_owned(), on: false, expect: true };
        assert!(switches.switch(&flag("new-cart")).is_ok());
        assert_eq!(switches.switch(&flag("new-cart")), Err(json!(false)));
        assert_eq!(switches.switch(&flag("no-such")), Err(json!(null)));
        assert_eq!((switches.is_on("new-cart"), switches.is_on("no-such")), (Some(false), None));
    }
}
