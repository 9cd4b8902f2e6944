//! What can be done to an incident, whoever does it: each act changes the record and tells the timeline together.
//!
//! Nothing here saves the record: whoever loaded it calls `keep` once, which writes it and shows its card anew.

use crate::{
    domain::{
        ids::IncidentId,
        incidents::{Event, Incident, Mark, Milestone, Phase},
        people::{Actor, PersonId},
        severity::Severity,
        time::Time,
        timeline::{Draft, EntryRef},
    },
    engine::{
        Context, Rules,
        chat::{
            Line, Message, Span, Subject,
            outbox::{self, Post, Stand},
        },
    },
    store::{self, incidents, timeline, timers},
};

/// The timer that is due when an incident was quiet for long enough.
pub(super) const QUIET: &str = "incident-quiet";

/// The timer that is due when a person has declared an incident, for what follows from its beginning.
pub const OPENED: &str = "incident-opened";

/// The timer that is due when an incident has ended, for what follows from its end.
pub const ENDED: &str = "incident-ended";

/// The timer that is due when an incident was opened, rated or moved, for what starts by that.
pub const MOVED: &str = "incident-moved";

/// Notes that an incident was opened, rated or moved, if anything starts by that.
pub(super) async fn moved(context: &mut Context<'_>, incident: IncidentId) -> store::Result<()> {
    let starts = context.rules.runs.runbooks.values().any(|plan| plan.trigger.incident.is_some());
    if starts { timers::set(context.tx, MOVED, &incident.to_string(), context.now).await } else { Ok(()) }
}

/// Writes the incident and shows its card anew.
pub(super) async fn keep(context: &mut Context<'_>, incident: &Incident, is_page: bool) -> store::Result<()> {
    incidents::save(context.tx, [incident]).await?;
    show(context, incident, is_page).await
}

/// Shows the incident's card anew.
pub(super) async fn show(context: &mut Context<'_>, incident: &Incident, is_page: bool) -> store::Result<()> {
    let stand = Stand { channel: incident.channel.clone(), incident: Some(incident.id), is_page };
    outbox::show(context, Subject::Incident(incident.id), &stand).await
}

/// Sets a milestone, tells so, and says whether it was taken: a weaker statement than the one that stands is not.
///
/// Who set it is the actor of the entry `cause`. The milestone of an incident that was merged is set where it goes on.
pub async fn mark(
    context: &mut Context<'_>,
    incident: IncidentId,
    milestone: Milestone,
    value: Time,
    cause: EntryRef,
) -> store::Result<bool> {
    let Some(mut incident) = incidents::follow(context.tx, incident).await? else { return Ok(false) };
    let Some(entry) = timeline::cited(context.tx, cause).await? else { return Ok(false) };
    let mut mark = Mark::new(value, entry.draft.actor, context.now, cause);
    if matches!(mark.set_by, Actor::Run(_)) {
        mark = mark.confirmed(context.now);
    }
    let is_taken = set(context, &mut incident, milestone, mark).await?;
    if is_taken {
        keep(context, &incident, false).await?;
    }
    Ok(is_taken)
}

/// Counts a run that began (`1`) or ended (`-1`) in the incident, or in the one that it goes on in, which is given.
///
/// When the last one has ended and the alerts were quiet for long enough meanwhile, the incident is looked at again.
pub async fn count_runs(context: &mut Context<'_>, id: IncidentId, change: i64) -> store::Result<Option<Incident>> {
    let Some(incident) = incidents::open_runs(context.tx, id, change).await? else { return Ok(None) };
    if incident.open_runs == 0 && incident.phase == Phase::Monitoring {
        watch(context, &incident).await?;
    }
    show(context, &incident, false).await?;
    Ok(Some(incident))
}

/// Sets the quiet timer if all alerts are over: the quiet time counts from when it was moved to monitoring.
pub(super) async fn watch(context: &mut Context<'_>, incident: &Incident) -> store::Result<()> {
    if incidents::counts(context.tx, incident.id).await?.are_cleared() {
        let at = (incident.phase_since + context.rules.incidents.quiet).max(context.now);
        timers::set(context.tx, QUIET, &incident.id.to_string(), at).await?;
    }
    Ok(())
}

