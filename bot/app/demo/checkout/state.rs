//! What the example service is: its deployments, its size, and the traffic that it has served.
//!
//! Traffic is computed from the time that passed, not simulated by a task, so that it is exact under any clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::switches::{Switch, Switches};
use crate::domain::time::Time;

/// Requests of every second.
const REQUESTS_PER_SECOND: f64 = 12.5;
/// The part of them that fails while all is well.
const USUAL_ERRORS: f64 = 0.002;
/// The part that fails while a bad version is live.
const BAD_ERRORS: f64 = 0.3;
/// How long ago the two first versions were deployed.
const FIRST_RELEASES: [(&str, Duration); 2] = [("v41", Duration::from_hours(50)), ("v42", Duration::from_hours(26))];

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) version: String,
    /// The idempotency key it was made under.
    pub(super) key: Option<String>,
    pub(super) at: Time,
    pub(super) by: String,
}

/// How the service does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Health {
    /// The part of its requests that fails, 0 to 1.
    pub error_ratio: f64,
    /// Requests of every second.
    pub requests_per_second: f64,
}

/// Something that was changed through the interface of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// When.
    pub at: Time,
    /// The idempotency key of the request that did it.
    pub key: Option<String>,
    /// What.
    pub change: Change,
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A version was deployed.
    Deployed {
        /// The version before.
        from: String,
        /// The version after.
        to: String,
    },
    /// The number of replicas was changed.
    Scaled {
        /// The number before.
        from: u32,
        /// The number after.
        to: u32,
    },
    /// Every replica was restarted.
    Restarted {
        /// How often it has been restarted, this one included.
        generation: u64,
    },
    /// Another region serves.
    Moved {
        /// The one before.
        from: String,
        /// The one after.
        to: String,
    },
    /// A feature was switched.
    Flagged {
        /// Its flag.
        name: String,
        /// Whether it is on.
        on: bool,
    },
}

/// Why a change was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// The state is not the one that the caller expected: this one is live.
    Moved(serde_json::Value),
    /// The key was used for something else.
    KeyReused,
}

/// A change that was made, or had been made already under the same key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Made {
    pub(super) answer: serde_json::Value,
    pub(super) is_repeat: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Remembered {
    request: serde_json::Value,
    answer: serde_json::Value,
}

pub(super) struct State {
    /// Oldest first; the last one is live.
    deployments: Vec<Deployment>,
    bad: BTreeSet<String>,
    replicas: u32,
    generation: u64,
    keys: BTreeMap<String, Remembered>,
    effects: Vec<Effect>,
    traffic: Traffic,
    pub(super) switches: Switches,
}

/// Requests served until a moment.
struct Traffic {
    until: Time,
    good: f64,
    failed: f64,
}

impl State {
    pub(super) fn new(now: Time) -> Self {
        let deployments = FIRST_RELEASES.iter().enumerate().map(|(place, (version, ago))| Deployment {
            id: format!("d-{}", place + 1),
            version: (*version).to_owned(),
            key: None,
            at: now - *ago,
            by: "pipeline".to_owned(),
        });
        Self {
            deployments: deployments.collect(),
            bad: BTreeSet::new(),
            replicas: 3,
            generation: 7,
            keys: BTreeMap::new(),
            effects: Vec::new(),
            traffic: Traffic { until: now, good: 0.0, failed: 0.0 },
            switches: Switches::default(),
        }
    }

    pub(super) fn mark_bad(&mut self, version: &str) {
        self.bad.insert(version.to_owned());
    }

    pub(super) fn release(&mut self, version: &str, now: Time) {
        self.push(version, None, "pipeline", now);
    }

    pub(super) fn live(&self) -> &str {
        self.deployments.last().map_or("", |deployment| &deployment.version)
    }

    /// The version that was live before this one.
    pub(super) fn previous(&self) -> Option<&str> {
        let live = self.live();
        self.deployments.iter().rev().map(|deployment| deployment.version.as_str()).find(|version| *version != live)
    }

    pub(super) fn since(&self) -> Option<Time> {
        self.deployments.last().map(|deployment| deployment.at)
    }

