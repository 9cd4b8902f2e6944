//! What a command would start, found out without writing: the runbook, what it is given, and what would come of it.

use super::{
    choose::{Chosen, Wanted, choose},
    version::{self, Version},
};
use crate::{
    domain::{deployments::Ledger, ids::IncidentId, people::Actor, runbooks::plan::Operation, runs::guards::Refused},
    engine::{
        Rules, Stop, View,
        chat::Call,
        incidents,
        runs::{
            judge::{self, Judged},
            start::Wish,
        },
    },
    store::{self, deployments, incidents::Filter},
};

/// The most open incidents that are looked through for the one that is meant.
const INCIDENTS: i64 = 20;

/// Everything that a command is about.
pub(super) struct Subject<'a> {
    pub(super) wanted: Wanted<'a>,
    pub(super) chosen: Chosen<'a>,
    pub(super) ledger: Ledger,
    /// The incident that it is for.
    pub(super) incident: Option<IncidentId>,
}

/// Finds out what a call of the command is about.
pub(super) async fn subject<'a>(
    view: &mut View<'_>,
    rules: &'a Rules,
    call: &'a Call,
    operation: Operation,
) -> Result<Subject<'a>, Stop> {
    let (service, environment) = (call.args.required("service")?, call.args.text("environment"));
    incidents::service_is_known(view, service).await?;
    let wanted = Wanted { operation, service, environment };
    let mut chosen = choose(rules, &wanted)?;
    if operation == Operation::Scale {
        chosen.given.insert("replicas".to_owned(), call.args.required("replicas")?.to_owned());
    }
    let ledger = deployments::ledger(view.reader, service, &chosen.target.environment).await?;
    let incident = match call.about {
        Some(incident) => Some(incident),
        None => the_open_one(view, &chosen).await?,
    };
    Ok(Subject { wanted, chosen, ledger, incident })
}

/// The open incident of the target, if there is one alone.
async fn the_open_one(view: &mut View<'_>, chosen: &Chosen<'_>) -> store::Result<Option<IncidentId>> {
    let target = &chosen.target;
    let filter = Filter { service: Some(&target.service), ..Filter::default() };
    let mut open = store::incidents::list(view.reader, filter, INCIDENTS).await?;
    open.retain(|incident| incident.environment.as_ref().is_none_or(|there| *there == target.environment));
    Ok(match open.as_slice() {
        [only] => Some(only.id),
        _ => None,
    })
}

impl<'a> Subject<'a> {
    /// The version that a rollback goes back to; nothing of the sort for anything else.
    pub(super) fn version<'s>(&'s self, view: &View<'_>, call: &'s Call) -> Result<Version<'s>, Stop> {
        if self.wanted.operation != Operation::Rollback {
            return Ok(Version::Before);
        }
        Ok(version::find(&self.ledger, (&self.wanted, &self.chosen), call.args.text("to"), view.now)?)
    }

    /// The wish of whoever gave the command.
    pub(super) fn wish(&self, version: &Version<'_>, call: &Call, now: crate::domain::time::Time) -> Wish<'a> {
        let person = &call.caller.id;
        let fault = call.source_key.clone().unwrap_or_else(|| format!("{person}@{}", now.millis()));
        let mut given = self.chosen.given.clone();
        given.extend(version.given().map(|version| ("to".to_owned(), version.to_owned())));
        let wish = Wish::new(self.chosen.plan, Actor::Person(person.clone()), fault);
        Wish { incident: self.incident, given, ..wish }
    }

    /// What would come of it at this moment.
    pub(super) async fn judged(
        &self,
        view: &mut View<'_>,
        version: &Version<'_>,
        call: &Call,
    ) -> store::Result<Result<Judged, Refused>> {
        let wish = self.wish(version, call, view.now);
        judge::judge(view, &wish).await
    }
}
