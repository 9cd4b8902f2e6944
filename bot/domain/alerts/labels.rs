//! The labels of an alert and the identity that they give it.
//!
//! Two senders of one fault must make one alert: neither the source nor the labels that tell replicas of a sender
//! apart count towards the identity.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::ids::AlertKey;

/// The labels of an alert, by name. An empty value is the same as no label, so none is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The value of a label, empty if it is not there.
    pub fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The value of a label, if it is there.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The alert's name, the label `alertname`; `unnamed` if it has none.
    pub fn alertname(&self) -> &str {
        self.find("alertname").unwrap_or("unnamed")
    }

    /// Name and value of each, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(mut labels: BTreeMap<String, String>) -> Self {
        labels.retain(|_, value| !value.is_empty());
        Self(labels)
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let labels: BTreeMap<String, String> =
            labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        labels.into()
    }
}

/// Written as matchers are: `{alertname="Disk", disk="d0"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (place, (name, value)) in self.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            f.write_str(name)?;
            // Most values have nothing to escape, which is found out faster than each letter is looked at for it.
            if value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
                for part in ["=\"", value, "\""] {
                    f.write_str(part)?;
                }
            } else {
                write!(f, "={value:?}")?;
            }
        }
        f.write_str("}")
    }
}

/// Which labels tell replicas of one sender apart, and so are no part of an alert's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity {
    /// Their names.
    pub replica_labels: BTreeSet<String>,
}

impl Default for Identity {
    /// `replica`, `prometheus_replica` and `__replica__`.
    fn default() -> Self {
        Self { replica_labels: ["replica", "prometheus_replica", "__replica__"].map(str::to_owned).into() }
    }
}

impl Identity {
    /// The identity that these labels give: the first 128 bits of a SHA-256 over them, in hexadecimal.
    ///
    /// Each name and value goes in behind its length, so that no two sets of labels can run into the same bytes.
    pub fn key(&self, labels: &Labels) -> AlertKey {
        let mut hash = Sha256::new();
        for (name, value) in &labels.0 {
            if !self.replica_labels.contains(name) {
                for part in [name, value] {
                    hash.update((part.len() as u64).to_be_bytes());
                    hash.update(part.as_bytes());
                }
            }
        }
        let digest = hash.finalize();
        AlertKey(hex::encode(digest.split_at(16).0))
    }

    /// The labels without those of replicas.
    pub fn shared(&self, labels: &Labels) -> Labels {
        let mut shared = labels.clone();
        shared.0.retain(|name, _| !self.replica_labels.contains(name));
        shared
    }

    /// The replica that spoke: `replica=a`; empty if none is named.
    pub fn replica(&self, labels: &Labels) -> String {
        let named = self.replica_labels.iter().filter_map(|name| Some(format!("{name}={}", labels.find(name)?)));
        named.collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn replicas_are_one_alert_and_any_other_label_makes_another() {
        let identity = Identity::default();
        let plain = Labels::from_iter([("alertname", "Disk"), ("disk", "d0")]);
        let replica = Labels::from_iter([("alertname", "Disk"), ("disk", "d0"), ("replica", "b")]);
        let other = Labels::from_iter([("alertname", "Disk"), ("disk", "d1")]);
        assert_eq!(identity.key(&plain), identity.key(&replica));
        assert_ne!(identity.key(&plain), identity.key(&other));
        assert_eq!(identity.shared(&replica), plain);
        assert_eq!(identity.replica(&replica), "replica=b");
    }

    #[test]
    fn an_empty_value_is_no_label() {
        let labels = Labels::from_iter([("a", "1"), ("b", "")]);
        assert_eq!(labels, Labels::from_iter([("a", "1")]));
        assert_eq!(labels.value("b"), "");
    }

    proptest! {
        #[test]
        fn the_identity_tells_all_labels_apart(
            a in proptest::collection::btree_map("[a-c]{1,3}", "[a-c]{1,3}", 0..4),
            b in proptest::collection::btree_map("[a-c]{1,3}", "[a-c]{1,3}", 0..4),
        ) {
            let identity = Identity::default();
            prop_assert_eq!(a == b, identity.key(&a.into()) == identity.key(&b.into()));
        }
    }
}
