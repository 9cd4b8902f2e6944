//! What alerts and the passing of time do to incidents.
//!
//! However many alerts come at once, each incident is settled once: one save, one card, at most one page.

use std::{collections::BTreeMap, time::Duration};

use futures::future::BoxFuture;

pub use super::acts::{count_runs, mark};
use super::{
    News,
    acts::{self, QUIET},
    cards,
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
    store::{
        self, Fault,
        incidents::{self, Membership},
        timers,
    },
};

/// Takes up what happened to alerts and tells what came of it.
pub async fn take(context: &mut Context<'_>, news: &[alerts::News]) -> store::Result<Vec<News>> {
    let mut desk = Desk::default();
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

/// The incidents that the alerts of one decision are about.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) files: BTreeMap<IncidentId, File>,
    told: Vec<News>,
}

/// One incident on the desk.
pub(super) struct File {
    pub(super) incident: Incident,
    /// Whether this decision opened it.
    pub(super) is_new: bool,
    /// What this decision has found about its alerts.
    pub(super) latest: Latest,
    /// Why people are paged.
    pub(super) page: Option<&'static str>,
}

/// What a decision has found about the alerts of an incident, the latest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Latest {
    /// Nothing: it was only looked at.
    Nothing,
    /// Something was told that changes no alert's state.
    Told,
    /// One fires.
    Fired,
    /// One does not fire any more, as far as is known.
    Quieted,
}

impl File {
    pub(super) fn of(incident: Incident) -> Self {
        Self { incident, is_new: false, latest: Latest::Nothing, page: None }
    }
}

impl Desk {
    pub(super) async fn file(&mut self, context: &mut Context<'_>, id: IncidentId) -> store::Result<&mut File> {
        use std::collections::btree_map::Entry;
        match self.files.entry(id) {
            Entry::Occupied(file) => Ok(file.into_mut()),
            Entry::Vacant(place) => {
                let incident = incidents::by_id(context.tx, id).await?;
                let incident = incident.ok_or_else(|| Fault::defect(format!("an alert is in `{id}`, which is not")))?;
                Ok(place.insert(File::of(incident)))
            }
        }
    }

    async fn fired(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<()> {
        match self.place(context, item).await? {
            Place::Quiet(id) => {
                let event = Event::AlertKeptQuiet { alert: Member::of(&item.alert), reason: "declined".to_owned() };
                context.tell(id, told_by_source(item, &event)).await?;
                let ignored = [(&item.alert.key, "declined", item.alert.source.as_str())];
                store::alerts::suppressed(context.tx, &ignored, context.now).await?;
                if let Some(member) = incidents::alert_in(context.tx, id, &item.alert.key).await? {
                    let quiet = Membership { is_quiet: true, ..membership(item, id, &member, context) };
                    incidents::put_alert(context.tx, &quiet).await?;
                }
                self.file(context, id).await?.told();
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
        let file = self.file(context, id).await?;
        file.latest = Latest::Fired;
        let before = incidents::alert_in(context.tx, id, &item.alert.key).await?;
        let goes_on = item.what == What::HeardAgain && before.is_some();
        let entry = context.tell(id, told_by_source(item, &fired_event(item, grouping, goes_on))).await?;
        let member = match &before {
            Some(before) => membership(item, id, before, context),
            None => new_membership(item, id, context),
        };
        incidents::put_alert(context.tx, &member).await?;

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
                alert: Box::new(item.alert.clone()),
                decision: Box::new(item.decision.clone()),
                is_new_incident: before.is_none() && is_opener(grouping),
            });
        }
        Ok(())
    }

    async fn cleared(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<()> {
        let Some(before) = incidents::of_alert(context.tx, &item.alert.key).await? else { return Ok(()) };
        let id = before.incident;
        let file = self.file(context, id).await?;
        let at = item.alert.resolved_at.unwrap_or(context.now);
        let event = Event::AlertCleared { alert: Member::of(&item.alert), at };
        let entry = context.tell(id, told_by_source(item, &event)).await?;
        let member = Membership {
            cleared_at: Some(at),
            cleared_in: Some(entry),
            is_quiet: false,
            ..membership(item, id, &before, context)
        };
        incidents::put_alert(context.tx, &member).await?;
        file.quiets(item, context);
        self.told.push(News::Cleared { incident: id, alert: Box::new(item.alert.clone()) });
        Ok(())
    }

    async fn fell_silent(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<()> {
        let Some(before) = incidents::of_alert(context.tx, &item.alert.key).await? else { return Ok(()) };
        let id = before.incident;
        let file = self.file(context, id).await?;
        let event = Event::AlertSilent { alert: Member::of(&item.alert), since: item.alert.silent_since() };
        context.tell(id, told_by_bot(item, &event)).await?;
        let member = Membership { is_quiet: before.is_quiet, ..membership(item, id, &before, context) };
        incidents::put_alert(context.tx, &member).await?;
        file.quiets(item, context);
        Ok(())
    }

    async fn flaps(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<()> {
        let Some(before) = incidents::of_alert(context.tx, &item.alert.key).await? else { return Ok(()) };
        let id = before.incident;
        let alert = Member::of(&item.alert);
        let event = if item.alert.flapping { Event::AlertFlapping { alert } } else { Event::AlertSteady { alert } };
        context.tell(id, told_by_bot(item, &event)).await?;
        let member = Membership { is_flapping: item.alert.flapping, ..before };
        incidents::put_alert(context.tx, &member).await?;
        let file = self.file(context, id).await?;
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
        let Some(member) = incidents::of_alert(context.tx, &item.alert.key).await? else { return Ok(()) };
        let file = self.file(context, member.incident).await?;
        if item.truncated > file.incident.truncated {
            file.incident.truncated = item.truncated;
            let event = Event::AlertsTruncated { count: item.truncated };
            context.tell(member.incident, told_by_source(item, &event)).await?;
            file.told();
        }
        Ok(())
    }

    /// Moves what has cleared to monitoring, watches over the quiet, and writes every incident that was touched.
    async fn settle(mut self, context: &mut Context<'_>) -> store::Result<Vec<News>> {
        for file in self.files.values_mut().filter(|file| file.latest != Latest::Nothing) {
            let id = file.incident.id;
            let counts = incidents::counts(context.tx, id).await?;
            if counts.firing > 0 {
                file.incident.asked_at = None;
                timers::clear(context.tx, QUIET, &id.to_string()).await?;
            } else if file.incident.phase.is_open() && file.latest == Latest::Quieted {
                if counts.are_cleared() {
                    self.told.extend(monitor(context, &mut file.incident).await?);
                }
                let at = context.now + context.rules.incidents.quiet;
                timers::set(context.tx, QUIET, &id.to_string(), at).await?;
            }
            match file.page {
                Some(reason) if file.is_new => acts::tell_page(context, &file.incident, reason).await?,
                Some(reason) => acts::page(context, &file.incident, reason).await?,
                None => {}
            }
            acts::keep(context, &file.incident, file.page.is_some()).await?;
        }
        Ok(self.told)
    }
}

impl File {
    /// Something was told in it, so its card changes.
    fn told(&mut self) {
        if self.latest == Latest::Nothing {
            self.latest = Latest::Told;
        }
    }

    /// An alert of it does not fire any more, as far as is known.
    fn quiets(&mut self, item: &alerts::News, context: &Context<'_>) {
        self.latest = Latest::Quieted;
        let last = item.alert.last_fired(context.now);
        self.incident.last_fired_at = Some(self.incident.last_fired_at.map_or(last, |known| known.max(last)));
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
