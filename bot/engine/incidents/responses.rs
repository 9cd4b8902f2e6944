//! Commands by which people change incidents: declare, take, rate, give roles, note, correct, decline, merge.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

use super::{
    acts,
    commands::{must_be_open, must_not_be_merged, subject},
    decide::{add_new, monitor},
    looks::unknown,
};
use crate::{
    domain::{
        alerts::Labels,
        ids::IncidentId,
        incidents::{Event, Incident, Mark, Milestone, Milestones, Origin, Phase, Role},
        people::{Actor, PersonId},
        routes,
        severity::Severity,
        time::Time,
        timeline::Draft,
    },
    engine::{
        Context, Refusal, Stop,
        chat::{Call, Line, Message, Reply},
    },
    store::{incidents, timers},
};

/// How bad an incident is about which nobody said it.
const UNSAID: Severity = Severity::Sev3;

/// Declares an incident.
pub(super) fn declare<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let severity = call.args.parsed("severity")?.unwrap_or(UNSAID);
        let started = call.args.time("started");
        if let Some(at) = started {
            must_be_past(context, "started", at)?;
        }
        let person = call.caller.id.clone();
        let mut incident = declared(context, call, severity)?;
        incident.id = incidents::open_new(context.tx, &incident).await?;
        acts::moved(context, incident.id).await?;
        let event = Event::IncidentDeclared {
            title: incident.title.clone(),
            severity,
            service: incident.service.clone(),
            environment: incident.environment.clone(),
            started,
        };
        let actor = Actor::Person(person.clone());
        let entry = context.tell(incident.id, Draft::new(actor.clone(), &event)).await?;
        let now = context.now;
        let times = [(Milestone::Started, started), (Milestone::Detected, Some(now)), (Milestone::Declared, Some(now))];
        for (milestone, at) in times.into_iter().filter_map(|(milestone, at)| Some((milestone, at?))) {
            incident.milestones.set(milestone, Mark::new(at, actor.clone(), now, entry));
        }
        let is_page = !incident.pages.is_empty();
        if is_page {
            acts::tell_page(context, &incident, "opened").await?;
        }
        timers::set(context.tx, acts::OPENED, &incident.id.to_string(), now).await?;
        acts::keep(context, &incident, is_page).await?;
        let line = Line::new().person(&person).and(" declared ").incident(incident.id).and(": ");
        Ok(Reply::public(Message::line(line.strong(severity.to_string()).and(" ").and(incident.title.clone()))))
    })
}

/// A new incident as somebody declares it: channel, pages and runbooks are those that an alert of the service would get.
fn declared(context: &Context<'_>, call: &Call, severity: Severity) -> Result<Incident, Refusal> {
    let service = call.args.text("service").map(str::to_owned);
    let environment = call.args.text("environment").map(str::to_owned);
    let named = [("service", &service), ("environment", &environment), ("env", &environment)];
    let labels: Labels = named.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let decision = routes::choose(&context.rules.routes, &context.rules.default_route, &labels);
    Ok(Incident {
        id: IncidentId(0),
        title: call.args.required("title")?.to_owned(),
        summary: String::new(),
        severity,
        peak_severity: severity,
        phase: Phase::Triage,
        phase_since: context.now,
        prior_phase: None,
        service,
        environment,
        route: None,
        group: None,
        channel: decision.channel.unwrap_or_else(|| context.rules.default_channel.clone()),
        runbooks: decision.runbooks,
        pages: decision.page,
        origin: Origin::Person(call.caller.id.clone()),
        opened_at: context.now,
        last_fired_at: None,
        truncated: 0,
        roles: BTreeMap::new(),
        milestones: Milestones::default(),
        earlier: Vec::new(),
        merged_into: None,
        asked_at: None,
        open_runs: 0,
    })
}

/// Takes an incident: the first person acknowledges it, leads unless somebody does, and starts investigating.
pub(super) fn acknowledge<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let mut incident = subject(context, call).await?;
        must_be_open(&incident, "acknowledge")?;
        let person = &call.caller.id;
        let actor = Actor::Person(person.clone());
        let first = incident.milestones.mark(Milestone::Acknowledged).map(|mark| (mark.set_by.clone(), mark.value));
        if let Some((by, at)) = first {
            let line = Line::new().incident(incident.id).and(" was acknowledged by ");
            let line = by.person().map_or(line.clone(), |person| line.person(person)).and(" at ").time(at);
            if by.person() == Some(person) {
                return Ok(Reply::private(Message::line(line)));
            }
            context.tell(incident.id, Draft::new(actor, &Event::Joined {})).await?;
            return Ok(Reply::public(Message::line(line).and(Line::new().person(person).and(" joined"))));
        }
        acts::join(context, &mut incident, person).await?;
        if incident.lead().is_none() {
            assign(context, &mut incident, &actor, Role::Lead, person).await?;
        }
        if incident.phase == Phase::Triage {
            acts::move_to(context, &mut incident, Phase::Investigating, &actor, Some("acknowledged")).await?;
        }
        acts::keep(context, &incident, false).await?;
        let line = Line::new().person(person).and(" acknowledged ").incident(incident.id);
        Ok(Reply::public(Message::line(line)))
    })
}