/// Sets a milestone and tells so, if the statement is strong enough to be taken.
pub(super) async fn set(
    context: &mut Context<'_>,
    incident: &mut Incident,
    milestone: Milestone,
    mark: Mark,
) -> store::Result<bool> {
    let replaced = incident.milestones.at(milestone);
    let (actor, value, from, confirmed) = (mark.set_by.clone(), mark.value, mark.from, mark.confirmed);
    if !incident.milestones.set(milestone, mark) {
        return Ok(false);
    }
    let event = Event::MilestoneSet { milestone, value, from: Some(from), replaced, confirmed };
    context.tell(incident.id, Draft::new(actor, &event).source_at(value)).await?;
    Ok(true)
}

/// Takes a milestone back and tells so, if it stands.
pub(super) async fn take_back(
    context: &mut Context<'_>,
    incident: &mut Incident,
    milestone: Milestone,
    actor: &Actor,
    reason: &str,
) -> store::Result<()> {
    let Some(value) = incident.milestones.at(milestone) else { return Ok(()) };
    let event = Event::MilestoneVoided { milestone, value, reason: reason.to_owned() };
    let entry = context.tell(incident.id, Draft::new(actor.clone(), &event)).await?;
    incident.milestones.void(milestone, entry);
    Ok(())
}

/// Moves an incident, takes back the milestones that no longer hold, and tells both.
pub(super) async fn move_to(
    context: &mut Context<'_>,
    incident: &mut Incident,
    to: Phase,
    actor: &Actor,
    reason: Option<&str>,
) -> store::Result<EntryRef> {
    let from = incident.phase;
    let event = Event::PhaseMoved { from, to, reason: reason.map(str::to_owned) };
    let entry = context.tell(incident.id, Draft::new(actor.clone(), &event)).await?;
    for milestone in incident.move_to(to, context.now) {
        let why = if actor.person().is_some() { "moved_back" } else { "fired_again" };
        take_back(context, incident, milestone, actor, why).await?;
    }
    moved(context, incident.id).await?;
    if from == Phase::Declined {
        incidents::end_quiet(context.tx, incident.id).await?;
    }
    if to != Phase::Monitoring {
        timers::clear(context.tx, QUIET, &incident.id.to_string()).await?;
    }
    Ok(entry)
}

/// Ends an open incident: the moment of its end is that of the last clearing, if all its alerts are over.
pub(super) async fn end(
    context: &mut Context<'_>,
    incident: &mut Incident,
    to: Phase,
    actor: &Actor,
    reason: Option<&str>,
) -> store::Result<()> {
    let counts = incidents::counts(context.tx, incident.id).await?;
    let clearing = incidents::last_clearing(context.tx, incident.id).await?.filter(|_| counts.are_cleared());
    let moved = move_to(context, incident, to, actor, reason).await?;
    let (value, from) = clearing.map_or((context.now, moved), |(at, entry)| (at, entry.unwrap_or(moved)));
    let mark = Mark::new(value, actor.clone(), context.now, from).confirmed(context.now);
    set(context, incident, Milestone::Resolved, mark).await?;
    timers::set(context.tx, ENDED, &incident.id.to_string(), context.now).await
}

/// What is to be said of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// How bad it is.
    pub severity: Option<Severity>,
    /// What is wrong, in more words than the title has.
    pub summary: Option<String>,
    /// What is worth noting.
    pub note: Option<String>,
}

/// Says something of an incident; one that was merged is told where it goes on. A higher severity pages again.
pub async fn update(
    context: &mut Context<'_>,
    incident: IncidentId,
    actor: &Actor,
    update: Update,
) -> store::Result<()> {
    let Some(mut incident) = incidents::follow(context.tx, incident).await? else { return Ok(()) };
    if let Some(to) = update.severity.filter(|to| *to != incident.severity) {
        let is_worse = to.is_higher_than(incident.severity);
        rate(context, &mut incident, to, actor, None).await?;
        if is_worse && incident.phase.is_open() {
            page(context, &incident, "severity_raised").await?;
        }
    }
    if let Some(summary) = update.summary.filter(|summary| *summary != incident.summary) {
        let event = Event::SummaryChanged { summary: summary.clone() };
        context.tell(incident.id, Draft::new(actor.clone(), &event)).await?;
        incident.summary = summary;
    }
    if let Some(text) = update.note {
        context.tell(incident.id, Draft::new(actor.clone(), &Event::Noted { text })).await?;
    }
    keep(context, &incident, false).await
}

