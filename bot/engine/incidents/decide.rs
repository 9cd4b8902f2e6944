//! What alerts and the passing of time do to incidents.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;

pub use super::acts::{count_runs, mark};
use super::{
    News,
    acts::{self, QUIET},
    cards,
    desk::{Desk, Latest},
    entries::{fired_event, membership, new_membership, speaker, told_by_bot, told_by_source},
    placing::{Place, is_opener},
};
use crate::{
    domain::{
        alerts::What,
        ids::IncidentId,
        incidents::{AfterQuiet, Event, Grouping, Incident, Mark, Member, Milestone, OnFire, Phase, resolving},
        people::Actor,
        timeline::Draft,
    },
    engine::{
        Context, alerts,
        chat::{Line, Message},
    },
    store::{self, Fault, incidents, incidents::Membership, timers},
};

/// Takes up what happened to alerts and tells what came of it.
pub async fn take(context: &mut Context<'_>, news: &[alerts::News]) -> store::Result<Vec<News>> {
    let mut desk = Desk::laid_out(context, news).await?;
    for item in news {
        match item.what {
            What::Fired | What::Refired | What::HeardAgain => desk.fired(context, item).await?,
            What::Resolved => desk.cleared(context, item).await?,
            What::WentStale => desk.fell_silent(context, item).await?,
            What::FlappingStarted | What::FlappingEnded => desk.flaps(context, item).await?,
            What::Repeated
            | What::ReplicaResolved
            | What::ResolvedUnknown
            | What::Older
            | What::Doubted
            | What::Extended => {}
        }
        if item.truncated > 0 {
            desk.omits(context, item).await?;
        }
    }
    desk.settle(context).await
}

/// Resolves an incident that was quiet for long enough, or asks a person.
pub(super) fn quiet_is_over<'a>(
    context: &'a mut Context<'_>,
    due: &'a timers::Due,
) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let id: IncidentId = due.subject.parse().map_err(|error| Fault::defect(format!("{error}")))?;
        let Some(mut incident) = incidents::by_id(context.tx, id).await? else { return Ok(()) };
        let counts = incidents::counts(context.tx, id).await?;
        match resolving::after_quiet(&incident, counts) {
            AfterQuiet::Nothing => return Ok(()),
            AfterQuiet::Resolve => {
                acts::end(context, &mut incident, Phase::Resolved, &Actor::Bot, Some("quiet")).await?;
                acts::say(context, &incident, Message::line(cards::ended(&incident))).await?;
            }
            AfterQuiet::Ask(doubts) => {
                let question = cards::question(&incident, counts, &doubts);
                context.tell(id, Draft::new(Actor::Bot, &Event::ResolutionAsked { doubts })).await?;
                incident.asked_at = Some(context.now);
                acts::say(context, &incident, Message::card(question)).await?;
            }
        }
        acts::keep(context, &incident, false).await
    })
}

/// Prolongs every quiet time by the time in which nobody could be heard; none begins more than anew.
pub async fn after_deafness(context: &mut Context<'_>, length: Duration) -> store::Result<()> {
    let anew = context.now + context.rules.incidents.quiet;
    for pending in timers::of_kind(context.tx, QUIET).await? {
        let at = (pending.at + length).min(anew);
        if at > pending.at {
            timers::set(context.tx, QUIET, &pending.subject, at).await?;
        }
    }
    Ok(())
}