/// Says how bad it is.
pub(super) fn rate<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let mut incident = subject(context, call).await?;
        must_not_be_merged(&incident, "rate")?;
        let to: Severity = required(call, "severity")?;
        let from = incident.severity;
        if to == from {
            return Err(Refusal::new(format!("Cannot rate `{}`: it is `{to}` already", incident.id)).into());
        }
        let actor = Actor::Person(call.caller.id.clone());
        acts::rate(context, &mut incident, to, &actor, call.args.text("reason")).await?;
        if to.is_higher_than(from) && incident.phase.is_open() {
            acts::page(context, &incident, "severity_raised").await?;
        }
        acts::keep(context, &incident, false).await?;
        let line = Line::new().person(&call.caller.id).and(" changed ").incident(incident.id).and(" from ");
        let line = line.code(from.to_string()).and(" to ").code(to.to_string());
        Ok(Reply::public(Message::line(line)))
    })
}

/// Gives a role to somebody.
pub(super) fn give_role<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let mut incident = subject(context, call).await?;
        must_not_be_merged(&incident, "give a role in")?;
        let role: Role = required(call, "role")?;
        let caller = &call.caller.id;
        let person = match call.args.text("person") {
            Some(name) => context.rules.people.behind(name.trim_start_matches('@'), []).id,
            None => caller.clone(),
        };
        if incident.roles.get(&role) == Some(&person) {
            let what = format!("Cannot give the role `{role}` in `{}`: `{person}` has it already", incident.id);
            return Err(Refusal::new(what).into());
        }
        let actor = Actor::Person(caller.clone());
        assign(context, &mut incident, &actor, role, &person).await?;
        if person == *caller && incident.phase.is_open() {
            acts::join(context, &mut incident, caller).await?;
        }
        acts::keep(context, &incident, false).await?;
        let line = Line::new().person(&person).and(" has the role ").code(role.word()).and(" in ");
        Ok(Reply::public(Message::line(line.incident(incident.id))))
    })
}

/// Writes something down.
pub(super) fn note<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let incident = subject(context, call).await?;
        let text = call.args.required("text")?.to_owned();
        let actor = Actor::Person(call.caller.id.clone());
        let entry = context.tell(incident.id, Draft::new(actor, &Event::Noted { text: text.clone() })).await?;
        let line = Line::new().person(&call.caller.id).and(" noted in ").code(entry.to_string()).and(": ").and(text);
        Ok(Reply::public(Message::line(line)))
    })
}

/// Corrects a key time.
pub(super) fn correct<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let mut incident = subject(context, call).await?;
        must_not_be_merged(&incident, "correct")?;
        let milestone: Milestone = required(call, "milestone")?;
        let at: Time = required(call, "at")?;
        must_be_past(context, milestone.word(), at)?;
        let cannot = |why: String| Refusal::new(format!("Cannot set `{milestone}` of `{}`: {why}", incident.id));
        let bound = incident.milestones.latest_start().filter(|_| milestone == Milestone::Started);
        if let Some(bound) = bound.filter(|bound| at > *bound) {
            let why = format!("an alert says it began no later than `{}`", bound.long());
            return Err(cannot(why).hint("name an earlier time").into());
        }
        if let Some((other, other_at)) = incident.milestones.conflict(milestone, at) {
            return Err(cannot(format!("`{other}` is `{}`", other_at.long()))
                .hint("nothing is before the start")
                .into());
        }
        if incident.milestones.at(milestone) == Some(at) {
            return Err(cannot(format!("it is `{}` already", at.long())).into());
        }
        let actor = Actor::Person(call.caller.id.clone());
        let before = incident.milestones.at(milestone);
        let event =
            Event::MilestoneSet { milestone, value: at, from: None, replaced: before, confirmed: Some(context.now) };
        let entry = context.tell(incident.id, Draft::new(actor.clone(), &event)).await?;
        incident.milestones.set(milestone, Mark::new(at, actor, context.now, entry).confirmed(context.now));
        acts::keep(context, &incident, false).await?;
        let line = Line::new().person(&call.caller.id).and(" set ").code(milestone.word()).and(" of ");
        let line = line.incident(incident.id).and(" to ").time(at);
        let line = before.map_or(line.clone(), |before| line.and(", replacing ").time(before));
        Ok(Reply::public(Message::line(line)))
    })
}