/// Notes that a person takes part: the first one acknowledges the incident by it. Says whether it was the first.
pub(super) async fn join(context: &mut Context<'_>, incident: &mut Incident, person: &PersonId) -> store::Result<bool> {
    if incident.milestones.at(Milestone::Acknowledged).is_some() {
        return Ok(false);
    }
    let actor = Actor::Person(person.clone());
    let entry = context.tell(incident.id, Draft::new(actor.clone(), &Event::Acknowledged {})).await?;
    incident.milestones.set(Milestone::Acknowledged, Mark::new(context.now, actor, context.now, entry));
    Ok(true)
}

/// Changes the severity and tells so; a higher one pages again.
pub(super) async fn rate(
    context: &mut Context<'_>,
    incident: &mut Incident,
    to: Severity,
    actor: &Actor,
    reason: Option<&str>,
) -> store::Result<()> {
    let from = std::mem::replace(&mut incident.severity, to);
    incident.peak_severity = incident.peak_severity.max(to);
    let event = Event::SeverityChanged { from, to, reason: reason.map(str::to_owned) };
    context.tell(incident.id, Draft::new(actor.clone(), &event)).await?;
    moved(context, incident.id).await
}

/// Pages the people of the incident in its channel, and tells so.
pub(super) async fn page(context: &mut Context<'_>, incident: &Incident, reason: &str) -> store::Result<()> {
    tell_page(context, incident, reason).await?;
    let line = Line::new().strong(incident.severity.to_string()).and(" ").incident(incident.id);
    let line = match reason {
        "severity_raised" => line.and(" is worse than before: "),
        "reopened" => line.and(" is open again: "),
        _ => line.and(": "),
    };
    let line = line.and(incident.title.clone());
    let post = Post {
        channel: incident.channel.clone(),
        incident: None,
        message: Message::line(line).notify(whom(context.rules, &incident.pages)),
        is_page: true,
        expires_at: None,
    };
    outbox::post(context, post).await
}

/// Tells the timeline that people are paged.
pub(super) async fn tell_page(context: &mut Context<'_>, incident: &Incident, reason: &str) -> store::Result<()> {
    let event = Event::Paged { who: incident.pages.clone(), reason: reason.to_owned() };
    context.tell(incident.id, Draft::new(Actor::Bot, &event)).await?;
    Ok(())
}

/// Says something in the incident's thread.
pub(in crate::engine) async fn say(
    context: &mut Context<'_>,
    incident: &Incident,
    message: Message,
) -> store::Result<()> {
    let post = Post {
        channel: incident.channel.clone(),
        incident: Some(incident.id),
        message,
        is_page: false,
        expires_at: None,
    };
    outbox::post(context, post).await
}

/// Those behind `person:ada` and `role:on-call`, each once: the role itself, for a chat that knows it, and the people of
/// the configuration who have it.
pub fn whom(rules: &Rules, names: &[String]) -> Line {
    let mut found: Vec<Span> = Vec::new();
    for name in names {
        match name.split_once(':') {
            Some(("person", person)) => found.push(Span::Person(PersonId(person.to_owned()))),
            Some(("role", role)) => {
                found.push(Span::Role(role.to_owned()));
                let known = rules.people.known.iter().filter(|(_, roles)| roles.contains(role));
                found.extend(known.map(|(person, _)| Span::Person(person.clone())));
            }
            Some(_) | None => {}
        }
    }
    let mut line = Line::new();
    for span in found {
        if !line.0.contains(&span) {
            line = if line.is_empty() { line } else { line.and(" ") };
            line = line.with(span);
        }
    }
    line
}
