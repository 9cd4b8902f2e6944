//! Which incident an alert belongs to, and how one is opened for it.

use std::collections::BTreeMap;

use super::{
    decide::{Desk, File, Latest},
    entries::{speaker, told_by_bot},
};
use crate::{
    domain::{
        ids::IncidentId,
        incidents::{Event, Grouping, Incident, Mark, Milestone, Milestones, OnFire, Origin, Phase, resolving},
        people::Actor,
        routes::{self, Join, OpenGroup, Reason},
        timeline::Draft,
    },
    engine::{Context, alerts},
    store::{self, incidents},
};

/// How many incidents of a group are looked at, newest first.
const LOOKED_AT: i64 = 10;

/// Where an alert goes.
pub(super) enum Place {
    /// Into this incident.
    In(IncidentId, Grouping),
    /// Into a new one, with the earlier one of its group.
    New(Option<IncidentId>, Grouping),
    /// Nowhere: it stays quiet, because this incident was declined.
    Quiet(IncidentId),
}

impl Desk {
    /// Where this alert goes.
    pub(super) async fn place(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<Place> {
        if let Some(member) = incidents::of_alert(context.tx, &item.alert.key).await? {
            let incident = &self.file(context, member.incident).await?.incident;
            if resolving::stays_quiet(incident, member.is_quiet, item.decision.severity) {
                return Ok(Place::Quiet(incident.id));
            }
            if incident.phase.is_open() {
                return Ok(Place::In(incident.id, Grouping::SameAlert));
            }
            if incident.phase == Phase::Declined && member.is_quiet {
                return Ok(Place::New(Some(incident.id), Grouping::WorseThanDeclined));
            }
        }
        let key = &item.decision.group;
        let mut known = incidents::by_group(context.tx, &key.text(), LOOKED_AT).await?;
        let mut open = Vec::new();
        for incident in &mut known {
            let file = self.files.get(&incident.id);
            if let Some(file) = file {
                *incident = file.incident.clone();
            }
            if incident.phase.is_open() {
                let fires = file.is_some_and(|file| file.latest == Latest::Fired)
                    || incidents::counts(context.tx, incident.id).await?.firing > 0;
                let last = incident.last_fired_at.unwrap_or(incident.opened_at);
                let last_fired = if fires { context.now } else { last };
                open.push(OpenGroup { incident: incident.id, key: key.clone(), last_fired });
            }
        }
        let settings = &context.rules.incidents;
        let newest = known.first();
        Ok(match routes::grouping(&open, key, context.now, settings.join_within) {
            Join::Same(id) => Place::In(id, Grouping::SameGroup),
            Join::Quiet(id) => Place::New(Some(id), Grouping::GroupQuiet),
            Join::New => match newest {
                Some(last) if matches!(resolving::on_fire(last, context.now, settings), OnFire::Reopen(_)) => {
                    Place::In(last.id, Grouping::ResolvedLately)
                }
                Some(last) => Place::New(Some(last.id), Grouping::EarlierIsOver),
                None => Place::New(None, Grouping::NewGroup),
            },
        })
    }

    /// Opens an incident for the alert; the alert itself has yet to join.
    pub(super) async fn open(
        &mut self,
        context: &mut Context<'_>,
        item: &alerts::News,
        earlier: Option<IncidentId>,
    ) -> store::Result<IncidentId> {
        let (alert, decision) = (&item.alert, &item.decision);
        let said =
            |name: &str| alert.annotations.get(name).map(|text| first_line(text)).filter(|text| !text.is_empty());
        let title = said("summary").unwrap_or_else(|| alert.labels.alertname().to_owned());
        let mut incident = Incident {
            id: IncidentId(0),
            title,
            summary: said("description").unwrap_or_default(),
            severity: decision.severity,
            peak_severity: decision.severity,
            phase: Phase::Triage,
            phase_since: context.now,
            prior_phase: None,
            service: decision.service.clone(),
            environment: decision.environment.clone(),
            route: Some(decision.route.clone()),
            group: Some(decision.group.text()),
            channel: decision.channel.clone().unwrap_or_else(|| context.rules.default_channel.clone()),
            runbooks: decision.runbooks.clone(),
            pages: decision.page.clone(),
            origin: Origin::Alert,
            opened_at: context.now,
            last_fired_at: None,
            truncated: 0,
            roles: BTreeMap::new(),
            milestones: Milestones::default(),
            earlier: earlier.into_iter().collect(),
            merged_into: None,
            asked_at: None,
            open_runs: 0,
        };
        incident.id = incidents::open_new(context.tx, &incident).await?;
        let event = Event::IncidentOpened {
            title: incident.title.clone(),
            severity: incident.severity,
            service: incident.service.clone(),
            environment: incident.environment.clone(),
            route: decision.route.clone(),
            reason: decision.reason.code().to_owned(),
            started: alert.starts_at,
        };
        let opened = context.tell(incident.id, told_by_bot(item, &event)).await?;
        if let Some(earlier) = earlier {
            let linked = Draft::new(Actor::Bot, &Event::LinkedToEarlier { earlier });
            context.tell(incident.id, linked).await?;
        }
        let source = speaker(item);
        let milestones = &mut incident.milestones;
        if let Some(at) = alert.starts_at {
            let mark = Mark::new(at, source.clone(), context.now, opened).at_the_latest();
            milestones.set(Milestone::Started, mark);
        }
        milestones.set(Milestone::Detected, Mark::new(alert.fired_at, source, context.now, opened));
        milestones.set(Milestone::Declared, Mark::new(context.now, Actor::Bot, context.now, opened));
        let page = match decision.reason {
            Reason::NoRoute => Some("no_route"),
            Reason::Matched if !decision.page.is_empty() => Some("opened"),
            Reason::Matched => None,
        };
        let id = incident.id;
        self.files.insert(id, File { is_new: true, page, ..File::of(incident) });
        Ok(id)
    }
}

/// Whether the alert opened the incident that it was put into.
pub(super) fn is_opener(grouping: Grouping) -> bool {
    match grouping {
        Grouping::NewGroup | Grouping::GroupQuiet | Grouping::EarlierIsOver | Grouping::WorseThanDeclined => true,
        Grouping::SameAlert | Grouping::SameGroup | Grouping::ResolvedLately => false,
    }
}

/// The first line of a text from outside, at most 200 characters.
fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let mut letters = line.chars();
    let mut kept: String = letters.by_ref().take(200).collect();
    if letters.next().is_some() {
        kept.push('…');
    }
    kept
}
