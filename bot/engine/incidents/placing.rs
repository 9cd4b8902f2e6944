//! Which incident an alert belongs to, and how one is opened for it.

use std::collections::BTreeMap;

use super::{
    desk::{Desk, File},
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
    pub(super) fn place(&mut self, context: &Context<'_>, item: &alerts::News) -> store::Result<Place> {
        if let Some((id, is_quiet)) = self.member(&item.alert.key).map(|member| (member.incident, member.is_quiet)) {
            let incident = &self.file(id)?.incident;
            if resolving::stays_quiet(incident, is_quiet, item.decision.severity) {
                return Ok(Place::Quiet(id));
            }
            if incident.phase.is_open() {
                return Ok(Place::In(id, Grouping::SameAlert));
            }
            if incident.phase == Phase::Declined && is_quiet {
                return Ok(Place::New(Some(id), Grouping::WorseThanDeclined));
            }
        }
        let key = &item.decision.group;
        let text = key.text();
        let open: Vec<OpenGroup> = self
            .of_group(&text)
            .filter(|file| file.incident.phase.is_open())
            .map(|file| {
                let last = file.incident.last_fired_at.unwrap_or(file.incident.opened_at);
                let last_fired = if file.counts.firing > 0 { context.now } else { last };
                OpenGroup { incident: file.incident.id, key: key.clone(), last_fired }
            })
            .collect();
        let settings = &context.rules.incidents;
        let newest = self.of_group(&text).next().map(|file| &file.incident);
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
        super::acts::moved(context, incident.id).await?;
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
        self.opened(File::of_new(incident, page));
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