    pub(super) fn replicas(&self) -> u32 {
        self.replicas
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Deployments that were made at this time or before, newest first.
    pub(super) fn deployments_until(&self, until: Time) -> Vec<&Deployment> {
        self.deployments.iter().rev().filter(|deployment| deployment.at <= until).collect()
    }

    pub(super) fn health(&self) -> Health {
        let error_ratio = if self.bad.contains(self.live()) { BAD_ERRORS } else { USUAL_ERRORS };
        Health { error_ratio, requests_per_second: REQUESTS_PER_SECOND }
    }

    /// Requests that were answered well, and those that were not, since it was started.
    pub(super) fn served(&mut self, now: Time) -> (f64, f64) {
        let seconds = now.since(self.traffic.until).as_secs_f64();
        let health = self.health();
        let requests = seconds * health.requests_per_second;
        self.traffic.failed += requests * health.error_ratio;
        self.traffic.good += requests * (1.0 - health.error_ratio);
        self.traffic.until = self.traffic.until.max(now);
        (self.traffic.good.floor(), self.traffic.failed.floor())
    }

    pub(super) fn deploy(
        &mut self,
        version: &str,
        expect_live: &str,
        by: &str,
        key: &str,
        now: Time,
    ) -> Result<Made, Refused> {
        let request = serde_json::json!(["deploy", version, expect_live]);
        if let Some(made) = self.repeated(Some(key), &request)? {
            return Ok(made);
        }
        let live = self.live().to_owned();
        if live != expect_live {
            return Err(Refused::Moved(live.into()));
        }
        let id = self.push(version, Some(key), by, now);
        let answer = serde_json::json!({ "id": id, "version": version, "previous": live });
        let change = Change::Deployed { from: live, to: version.to_owned() };
        Ok(self.applied(Some(key), request, answer, Effect { at: now, key: Some(key.to_owned()), change }))
    }

    pub(super) fn scale(&mut self, replicas: u32, expect: u32, key: Option<&str>, now: Time) -> Result<Made, Refused> {
        let request = serde_json::json!(["scale", replicas, expect]);
        if let Some(made) = self.repeated(key, &request)? {
            return Ok(made);
        }
        if self.replicas != expect {
            return Err(Refused::Moved(self.replicas.into()));
        }
        let change = Change::Scaled { from: self.replicas, to: replicas };
        let answer = serde_json::json!({ "replicas": replicas, "previous": self.replicas });
        self.replicas = replicas;
        Ok(self.applied(key, request, answer, Effect { at: now, key: key.map(str::to_owned), change }))
    }

    pub(super) fn restart(&mut self, key: &str, now: Time) -> Result<Made, Refused> {
        let request = serde_json::json!(["restart"]);
        if let Some(made) = self.repeated(Some(key), &request)? {
            return Ok(made);
        }
        self.generation += 1;
        let answer = serde_json::json!({ "generation": self.generation });
        let change = Change::Restarted { generation: self.generation };
        Ok(self.applied(Some(key), request, answer, Effect { at: now, key: Some(key.to_owned()), change }))
    }

    pub(super) fn switch(&mut self, wanted: &Switch, key: &str, now: Time) -> Result<Made, Refused> {
        let request = wanted.request();
        if let Some(made) = self.repeated(Some(key), &request)? {
            return Ok(made);
        }
        let (change, answer) = self.switches.switch(wanted).map_err(Refused::Moved)?;
        Ok(self.applied(Some(key), request, answer, Effect { at: now, key: Some(key.to_owned()), change }))
    }

    fn repeated(&self, key: Option<&str>, request: &serde_json::Value) -> Result<Option<Made>, Refused> {
        match key.and_then(|key| self.keys.get(key)) {
            None => Ok(None),
            Some(first) if first.request == *request => {
                Ok(Some(Made { answer: first.answer.clone(), is_repeat: true }))
            }
            Some(_) => Err(Refused::KeyReused),
        }
    }

    fn applied(
        &mut self,
        key: Option<&str>,
        request: serde_json::Value,
        answer: serde_json::Value,
        effect: Effect,
    ) -> Made {
        if let Some(key) = key {
            self.keys.insert(key.to_owned(), Remembered { request, answer: answer.clone() });
        }
        self.effects.push(effect);
        Made { answer, is_repeat: false }
    }

    fn push(&mut self, version: &str, key: Option<&str>, by: &str, now: Time) -> String {
        // What was served until here was served by the version before.
        self.served(now);
        let id = format!("d-{}", self.deployments.len() + 1);
        self.deployments.push(Deployment {
            id: id.clone(),
            version: version.to_owned(),
            key: key.map(str::to_owned),
            at: now,
            by: by.to_owned(),
        });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_millis(1_800_000_000_000 + second * 1_000)
    }

    #[test]
    fn the_same_key_deploys_once_and_gets_the_first_answer() {
        let mut state = State::new(at(0));
        let first = state.deploy("v43", "v42", "test", "key-1", at(1)).unwrap();
        let again = state.deploy("v43", "v42", "test", "key-1", at(2)).unwrap();
        assert_eq!(first.answer, again.answer);
        assert!(again.is_repeat);
        assert_eq!(state.effects().len(), 1);
        assert_eq!(state.deploy("v44", "v43", "test", "key-1", at(3)), Err(Refused::KeyReused));
    }

    #[test]
    fn a_change_that_expects_another_state_is_refused() {
        let mut state = State::new(at(0));
        assert_eq!(state.deploy("v43", "v41", "test", "key-1", at(1)), Err(Refused::Moved("v42".into())));
        assert_eq!(state.scale(5, 4, None, at(1)), Err(Refused::Moved(3.into())));
        assert_eq!(state.effects(), []);
    }

    #[test]
    fn a_bad_version_fails_almost_a_third_of_its_requests_until_it_is_gone() {
        let mut state = State::new(at(0));
        state.mark_bad("v43");
        state.release("v43", at(100));
        let (good, failed) = state.served(at(200));
        assert_eq!((good.round(), failed.round()), (2_122.0, 377.0));
        state.deploy("v42", "v43", "test", "key-1", at(200)).unwrap();
        assert!(state.health().error_ratio < 0.01);
        assert_eq!((state.live(), state.previous()), ("v42", Some("v43")));
    }
}
