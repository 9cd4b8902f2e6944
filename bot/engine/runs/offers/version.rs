//! Which version a rollback goes back to, by the ledger and by what somebody says.

use super::choose::{Chosen, Wanted};
use crate::{
    domain::{
        deployments::{Deployment, Ledger, Missing, State, is_same_version},
        runbooks::plan::InputKind,
        time::Time,
    },
    engine::{Refusal, deployments::cards},
};

/// The version that is to be live.
#[derive(Debug, Clone)]
pub(super) enum Version<'l> {
    /// One of the ledger.
    Known(&'l Deployment),
    /// What somebody named, of which the ledger knows nothing.
    Named(&'l str),
    /// The one before, as the runbook finds it.
    Before,
}

impl Version<'_> {
    /// What the runbook is given for it.
    pub(super) fn given(&self) -> Option<&str> {
        match self {
            Version::Known(deployment) => Some(&deployment.sha),
            Version::Named(text) => Some(text),
            Version::Before => None,
        }
    }

    /// What a button carries for it: short, and of one meaning.
    pub(super) fn carried(&self) -> String {
        match self {
            Version::Known(deployment) => deployment.id.to_string(),
            Version::Named(text) => (*text).to_owned(),
            Version::Before => String::new(),
        }
    }

    /// What people call it.
    pub(super) fn named(&self) -> Option<String> {
        match self {
            Version::Known(deployment) => Some(deployment.named()),
            Version::Named(text) => Some((*text).to_owned()),
            Version::Before => None,
        }
    }
}

/// Finds the version that somebody names, or else the one that was last good.
pub(super) fn find<'l>(
    ledger: &'l Ledger,
    (wanted, chosen): (&Wanted<'_>, &Chosen<'_>),
    to: Option<&'l str>,
    now: Time,
) -> Result<Version<'l>, Refusal> {
    let cannot = |why: String| Refusal::new(format!("Cannot {}: {why}", wanted.words()));
    let takes_names = takes_names(chosen);
    let Some(to) = to else {
        let Some(live) = ledger.live().filter(|_| takes_names) else { return Ok(Version::Before) };
        return match ledger.last_good(live, now) {
            Ok(good) => Ok(Version::Known(good)),
            Err(missing) => {
                let other = newest_other(ledger, live);
                let why = match missing {
                    Missing::Good(why) if other.is_some() => why,
                    Missing::Good(_) => "no earlier successful deployment".to_owned(),
                    missing @ (Missing::Live(..) | Missing::Version(_)) => missing.to_string(),
                };
                let example = other.map_or_else(|| "v40".to_owned(), name);
                let hint = format!("name a version, e.g. `/rollback service:{} to:{example}`", wanted.service);
                Err(cannot(why).hint(hint))
            }
        };
    };
    let runbook = &chosen.plan.name;
    if !chosen.takes("to") {
        let why = format!("`{runbook}` goes back to the version before, and to no other");
        return Err(cannot(why).hint("leave `to` out"));
    }
    if !takes_names {
        // A number of its own, such as a revision: what is wrong with it is said when it is read.
        return Ok(Version::Named(to));
    }
    let found =
        ledger.deployments().iter().find(|deployment| deployment.state == State::Succeeded && is(deployment, to));
    let sha = found.map_or(to, |deployment| deployment.sha.as_str());
    if let Some(live) = ledger.live().filter(|live| is_same_version(&live.sha, sha)) {
        let hint = format!("`/deploys service:{}` shows what was live before", wanted.service);
        return Err(cannot(format!("`{}` is live", live.named())).hint(hint));
    }
    if let Some(ban) = ledger.ban(sha) {
        let named = found.map_or_else(|| to.to_owned(), Deployment::named);
        let why = format!("`{named}` is banned since {}: {}", ban.at.long(), ban.reason);
        return Err(cannot(why).hint("the reason is `banned_version`; `/version unban` lifts it"));
    }
    Ok(found.map_or(Version::Named(to), Version::Known))
}

/// Whether the runbook takes a version by its name or hash.
fn takes_names(chosen: &Chosen<'_>) -> bool {
    let input = chosen.plan.inputs.iter().find(|input| input.name == "to");
    chosen.takes("to") && input.is_some_and(|input| matches!(input.kind, InputKind::Text { .. }))
}

/// Refuses to start where another version is live than somebody saw.
pub(super) fn is_as_seen(ledger: &Ledger, wanted: &Wanted<'_>, seen: &str) -> Result<(), Refusal> {
    if seen == super::commands::YES {
        return Ok(());
    }
    let again = format!("look again with `/rollback service:{}`", wanted.service);
    match ledger.live() {
        Some(live) if is(live, seen) => Ok(()),
        Some(live) => {
            let saw = ledger.deployments().iter().find(|deployment| is(deployment, seen));
            let saw = saw.map_or_else(|| seen.to_owned(), Deployment::named);
            let what = format!("Cannot {}: `{}` is live by now, and it was `{saw}`", wanted.words(), live.named());
            Err(Refusal::new(what).hint(again))
        }
        None => Err(Refusal::new(format!("Cannot {}: nothing is known to be live", wanted.words())).hint(again)),
    }
}

/// Whether the name means the deployment: its own, its version's, or its hash, which may be cut short.
fn is(deployment: &Deployment, name: &str) -> bool {
    deployment.id.to_string().eq_ignore_ascii_case(name) || deployment.is_of(name)
}

fn name(deployment: &Deployment) -> String {
    deployment.version.clone().unwrap_or_else(|| deployment.sha.clone())
}

/// The newest version that was live before, good or not, and may be deployed.
fn newest_other<'l>(ledger: &'l Ledger, live: &Deployment) -> Option<&'l Deployment> {
    ledger.deployments().iter().find(|deployment| {
        deployment.state == State::Succeeded
            && !is_same_version(&deployment.sha, &live.sha)
            && ledger.ban(&deployment.sha).is_none()
    })
}

/// What is said of the way back from what is live.
pub(super) fn way_back(ledger: &Ledger, version: &Version<'_>) -> Option<&'static str> {
    match (version, ledger.live()) {
        (Version::Known(good), Some(live)) => Some(cards::reversible(ledger, good, live)),
        (Version::Known(_) | Version::Named(_) | Version::Before, _) => None,
    }
}
