//! What can be done to the ledger, whoever does it: it is written, and told in the log and to people together.

use serde_json::Value;

use super::{cards, near};
use crate::{
    domain::{
        deployments::{About, Ban, Change, ChangeKind, Deployment, Event, Seen, State, is_same_version},
        ids::{IncidentId, RunId},
        people::Actor,
        runs::Run,
        time::Time,
        timeline::Draft,
    },
    engine::{
        Context,
        chat::{
            Message,
            outbox::{self, Post},
        },
        incidents::acts,
    },
    store::{self, Reader, deployments},
};

/// Who tells of a deployment.
pub(super) struct Teller {
    /// Who caused the entry.
    pub(super) actor: Actor,
    /// The run that made the deployment, if one did.
    pub(super) run: Option<RunId>,
    /// The incident that the run works on.
    pub(super) incident: Option<IncidentId>,
}

/// The order that this version shall not be deployed there, if one stands.
pub async fn is_banned(reader: &mut Reader, service: &str, environment: &str, sha: &str) -> store::Result<Option<Ban>> {
    let bans = deployments::bans(reader, service, environment).await?;
    Ok(bans.into_iter().find(|ban| is_same_version(&ban.sha, sha)))
}

/// Notes what somebody says of a deployment. What is known already, or came late, changes nothing.
pub(super) async fn record(
    context: &mut Context<'_>,
    service: &str,
    seen: &Seen,
    teller: &Teller,
) -> store::Result<()> {
    let now = context.now;
    let ledger = deployments::ledger(context.tx, service, &seen.environment).await?;
    let known = match &seen.external {
        Some(external) => deployments::by_external(context.tx, external, service).await?,
        None => alike(ledger.deployments(), seen, &teller.actor, now).cloned(),
    };
    let before = known.as_ref().map(|known| known.state);
    let mut deployment = known.unwrap_or_else(|| new(context, service, seen, &teller.actor));
    let is_news = before.is_none_or(|before| before.goes_on_to(seen.state));
    let is_owned = deployment.run.is_none() && teller.run.is_some();
    if !is_news && !is_owned {
        return Ok(());
    }
    fill(&mut deployment, seen, teller.run);
    if is_news {
        let at = seen.at.unwrap_or(now).min(now);
        deployment.state = seen.state;
        match seen.state {
            State::Pending => deployment.began_at = Some(at),
            State::Failed | State::Succeeded => deployment.ended_at = Some(at),
        }
    }
    match before {
        None => deployments::add(context.tx, &mut deployment).await?,
        Some(_) => deployments::save(context.tx, &deployment).await?,
    }
    if !is_news {
        if let Some(run) = teller.run {
            let event = Event::DeploymentOwned { deployment: deployment.id, run };
            context.tell_of(teller.incident, Draft::new(teller.actor.clone(), &event)).await?;
        }
        return Ok(());
    }
    tell(context, &deployment, teller).await?;
    if let Some(ban) = ledger.ban(&deployment.sha)
        && deployment.run.is_none()
        && (before.is_none() || ban.at > deployment.recorded_at)
    {
        warn(context, &deployment, ban).await?;
    }
    if deployment.state == State::Succeeded {
        went_live(context, &deployment).await?;
    }
    Ok(())
}

/// The deployment that is meant where its source gives it no name of its own: the newest of that version, while it is under
/// way, or if the same is said of it again.
fn alike<'a>(known: &'a [Deployment], seen: &Seen, source: &Actor, now: Time) -> Option<&'a Deployment> {
    let newest = known.iter().find(|deployment| is_same_version(&deployment.sha, &seen.sha))?;
    let is_said_again = || {
        let at = if seen.state == State::Pending { newest.began_at } else { newest.ended_at };
        newest.state == seen.state && seen.at.is_none_or(|said| at == Some(said.min(now)))
    };
    let is_alike = newest.external.is_none()
        && newest.source == *source
        && (newest.state == State::Pending && seen.state != State::Pending || is_said_again());
    is_alike.then_some(newest)
}

