//! The deployments of a service in a place with their fate: what is live, what was good, and why the others were not.

use std::time::Duration;

use super::deployment::{Ban, Deployment, State, is_same_version};
use crate::domain::{
    ids::{DeploymentId, IncidentId},
    time::Time,
};

/// What is known of the deployments of one service in one place.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The newest first.
    deployments: Vec<Deployment>,
    bans: Vec<Ban>,
}

/// What became of a deployment, and why it is or is not good to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is under way.
    Pending,
    /// It ended without success.
    Failed,
    /// Somebody ordered that it shall not be deployed again.
    Banned,
    /// The deployment of an earlier version took its place.
    RolledBack(DeploymentId),
    /// An incident opened while it was live and had not baked.
    Incident(IncidentId),
    /// It is live, and has not been so for long enough.
    Baking(Time),
    /// Another one took its place before it had baked.
    Replaced,
    /// It was live for long enough, without an incident.
    Good,
}

impl Fate {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Fate::Pending => "pending",
            Fate::Failed => "failed",
            Fate::Banned => "banned",
            Fate::RolledBack(_) => "rolled_back",
            Fate::Incident(_) => "had_incident",
            Fate::Baking(_) => "baking",
            Fate::Replaced => "replaced_early",
            Fate::Good => "good",
        }
    }

    /// The same in words.
    pub fn words(self) -> String {
        match self {
            Fate::Pending => "under way".to_owned(),
            Fate::Failed => "did not succeed".to_owned(),
            Fate::Banned => "banned".to_owned(),
            Fate::RolledBack(by) => format!("rolled back by {by}"),
            Fate::Incident(incident) => format!("{incident} opened before it had baked"),
            Fate::Baking(until) => format!("baking until {}", until.long()),
            Fate::Replaced => "replaced before it had baked".to_owned(),
            Fate::Good => "baked without an incident".to_owned(),
        }
    }
}

/// Why the ledger has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// Nobody reported a deployment that succeeded.
    #[error("no_deployment_known: nobody has reported a deployment of `{0}` in `{1}` that succeeded")]
    Live(String, String),
    /// The version was not deployed there, as far as is known.
    #[error("version_unknown: the ledger knows no deployment of `{0}` that succeeded")]
    Version(String),
    /// None before it is good.
    #[error("no_last_good: {0}")]
    Good(String),
}

impl Ledger {
    /// The ledger of these deployments.
    pub fn new(mut deployments: Vec<Deployment>, bans: Vec<Ban>) -> Self {
        deployments.sort_by_key(|deployment| std::cmp::Reverse((deployment.since(), deployment.id)));
        Self { deployments, bans }
    }

    /// All that is known, the newest first.
    pub fn deployments(&self) -> &[Deployment] {
        &self.deployments
    }

    /// The versions that shall not be deployed.
    pub fn bans(&self) -> &[Ban] {
        &self.bans
    }

    /// The order that this version shall not be deployed, if there is one.
    pub fn ban(&self, sha: &str) -> Option<&Ban> {
        self.bans.iter().find(|ban| is_same_version(&ban.sha, sha))
    }

    /// What is live: the newest one that succeeded.
    pub fn live(&self) -> Option<&Deployment> {
        self.succeeded().next()
    }

    fn succeeded(&self) -> impl Iterator<Item = &Deployment> {
        self.deployments.iter().filter(|deployment| deployment.state == State::Succeeded)
    }

    /// Whether the deployment was, or has been, live for as long as it must.
    pub fn has_baked(&self, deployment: &Deployment, now: Time) -> bool {
        let Some(until) = self.live_until(deployment, now) else { return false };
        until.since(deployment.since()) >= deployment.bake
    }

    /// Until when it was live, if it ever was: one that is live is so until now.
    fn live_until(&self, deployment: &Deployment, now: Time) -> Option<Time> {
        if deployment.state != State::Succeeded {
            return None;
        }
        let later = self.succeeded().take_while(|other| other.id != deployment.id).last();
        Some(later.map_or(now, Deployment::since))
    }