/// Says that it is no incident; its alerts stay quiet until they resolve.
pub(super) fn decline<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let mut incident = subject(context, call).await?;
        must_be_open(&incident, "decline")?;
        let reason = call.args.required("reason")?.to_owned();
        let actor = Actor::Person(call.caller.id.clone());
        acts::join(context, &mut incident, &call.caller.id).await?;
        let quiet = incidents::keep_quiet(context.tx, incident.id).await?;
        let event = Event::IncidentDeclined { reason: reason.clone(), quiet };
        context.tell(incident.id, Draft::new(actor.clone(), &event)).await?;
        acts::move_to(context, &mut incident, Phase::Declined, &actor, Some("declined")).await?;
        acts::keep(context, &incident, false).await?;
        let line = Line::new().person(&call.caller.id).and(" declined ").incident(incident.id).and(": ").and(reason);
        let told = match quiet {
            0 => Message::line(line),
            1 => Message::line(line).and("Its alert stays quiet until it resolves"),
            count => Message::line(line).and(format!("Its {count} alerts stay quiet until they resolve")),
        };
        Ok(Reply::public(told))
    })
}

/// Lets an incident go on in another one.
pub(super) fn merge<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let mut incident = subject(context, call).await?;
        must_not_be_merged(&incident, "merge")?;
        let id: IncidentId = required(call, "into")?;
        let found = incidents::by_id(context.tx, id).await?;
        let Some(mut target) = found else { return Err(unknown(context.tx, id).await?.into()) };
        if target.id == incident.id {
            return Err(Refusal::new(format!("Cannot merge `{id}` into itself")).hint("name another incident").into());
        }
        must_be_open(&target, "merge into")?;
        let actor = Actor::Person(call.caller.id.clone());
        join_into(context, &mut incident, &mut target, &actor).await?;
        let line = Line::new().person(&call.caller.id).and(" merged ").incident(incident.id).and(" into ");
        Ok(Reply::public(Message::line(line.incident(target.id))))
    })
}

async fn join_into(
    context: &mut Context<'_>,
    incident: &mut Incident,
    target: &mut Incident,
    actor: &Actor,
) -> crate::store::Result<()> {
    let alerts = incidents::move_alerts(context.tx, incident.id, target.id).await?;
    incidents::move_runs(context.tx, incident.id, target.id).await?;
    let from = Event::MergedFrom { from: incident.id, alerts };
    context.tell(target.id, Draft::new(actor.clone(), &from)).await?;
    context.tell(incident.id, Draft::new(actor.clone(), &Event::MergedInto { into: target.id })).await?;
    for milestone in [Milestone::Started, Milestone::Detected] {
        let Some(mark) = incident.milestones.mark(milestone).cloned() else { continue };
        if target.milestones.at(milestone).is_none_or(|known| mark.value < known) {
            acts::set(context, target, milestone, mark).await?;
        }
    }
    target.truncated += incident.truncated;
    target.last_fired_at = target.last_fired_at.max(incident.last_fired_at);
    if incident.severity.is_higher_than(target.severity) {
        let reason = format!("`{}` was merged into it", incident.id);
        acts::rate(context, target, incident.severity, actor, Some(&reason)).await?;
        acts::page(context, target, "severity_raised").await?;
    }
    target.peak_severity = target.peak_severity.max(incident.peak_severity);
    acts::move_to(context, incident, Phase::Merged, actor, Some("merged")).await?;
    incident.merged_into = Some(target.id);
    add_new(&mut target.runbooks, &incident.runbooks);
    add_new(&mut target.pages, &incident.pages);
    let counts = incidents::counts(context.tx, target.id).await?;
    if counts.firing > 0 {
        timers::clear(context.tx, acts::QUIET, &target.id.to_string()).await?;
        if target.phase == Phase::Monitoring {
            let back = target.returns_to();
            acts::move_to(context, target, back, actor, Some("merged_one_fires")).await?;
        }
    } else if alerts > 0 {
        if counts.are_cleared() {
            monitor(context, target).await?;
        }
        let at = context.now + context.rules.incidents.quiet;
        timers::set(context.tx, acts::QUIET, &target.id.to_string(), at).await?;
    }
    acts::keep(context, incident, false).await?;
    acts::keep(context, target, false).await
}

async fn assign(
    context: &mut Context<'_>,
    incident: &mut Incident,
    actor: &Actor,
    role: Role,
    person: &PersonId,
) -> crate::store::Result<()> {
    let before = incident.roles.insert(role, person.clone());
    let event = Event::RoleTaken { role, person: person.clone(), before };
    context.tell(incident.id, Draft::new(actor.clone(), &event)).await?;
    Ok(())
}

fn must_be_past(context: &Context<'_>, what: &str, at: Time) -> Result<(), Refusal> {
    if at <= context.now {
        return Ok(());
    }
    let refused = Refusal::new(format!("Cannot set `{what}` to `{}`: that is in the future", at.long()));
    Err(refused.hint(format!("it is `{}`", context.now.long())))
}

fn required<T: std::str::FromStr<Err: std::fmt::Display>>(call: &Call, name: &str) -> Result<T, Refusal> {
    call.args.required(name)?.parse().map_err(|error: T::Err| Refusal::new(error.to_string()))
}