fn new(context: &Context<'_>, service: &str, seen: &Seen, source: &Actor) -> Deployment {
    let repository = match &seen.about {
        About::Repository { name, .. } => Some(name.clone()),
        About::Service(_) => None,
    };
    let of_catalog = || context.rules.catalog.services.get(service).and_then(|service| service.repository.clone());
    Deployment {
        id: crate::domain::ids::DeploymentId(0),
        service: service.to_owned(),
        environment: seen.environment.clone(),
        repository: repository.or_else(of_catalog),
        sha: seen.sha.clone(),
        version: None,
        by: None,
        source: source.clone(),
        external: seen.external.clone(),
        url: None,
        run: None,
        state: seen.state,
        began_at: None,
        ended_at: None,
        bake: context.rules.bake(service, &seen.environment),
        migration: None,
        incident: None,
        is_incident_declined: false,
        rolled_back_by: None,
        recorded_at: context.now,
    }
}

/// Adds what was not known. A run is who deployed, whatever account its code host names.
fn fill(deployment: &mut Deployment, seen: &Seen, run: Option<RunId>) {
    let known = std::mem::take(&mut deployment.version);
    deployment.version = known.or_else(|| seen.version.clone());
    let known = std::mem::take(&mut deployment.url);
    deployment.url = known.or_else(|| seen.url.clone());
    deployment.migration = deployment.migration.or(seen.migration);
    deployment.run = deployment.run.or(run);
    let by = deployment.run.map(|run| run.to_string());
    deployment.by = by.or_else(|| deployment.by.take()).or_else(|| seen.by.clone());
}

/// Tells the log how far a deployment came, and the open incidents of the service that it is near.
async fn tell(context: &mut Context<'_>, deployment: &Deployment, teller: &Teller) -> store::Result<()> {
    let at = if deployment.state == State::Pending { deployment.began_at } else { deployment.ended_at };
    let at = at.unwrap_or(context.now);
    let event = Event::DeploymentReported {
        deployment: deployment.id,
        service: deployment.service.clone(),
        environment: deployment.environment.clone(),
        sha: deployment.sha.clone(),
        version: deployment.version.clone(),
        state: deployment.state,
        at,
        by: deployment.by.clone(),
        migration: deployment.migration,
        url: deployment.url.clone(),
        run: deployment.run,
    };
    context.tell_of(teller.incident, Draft::new(teller.actor.clone(), &event).source_at(at)).await?;
    let change = Change {
        service: deployment.service.clone(),
        environment: Some(deployment.environment.clone()),
        kind: ChangeKind::Deployment,
        what: format!("{} {}", deployment.named(), deployment.state.verb()),
        at,
        by: deployment.by.clone(),
        url: deployment.url.clone(),
        external: format!("{}:{}", deployment.id, deployment.state),
        run: deployment.run,
    };
    deployments::add_change(context.tx, &change).await?;
    near::tell_open(context, &change, teller.incident).await
}

/// Holds a deployment that succeeded against those before it, and against incidents that had opened when it is heard of.
async fn went_live(context: &mut Context<'_>, deployment: &Deployment) -> store::Result<()> {
    let (service, environment) = (&deployment.service, &deployment.environment);
    let ledger = deployments::ledger(context.tx, service, environment).await?;
    for id in ledger.rolled_back_by(deployment) {
        let Some(left) = ledger.deployments().iter().find(|other| other.id == id) else { continue };
        let left = Deployment { rolled_back_by: Some(deployment.id), ..left.clone() };
        deployments::save(context.tx, &left).await?;
        let event = Event::DeploymentRolledBack {
            deployment: left.id,
            sha: left.sha,
            version: left.version,
            by: deployment.id,
        };
        context.tell_of(None, Draft::new(Actor::Bot, &event)).await?;
    }
    for incident in near::open(context, service, Some(environment)).await? {
        if ledger.baking_at(incident.opened_at).is_some_and(|baking| baking.id == deployment.id) {
            near::suspect(context, deployment.clone(), &incident).await?;
        }
    }
    Ok(())
}