    /// What became of the deployment.
    pub fn fate(&self, deployment: &Deployment, now: Time) -> Fate {
        match deployment.state {
            State::Pending => return Fate::Pending,
            State::Failed => return Fate::Failed,
            State::Succeeded => {}
        }
        if self.ban(&deployment.sha).is_some() {
            return Fate::Banned;
        }
        if let Some(by) = deployment.rolled_back_by {
            return Fate::RolledBack(by);
        }
        if let Some(incident) = deployment.incident.filter(|_| !deployment.is_incident_declined) {
            return Fate::Incident(incident);
        }
        if self.has_baked(deployment, now) {
            return Fate::Good;
        }
        let is_live = self.live().is_some_and(|live| live.id == deployment.id);
        if is_live { Fate::Baking(deployment.since() + deployment.bake) } else { Fate::Replaced }
    }

    /// The newest deployment of the version that succeeded, or of what is live if no version is named.
    ///
    /// # Errors
    /// Says that nothing of the kind is known.
    pub fn found(&self, (service, environment): (&str, &str), sha: Option<&str>) -> Result<&Deployment, Missing> {
        match sha {
            None => self.live().ok_or_else(|| Missing::Live(service.to_owned(), environment.to_owned())),
            Some(sha) => self
                .succeeded()
                .find(|deployment| deployment.is_of(sha))
                .ok_or_else(|| Missing::Version(sha.to_owned())),
        }
    }

    /// The newest deployment before this one that is good to go back to: another version, that baked, has no incident, is
    /// not banned and was not rolled back.
    ///
    /// # Errors
    /// Says of the ones before it why they are not.
    pub fn last_good(&self, before: &Deployment, now: Time) -> Result<&Deployment, Missing> {
        /// How many are named that are not good.
        const NAMED: usize = 5;
        let older = self.succeeded().skip_while(|other| other.id != before.id).skip(1);
        let mut others = Vec::new();
        for deployment in older.filter(|other| !is_same_version(&other.sha, &before.sha)) {
            let fate = self.fate(deployment, now);
            if fate == Fate::Good {
                return Ok(deployment);
            }
            others.push(format!("`{}` {}", deployment.named(), fate.words()));
        }
        let named = before.named();
        Err(Missing::Good(if others.is_empty() {
            format!("the ledger knows no other version before `{named}`")
        } else {
            let more =
                if others.len() > NAMED { format!(", and {} more", others.len() - NAMED) } else { String::new() };
            others.truncate(NAMED);
            format!("no version before `{named}` is known to be good: {}{more}", others.join(", "))
        }))
    }

    /// Whether nothing lies between two deployments that going back would not undo: no migration, as far as everything
    /// that was tried between them says so. Unknown if any of it does not say.
    pub fn is_reversible(&self, good: &Deployment, live: &Deployment) -> Option<bool> {
        let between = self.deployments.iter().skip_while(|other| other.id != live.id);
        let mut is_known = true;
        for deployment in between.take_while(|other| other.id != good.id) {
            match deployment.migration {
                Some(true) => return Some(false),
                Some(false) => {}
                None => is_known = false,
            }
        }
        is_known.then_some(true)
    }

    /// What the deployment rolled back: all that succeeded since its version was live before. One that had been rolled
    /// back itself, and is deployed again, rolls nothing back.
    pub fn rolled_back_by(&self, deployment: &Deployment) -> Vec<DeploymentId> {
        let is_same = |other: &Deployment| is_same_version(&other.sha, &deployment.sha);
        let mut between = Vec::new();
        for other in self.succeeded().skip_while(|other| other.id != deployment.id).skip(1) {
            if is_same(other) {
                return if other.rolled_back_by.is_some() { Vec::new() } else { between };
            }
            if other.rolled_back_by.is_none() {
                between.push(other.id);
            }
        }
        Vec::new()
    }

    /// What was live at a moment and had not baked then.
    pub fn baking_at(&self, at: Time) -> Option<&Deployment> {
        let live = self.succeeded().find(|deployment| deployment.since() <= at)?;
        (at.since(live.since()) < live.bake).then_some(live)
    }

    /// How long the deployment has been live.
    pub fn age(deployment: &Deployment, now: Time) -> Duration {
        now.since(deployment.since())
    }
}
