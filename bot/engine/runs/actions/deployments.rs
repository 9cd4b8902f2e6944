//! `deployments.*`: asks the ledger, or writes that a version shall not be deployed; exactly once, in the transaction.

use serde_json::{Value, json};

use super::text;
use crate::{
    domain::{
        deployments::{Ban, Deployment, Ledger, Missing},
        runbooks::plan::Target,
        runs::{Pass, StepRecord},
        time::Time,
    },
    engine::{
        deployments::acts,
        runs::{Outcome, advance::Went, case::Case, finish},
    },
    store::{self, Reader, deployments},
};

/// What is asked of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::runs) enum Ask {
    Live,
    LastGood,
    Ban,
    Unban,
}

pub(in crate::engine::runs) async fn begin(
    case: &mut Case<'_, '_>,
    ask: Ask,
    record: StepRecord,
) -> store::Result<Went> {
    let with = record.with.clone();
    let outcome = match ask {
        Ask::Live | Ask::LastGood => {
            let (target, now) = (&case.run.target, case.context.now);
            look(case.context.tx, (target, now), ask, &with).await?
        }
        Ask::Ban => ban(case, &with).await?,
        Ask::Unban => unban(case, &with, record.key.pass).await?,
    };
    let key = record.key.clone();
    case.note(record).await?;
    finish::finish(case, &key, outcome).await?;
    Ok(Went::On)
}

fn failed(why: &impl ToString) -> Outcome {
    Outcome::Failed { why: why.to_string(), may_have_changed: false }
}

/// What the ledger says of a target at this moment. Nothing is written.
pub(in crate::engine::runs) async fn look(
    reader: &mut Reader,
    (target, now): (&Target, Time),
    ask: Ask,
    with: &Value,
) -> store::Result<Outcome> {
    let service = text(with, "service").unwrap_or(&target.service);
    let environment = text(with, "environment").unwrap_or(&target.environment);
    let ledger = deployments::ledger(reader, service, environment).await?;
    let before = if ask == Ask::LastGood { text(with, "before") } else { None };
    let live = match ledger.found((service, environment), before) {
        Ok(live) => live,
        Err(missing) => return Ok(failed(&missing)),
    };
    Ok(match ask {
        Ask::LastGood => match wanted(&ledger, (service, environment), text(with, "version"), (live, now)) {
            Ok(good) => {
                let mut output = output(&ledger, good, now);
                // Unknown stays unknown: a condition that asks for it has no answer then.
                output["reversible"] = json!(ledger.is_reversible(good, live));
                Outcome::Done(output)
            }
            Err(missing) => failed(&missing),
        },
        Ask::Live | Ask::Ban | Ask::Unban => Outcome::Done(output(&ledger, live, now)),
    })
}

/// The version that is named, or the one that was good before.
fn wanted<'l>(
    ledger: &'l Ledger,
    place: (&str, &str),
    named: Option<&str>,
    (live, now): (&Deployment, Time),
) -> Result<&'l Deployment, Missing> {
    match named.map(str::trim).filter(|named| !named.is_empty()) {
        Some(named) => ledger.found(place, Some(named)),
        None => ledger.last_good(live, now),
    }
}

fn output(ledger: &Ledger, deployment: &Deployment, now: Time) -> Value {
    json!({
        "deployment": deployment.id,
        "service": deployment.service,
        "environment": deployment.environment,
        "sha": deployment.sha,
        "version": deployment.version,
        "since": deployment.since(),
        "age": hours(Ledger::age(deployment, now)),
        "by": deployment.by,
        "url": deployment.url,
        "fate": ledger.fate(deployment, now).code(),
        "baked": ledger.has_baked(deployment, now),
    })
}

/// A length of time as conditions read it: they know no days.
fn hours(length: std::time::Duration) -> String {
    let seconds = length.as_secs();
    format!("{}h{}m{}s", seconds / 3_600, seconds % 3_600 / 60, seconds % 60)
}

async fn ban(case: &mut Case<'_, '_>, with: &Value) -> store::Result<Outcome> {
    let Some(sha) = text(with, "sha").filter(|sha| !sha.trim().is_empty()) else {
        return Ok(failed(&"version_unknown: no version is named"));
    };
    let reason = text(with, "reason").map_or_else(|| format!("left by `{}`", case.run.plan.name), str::to_owned);
    let ban = Ban {
        service: case.run.target.service.clone(),
        environment: case.run.target.environment.clone(),
        sha: sha.to_owned(),
        reason,
        by: case.itself(),
        at: case.now(),
    };
    let incident = case.run.incident;
    let is_new = acts::ban(case.context, ban, incident).await?;
    Ok(Outcome::Done(json!({ "sha": sha, "banned": is_new })))
}

/// Going back, a run takes back only what it ordered itself.
async fn unban(case: &mut Case<'_, '_>, with: &Value, pass: Pass) -> store::Result<Outcome> {
    let Some(sha) = text(with, "sha") else { return Ok(failed(&"version_unknown: no version is named")) };
    let target = case.run.target.clone();
    let itself = case.itself();
    let standing = acts::is_banned(case.context.tx, &target.service, &target.environment, sha).await?;
    let Some(ban) = standing.filter(|ban| pass != Pass::Undo || ban.by == itself) else {
        return Ok(Outcome::Done(json!({ "sha": sha, "lifted": false })));
    };
    let reason = match (text(with, "reason"), pass) {
        (Some(reason), _) => reason.to_owned(),
        (None, Pass::Undo) => format!("`{}` goes back", case.run.plan.name),
        (None, Pass::Do | Pass::Probe) => format!("by `{}`", case.run.plan.name),
    };
    let incident = case.run.incident;
    acts::unban(case.context, &ban, (itself, &reason), incident).await?;
    Ok(Outcome::Done(json!({ "sha": sha, "lifted": true })))
}
