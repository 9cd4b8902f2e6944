//! Which open incident an alert joins.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::domain::{alerts::Labels, ids::IncidentId, time::Time};

/// How long after something in an incident last fired another alert still joins it, unless configured otherwise.
pub const WINDOW: Duration = Duration::from_mins(30);

/// What the alerts of one incident share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKey {
    /// The route that took them.
    pub route: String,
    /// The affected service.
    pub service: Option<String>,
    /// The affected environment.
    pub environment: Option<String>,
    /// The values of the route's `group_by` labels, by name; empty where an alert has no such label.
    pub values: BTreeMap<String, String>,
}

impl GroupKey {
    /// The key of an alert with these labels.
    pub fn new(
        route: &str,
        service: Option<&str>,
        environment: Option<&str>,
        group_by: &[String],
        labels: &Labels,
    ) -> Self {
        Self {
            route: route.to_owned(),
            service: service.map(str::to_owned),
            environment: environment.map(str::to_owned),
            values: group_by.iter().map(|name| (name.clone(), labels.value(name).to_owned())).collect(),
        }
    }

    /// The key as one text, the same for the same key and no other: what the store looks it up by.
    pub fn text(&self) -> String {
        // Texts and a map of texts are always written.
        serde_json::to_string(&(&self.route, &self.service, &self.environment, &self.values)).unwrap_or_default()
    }
}

/// For people: ``route `checkout`, service `checkout`, cluster `eu1` ``.
impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route `{}`", self.route)?;
        let named = [("service", &self.service), ("environment", &self.environment)];
        for (name, value) in named.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            write!(f, ", {name} `{value}`")?;
        }
        for (name, value) in &self.values {
            write!(f, ", {name} `{value}`")?;
        }
        Ok(())
    }
}

/// An incident that is not yet closed, as far as grouping looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenGroup {
    /// The incident.
    pub incident: IncidentId,
    /// What its alerts share.
    pub key: GroupKey,
    /// The latest [`last_fired`](crate::domain::alerts::Alert::last_fired) of its alerts: the current time while one
    /// fires, so that an incident stays joinable for as long as anything in it fires.
    pub last_fired: Time,
}

/// Where an alert goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Into this incident, reason `same_group`.
    Same(IncidentId),
    /// Into a new one, for there is none with its key: reason `new_group`.
    New,
    /// Into a new one, for nothing in this one fired lately: reason `group_quiet`.
    Quiet(IncidentId),
}

impl Join {
    /// The stable code of the reason, as it stands in the log.
    pub fn code(self) -> &'static str {
        match self {
            Join::Same(_) => "same_group",
            Join::New => "new_group",
            Join::Quiet(_) => "group_quiet",
        }
    }

    /// The incident to be joined; none if a new one is to be opened.
    pub fn incident(self) -> Option<IncidentId> {
        match self {
            Join::Same(incident) => Some(incident),
            Join::New | Join::Quiet(_) => None,
        }
    }
}

/// Where an alert with this key goes: into the open incident with the same key in which something fired within
/// `window` (see [`WINDOW`]), the latest if there are several; else into a new one.
pub fn grouping(open: &[OpenGroup], key: &GroupKey, now: Time, window: Duration) -> Join {
    let same = open.iter().filter(|group| group.key == *key);
    match same.max_by_key(|group| (group.last_fired, group.incident)) {
        Some(group) if now.since(group.last_fired) <= window => Join::Same(group.incident),
        Some(group) => Join::Quiet(group.incident),
        None => Join::New,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(cluster: &str) -> GroupKey {
        let labels = Labels::from_iter([("cluster", cluster)]);
        GroupKey::new("checkout", Some("checkout"), None, &["cluster".to_owned()], &labels)
    }

    fn open(id: i64, cluster: &str, minute: i64) -> OpenGroup {
        OpenGroup { incident: IncidentId(id), key: key(cluster), last_fired: Time::from_millis(minute * 60_000) }
    }

    #[test]
    fn an_alert_joins_what_fired_within_half_an_hour() {
        let groups = [open(1, "eu", 0), open(2, "us", 0), open(3, "eu", 10)];
        let joins = |minute: i64| grouping(&groups, &key("eu"), Time::from_millis(minute * 60_000), WINDOW);
        assert_eq!(joins(40), Join::Same(IncidentId(3)));
        assert_eq!(joins(41), Join::Quiet(IncidentId(3)));
        assert_eq!(joins(41).code(), "group_quiet");
        assert_eq!(grouping(&groups, &key("asia"), Time::from_millis(0), WINDOW), Join::New);
    }

    #[test]
    fn keys_differ_in_text_when_they_differ() {
        let a = GroupKey::new("a", Some("b"), None, &[], &Labels::default());
        let b = GroupKey::new("a", None, Some("b"), &[], &Labels::default());
        assert_ne!(a.text(), b.text());
        assert_eq!(key("eu").to_string(), "route `checkout`, service `checkout`, cluster `eu`");
    }
}
