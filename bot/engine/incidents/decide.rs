//! What alerts and the passing of time do to incidents.
//!
//! However many alerts come at once, each incident is settled once: one save, one card, at most one page.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

pub use super::acts::{count_runs, mark};
use super::{
    News,
    acts::{self, QUIET},
    cards,
};
use crate::{
    domain::{
        alerts::{AlertState, What},
        ids::IncidentId,
        incidents::{
            AfterQuiet, Event, Grouping, Incident, Mark, Member, Milestone, Milestones, OnFire, Origin, Phase,
            resolving,
        },
        people::Actor,
        routes::{self, Join, OpenGroup, Reason},
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

/// How many incidents of a group are looked at, newest first.
const LOOKED_AT: i64 = 10;

/// Takes up what happened to alerts and tells what came of it.
pub async fn take(context: &mut Context<'_>, news: &[alerts::News]) -> store::Result<Vec<News>> {
    let mut desk = Desk::default();
    for item in news {
        match item.what {
            What::Fired | What::Refired | What::HeardAgain => desk.fired(context, item).await?,
            What::Resolved => desk.cleared(context, item).await?,
            What::WentStale => desk.fell_silent(context, item).await?,
            What::FlappingStarted | What::FlappingEnded => desk.flaps(context, item).await?,
            What::Repeated | What::ReplicaResolved | What::ResolvedUnknown | What::Older | What::Extended => {}
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

/// Where an alert goes.
enum Place {
    /// Into this incident.
    In(IncidentId, Grouping),
    /// Into a new one, with the earlier one of its group.
    New(Option<IncidentId>, Grouping),
    /// Nowhere: it stays quiet, because this incident was declined.
    Quiet(IncidentId),
}

/// The incidents that the alerts of one decision are about.
#[derive(Default)]
struct Desk {
    files: BTreeMap<IncidentId, File>,
    told: Vec<News>,
}

/// One incident on the desk.
struct File {
    incident: Incident,
    is_new: bool,
    is_touched: bool,
    has_fired: bool,
    has_quieted: bool,
    /// Why people are paged.
    page: Option<&'static str>,
}

impl File {
    fn of(incident: Incident) -> Self {
        Self { incident, is_new: false, is_touched: false, has_fired: false, has_quieted: false, page: None }
    }
}

impl Desk {
    async fn file(&mut self, context: &mut Context<'_>, id: IncidentId) -> store::Result<&mut File> {
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
                if let Some(member) = incidents::alert_in(context.tx, id, &item.alert.key).await? {
                    let quiet = Membership { is_quiet: true, ..membership(item, id, &member, context) };
                    incidents::put_alert(context.tx, &quiet).await?;
                }
                self.file(context, id).await?.is_touched = true;
                Ok(())
            }
            Place::New(earlier, grouping) => {
                let id = self.open(context, item, earlier).await?;
                self.joins(context, item, id, grouping).await
            }
            Place::In(id, grouping) => self.joins(context, item, id, grouping).await,
        }
    }

    async fn place(&mut self, context: &mut Context<'_>, item: &alerts::News) -> store::Result<Place> {
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
                let fires = file.is_some_and(|file| file.has_fired)
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
    async fn open(
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

    async fn joins(
        &mut self,
        context: &mut Context<'_>,
        item: &alerts::News,
        id: IncidentId,
        grouping: Grouping,
    ) -> store::Result<()> {
        let file = self.file(context, id).await?;
        file.is_touched = true;
        file.has_fired = true;
        let before = incidents::alert_in(context.tx, id, &item.alert.key).await?;
        let goes_on = item.what == What::HeardAgain && before.is_some();
        let entry = context.tell(id, told_by_source(item, &fired_event(item, grouping, goes_on))).await?;
        let member = match &before {
            Some(before) => membership(item, id, before, context),
            None => new_membership(item, id, context),
        };
        incidents::put_alert(context.tx, &member).await?;

        let incident = &mut file.incident;
        if grouping == Grouping::ResolvedLately || grouping == Grouping::SameGroup {
            incidents::add_group(context.tx, id, &item.decision.group.text()).await?;
        }
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
        if item.truncated > incident.truncated {
            incident.truncated = item.truncated;
            let event = Event::AlertsTruncated { count: item.truncated };
            context.tell(id, told_by_source(item, &event)).await?;
        }
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
        self.file(context, id).await?.is_touched = true;
        Ok(())
    }

    /// Moves what has cleared to monitoring, watches over the quiet, and writes every incident that was touched.
    async fn settle(mut self, context: &mut Context<'_>) -> store::Result<Vec<News>> {
        for file in self.files.values_mut().filter(|file| file.is_touched) {
            let id = file.incident.id;
            let counts = incidents::counts(context.tx, id).await?;
            if counts.firing > 0 {
                file.incident.asked_at = None;
                timers::clear(context.tx, QUIET, &id.to_string()).await?;
            } else if file.incident.phase.is_open() && file.has_quieted {
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
    /// An alert of it does not fire any more, as far as is known.
    fn quiets(&mut self, item: &alerts::News, context: &Context<'_>) {
        self.is_touched = true;
        self.has_quieted = true;
        let last = item.alert.last_fired(context.now);
        self.incident.last_fired_at = Some(self.incident.last_fired_at.map_or(last, |known| known.max(last)));
    }
}

/// All alerts have cleared: the impact stopped with the last of them, and the incident is watched.
async fn monitor(context: &mut Context<'_>, incident: &mut Incident) -> store::Result<Option<News>> {
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

fn is_opener(grouping: Grouping) -> bool {
    match grouping {
        Grouping::NewGroup | Grouping::GroupQuiet | Grouping::EarlierIsOver | Grouping::WorseThanDeclined => true,
        Grouping::SameAlert | Grouping::SameGroup | Grouping::ResolvedLately => false,
    }
}

fn fired_event(item: &alerts::News, grouping: Grouping, goes_on: bool) -> Event {
    let alert = Member::of(&item.alert);
    if goes_on {
        return Event::AlertHeardAgain { alert };
    }
    Event::AlertFired {
        alert,
        severity: item.decision.severity,
        grouping,
        is_again: item.what != What::Fired,
        starts_at: item.alert.starts_at,
    }
}

fn fires_again(incident: &Incident, item: &alerts::News) -> Line {
    Line::new()
        .code(item.alert.labels.alertname())
        .and(" fires again: ")
        .incident(incident.id)
        .and(" is back to ")
        .code(incident.phase.word())
}

/// How the alert stands in an incident that it is in already.
fn membership(item: &alerts::News, id: IncidentId, before: &Membership, context: &Context<'_>) -> Membership {
    Membership { joined_at: before.joined_at, ..new_membership(item, id, context) }
}

fn new_membership(item: &alerts::News, id: IncidentId, context: &Context<'_>) -> Membership {
    let alert = &item.alert;
    Membership {
        incident: id,
        key: alert.key.clone(),
        name: alert.labels.alertname().to_owned(),
        severity: item.decision.severity,
        episode: alert.episode,
        state: alert.state,
        is_flapping: alert.flapping,
        is_quiet: false,
        joined_at: context.now,
        fired_at: alert.fired_at,
        cleared_at: alert.resolved_at.filter(|_| alert.state == AlertState::Resolved),
        cleared_in: None,
        silent_since: alert.silent_since(),
    }
}

fn speaker(item: &alerts::News) -> Actor {
    Actor::Source(item.source.clone().unwrap_or_else(|| item.alert.source.clone()))
}

fn told_by_source(item: &alerts::News, event: &Event) -> Draft {
    with_clock(item, Draft::new(speaker(item), event))
}

fn told_by_bot(item: &alerts::News, event: &Event) -> Draft {
    with_clock(item, Draft::new(Actor::Bot, event))
}

fn with_clock(item: &alerts::News, draft: Draft) -> Draft {
    match item.source_at {
        Some(at) => draft.source_at(at),
        None => draft,
    }
}

fn add_new(list: &mut Vec<String>, names: &[String]) {
    for name in names {
        if !list.contains(name) {
            list.push(name.clone());
        }
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