/// Tells people that somebody deployed what is banned: the bot does not, others may not know.
async fn warn(context: &mut Context<'_>, deployment: &Deployment, ban: &Ban) -> store::Result<()> {
    let event = Event::BannedDeployed {
        deployment: deployment.id,
        service: deployment.service.clone(),
        environment: deployment.environment.clone(),
        sha: deployment.sha.clone(),
        by: deployment.by.clone(),
        reason: ban.reason.clone(),
    };
    let owner = context.rules.catalog.services.get(&deployment.service).and_then(|service| service.owner.clone());
    let whom = acts::whom(context.rules, &owner.into_iter().collect::<Vec<_>>());
    let message = Message::line(cards::banned_deployed(deployment, ban)).notify(whom);
    let open = near::open(context, &deployment.service, Some(&deployment.environment)).await?;
    context.tell_of(open.first().map(|incident| incident.id), Draft::new(Actor::Bot, &event)).await?;
    let place = open.first().map(|incident| (incident.channel.clone(), Some(incident.id)));
    let (channel, incident) = place.unwrap_or_else(|| (context.rules.default_channel.clone(), None));
    outbox::post(context, Post { channel, incident, message, is_page: false, expires_at: None }).await
}

/// Notes the deployment that a run has made, by the output of its step.
pub async fn deployed(context: &mut Context<'_>, run: &Run, output: &Value) -> store::Result<()> {
    let text = |name: &str| output.get(name).and_then(Value::as_str);
    let Some(sha) = text("sha") else { return Ok(()) };
    let repository = text("repo");
    let id = output.get("id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    let seen = Seen {
        about: match repository {
            Some(name) => About::Repository { name: name.to_owned(), service: Some(run.target.service.clone()) },
            None => About::Service(run.target.service.clone()),
        },
        environment: text("environment").unwrap_or(&run.target.environment).to_owned(),
        sha: sha.to_owned(),
        version: text("version").map(str::to_owned),
        state: match text("state") {
            Some("success" | "succeeded") | None => State::Succeeded,
            Some("failure" | "error" | "failed" | "inactive") => State::Failed,
            Some(_) => State::Pending,
        },
        at: None,
        by: None,
        url: text("url").map(str::to_owned),
        migration: output.get("migration").and_then(Value::as_bool),
        external: repository.zip(id).map(|(repository, id)| external(repository, &id)),
        key: None,
    };
    let teller = Teller { actor: Actor::Run(run.id), run: Some(run.id), incident: run.incident };
    let service = run.target.service.clone();
    record(context, &service, &seen, &teller).await
}

/// The name of a deployment of GitHub in the ledger: the bot's own and what a webhook says of it are one.
pub fn external(repository: &str, id: &str) -> String {
    format!("github:{}:{id}", repository.to_ascii_lowercase())
}

/// Orders that a version shall not be deployed; whether no such order stood before.
pub async fn ban(context: &mut Context<'_>, ban: Ban, incident: Option<IncidentId>) -> store::Result<bool> {
    if is_banned(context.tx, &ban.service, &ban.environment, &ban.sha).await?.is_some() {
        return Ok(false);
    }
    deployments::ban(context.tx, &ban).await?;
    let event =
        Event::VersionBanned { service: ban.service, environment: ban.environment, sha: ban.sha, reason: ban.reason };
    context.tell_of(incident, Draft::new(ban.by, &event)).await?;
    Ok(true)
}

/// Takes such an order back.
pub async fn unban(
    context: &mut Context<'_>,
    ban: &Ban,
    (actor, reason): (Actor, &str),
    incident: Option<IncidentId>,
) -> store::Result<()> {
    deployments::unban(context.tx, ban).await?;
    let event = Event::VersionUnbanned {
        service: ban.service.clone(),
        environment: ban.environment.clone(),
        sha: ban.sha.clone(),
        reason: reason.to_owned(),
    };
    context.tell_of(incident, Draft::new(actor, &event)).await?;
    Ok(())
}