impl Desk {
    async fn fired(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<()> {
        match self.place(context, item)? {
            Place::Quiet(id) => {
                let event = Event::AlertKeptQuiet { alert: Member::of(&item.alert), reason: "declined".to_owned() };
                context.tell(id, told_by_source(item, &event)).await?;
                self.keeps_quiet(item);
                if let Some(before) = self.member_in(context, id, &item.alert.key).await? {
                    let quiet = Membership { is_quiet: true, ..membership(item, id, &before, context) };
                    self.put(Some(before.state), quiet)?;
                }
                self.file(id)?.told();
                Ok(())
            }
            Place::New(earlier, grouping) => {
                let id = self.open(context, item, earlier).await?;
                self.joins(context, item, id, grouping).await
            }
            Place::In(id, grouping) => self.joins(context, item, id, grouping).await,
        }
    }

    async fn joins(
        &mut self,
        context: &mut Context<'_>,
        item: &alerts::News,
        id: IncidentId,
        grouping: Grouping,
    ) -> store::Result<()> {
        let before = self.member_in(context, id, &item.alert.key).await?;
        let goes_on = item.what == What::HeardAgain && before.is_some();
        let entry = context.tell(id, told_by_source(item, &fired_event(item, grouping, goes_on))).await?;
        let member = match &before {
            Some(before) => membership(item, id, before, context),
            None => new_membership(item, id, context),
        };
        self.put(before.as_ref().map(|before| before.state), member)?;

        let file = self.file(id)?;
        file.latest = Latest::Fired;
        let incident = &mut file.incident;
        let from = incident.phase;
        match resolving::on_fire(incident, context.now, &context.rules.incidents) {
            OnFire::Stay | OnFire::OpenNew => {
                if item.what == What::Refired {
                    acts::take_back(context, incident, Milestone::Mitigated, &Actor::Bot, "fired_again").await?;
                }
            }
            OnFire::Return(to) => {
                acts::move_to(context, incident, to, &Actor::Bot, Some("fired_again")).await?;
                if !item.alert.flapping {
                    acts::say(context, incident, Message::line(fires_again(incident, item))).await?;
                }
            }
            OnFire::Reopen(to) => {
                acts::move_to(context, incident, to, &Actor::Bot, Some("fired_again")).await?;
                file.page = file.page.or(Some("reopened"));
            }
        }
        let moved = (incident.phase != from).then_some(News::PhaseMoved { incident: id, from, to: incident.phase });
        if let Some(at) = item.alert.starts_at {
            let mark = Mark::new(at, speaker(item), context.now, entry).at_the_latest();
            acts::set(context, incident, Milestone::Started, mark).await?;
        }
        let severity = item.decision.severity;
        if severity.is_higher_than(incident.severity) {
            let reason = format!("`{}` fires", item.alert.labels.alertname());
            acts::rate(context, incident, severity, &Actor::Bot, Some(&reason)).await?;
            file.page = file.page.or(Some("severity_raised"));
        }
        add_new(&mut incident.runbooks, &item.decision.runbooks);
        add_new(&mut incident.pages, &item.decision.page);
        self.told.extend(moved);
        if !goes_on {
            self.told.push(News::Fired {
                incident: id,
                alert: Arc::clone(&item.alert),
                decision: Arc::clone(&item.decision),
                is_new_incident: before.is_none() && is_opener(grouping),
            });
        }
        Ok(())
    }

    async fn cleared(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<()> {
        let Some(before) = self.member(&item.alert.key).cloned() else { return Ok(()) };
        let id = before.incident;
        let at = item.alert.resolved_at.unwrap_or(context.now);
        let event = Event::AlertCleared { alert: Member::of(&item.alert), at };
        let entry = context.tell(id, told_by_source(item, &event)).await?;
        let member = Membership {
            cleared_at: Some(at),
            cleared_in: Some(entry),
            is_quiet: false,
            ..membership(item, id, &before, context)
        };
        self.put(Some(before.state), member)?;
        self.file(id)?.quiets(item, context);
        self.told.push(News::Cleared { incident: id, alert: Arc::clone(&item.alert) });
        Ok(())
    }

    async fn fell_silent(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<()> {
        let Some(before) = self.member(&item.alert.key).cloned() else { return Ok(()) };
        let id = before.incident;
        let event = Event::AlertSilent { alert: Member::of(&item.alert), since: item.alert.silent_since() };
        context.tell(id, told_by_bot(item, &event)).await?;
        let member = Membership { is_quiet: before.is_quiet, ..membership(item, id, &before, context) };
        self.put(Some(before.state), member)?;
        self.file(id)?.quiets(item, context);
        Ok(())
    }

    async fn flaps(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<()> {
        let Some(before) = self.member(&item.alert.key).cloned() else { return Ok(()) };
        let id = before.incident;
        let alert = Member::of(&item.alert);
        let event = if item.alert.flapping { Event::AlertFlapping { alert } } else { Event::AlertSteady { alert } };
        context.tell(id, told_by_bot(item, &event)).await?;
        self.put(Some(before.state), Membership { is_flapping: item.alert.flapping, ..before })?;
        let file = self.file(id)?;
        file.told();
        if item.alert.flapping && file.incident.phase.is_open() {
            let line = Line::new().code(item.alert.labels.alertname()).and(" changes its state again and again: ");
            let line = line.and("no runbook acts on it until it is steady");
            acts::say(context, &file.incident, Message::line(line)).await?;
        }
        Ok(())
    }

    /// The delivery left alerts out beside this one: they are of its incident, and nobody will say that they are over.
    async fn omits(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<()> {
        let Some(id) = self.member(&item.alert.key).map(|member| member.incident) else { return Ok(()) };
        let file = self.file(id)?;
        if item.truncated > file.incident.truncated {
            file.incident.truncated = item.truncated;
            let event = Event::AlertsTruncated { count: item.truncated };
            context.tell(id, told_by_source(item, &event)).await?;
            file.told();
        }
        Ok(())
    }
}

/// All alerts have cleared: the impact stopped with the last of them, and the incident is watched.
pub(super) async fn monitor(context: &mut Context<'_>, incident: &mut Incident) -> store::Result<Option<News>> {
    if let Some((at, Some(entry))) = incidents::last_clearing(context.tx, incident.id).await? {
        let mark = Mark::new(at, Actor::Bot, context.now, entry);
        acts::set(context, incident, Milestone::Mitigated, mark).await?;
    }
    if !incident.phase.is_working() {
        return Ok(None);
    }
    let (id, from, to) = (incident.id, incident.phase, Phase::Monitoring);
    acts::move_to(context, incident, to, &Actor::Bot, Some("all_alerts_cleared")).await?;
    Ok(Some(News::PhaseMoved { incident: id, from, to }))
}

fn fires_again(incident: &Incident, item: &alerts::News) -> Line {
    Line::new()
        .code(item.alert.labels.alertname())
        .and(" fires again: ")
        .incident(incident.id)
        .and(" is back to ")
        .code(incident.phase.word())
}

pub(super) fn add_new(list: &mut Vec<String>, names: &[String]) {
    for name in names {
        if !list.contains(name) {
            list.push(name.clone());
        }
    }
}
