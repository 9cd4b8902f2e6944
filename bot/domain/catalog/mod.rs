//! The catalog of services: whose each is, where it comes from and runs, how it is checked, what it needs.
//!
//! It is a file that people write, read as a whole or not at all. What a service leaves out is unknown, not empty.

mod read;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

pub use self::read::read;
use crate::domain::{duration, runbooks::plan::Operation};

/// Every service that people wrote down, by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The services.
    pub services: BTreeMap<String, Service>,
}

/// A service of the catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    /// What it is, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whose it is: `role:on-call` or `person:ada`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where its source is: `acme/checkout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// How long a deployment must hold before it counts as good, if it is not the usual time.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub bake: Option<Duration>,
    /// Where it runs.
    pub environments: BTreeMap<String, Environment>,
    /// How it is looked at, by the names of the looks.
    pub checks: BTreeMap<String, Check>,
    /// The services that it needs.
    pub dependencies: Vec<String>,
    /// The runbooks that do what people want done to it, where no environment names another.
    #[serde(skip)]
    pub runbooks: BTreeMap<Operation, String>,
}

/// A place where a service runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// What runs there: `deployment/checkout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// The namespace of the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The cluster of the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// How long a deployment must hold there before it counts as good, if it is not the service's time.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub bake: Option<Duration>,
    /// The runbooks that do what people want done to it there.
    #[serde(skip)]
    pub runbooks: BTreeMap<Operation, String>,
}

/// A look at a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A query of Prometheus.
    Query(String),
    /// An address that answers while all is well.
    Url(String),
}

impl Catalog {
    /// How long a deployment must hold before it counts as good, if the catalog says so.
    pub fn bake(&self, service: &str, environment: &str) -> Option<Duration> {
        let service = self.services.get(service)?;
        service.environments.get(environment).and_then(|environment| environment.bake).or(service.bake)
    }

    /// The runbook that does what people want done to the service there, if the catalog names one.
    pub fn runbook(&self, operation: Operation, service: &str, environment: &str) -> Option<&str> {
        let service = self.services.get(service)?;
        let there = service.environments.get(environment).and_then(|place| place.runbooks.get(&operation));
        there.or_else(|| service.runbooks.get(&operation)).map(String::as_str)
    }

    /// Every runbook that the catalog names.
    pub fn runbooks(&self) -> impl Iterator<Item = &str> {
        let all = self
            .services
            .values()
            .flat_map(|service| service.environments.values().map(|place| &place.runbooks).chain([&service.runbooks]));
        all.flat_map(BTreeMap::values).map(String::as_str)
    }

    /// The kind of the service's workload there, such as `deployment`, if the catalog names one.
    pub fn workload_kind(&self, service: &str, environment: &str) -> Option<&str> {
        let place = self.services.get(service)?.environments.get(environment)?;
        place.workload.as_deref()?.split_once('/').map(|(kind, _)| kind)
    }

    /// The services whose source is in this repository and that run in this environment, as far as is known: one that
    /// names no environments may run anywhere. GitHub's names are the same in any case.
    pub fn of_repository(&self, repository: &str, environment: Option<&str>) -> Vec<&str> {
        let is_from = |service: &Service| {
            service.repository.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(repository))
        };
        let is_in = |service: &Service| {
            environment.is_none_or(|name| service.environments.is_empty() || service.environments.contains_key(name))
        };
        let found = self.services.iter().filter(|(_, service)| is_from(service) && is_in(service));
        found.map(|(name, _)| name.as_str()).collect()
    }

    /// What runbooks can read of every service.
    pub fn values(&self) -> Value {
        json!(self.services)
    }

    /// What runbooks can read of the service that they act on: its entry, with where it runs at the top. Nothing of one
    /// that is not in the catalog, and nothing of what its entry leaves out.
    pub fn entry(&self, service: &str, environment: &str) -> Option<Value> {
        let found = self.services.get(service)?;
        let mut entry = json!(found);
        if let (Some(fields), Some(place)) = (entry.as_object_mut(), found.environments.get(environment)) {
            fields.remove("environments");
            if let Value::Object(place) = json!(place) {
                fields.extend(place);
            }
        }
        Some(entry)
    }
}
