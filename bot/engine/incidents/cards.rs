//! The card of an incident: how it stands, what waits, and the buttons that make sense there.
//!
//! A storm changes this card, however many alerts it has, and sends no message of its own.

use futures::future::BoxFuture;

use super::acts;
use crate::{
    domain::{
        alerts::AlertState,
        incidents::{Counts, Doubt, Incident, Milestone, Phase, Role},
        routes::route::DEFAULT,
        traces::{self, Trace},
    },
    engine::{
        View,
        chat::{Button, Card, Line, Shortcut, Span, Style, Subject, Tone},
    },
    store::{self, incidents},
};

/// How many names of alerts the card shows.
const NAMES: i64 = 8;

/// The newest card of an incident.
pub(super) fn render<'a>(view: &'a mut View<'_>, subject: &'a Subject) -> BoxFuture<'a, store::Result<Option<Card>>> {
    Box::pin(async move {
        let Subject::Incident(id) = subject else { return Ok(None) };
        match incidents::by_id(view.reader, *id).await? {
            Some(incident) => {
                let card = card(view, &incident).await?;
                // Once somebody has taken it, nobody need be called for it any more.
                let is_taken = incident.milestones.at(Milestone::Acknowledged).is_some();
                let calls = incident.phase.is_open() && !is_taken;
                let whom = if calls { acts::whom(view.rules, &incident.pages) } else { Line::new() };
                Ok(Some(card.notify(whom)))
            }
            None => Ok(None),
        }
    })
}

/// The card of this incident.
pub(super) async fn card(view: &mut View<'_>, incident: &Incident) -> store::Result<Card> {
    let counts = incidents::counts(view.reader, incident.id).await?;
    let names = incidents::names(view.reader, incident.id, NAMES).await?;
    let is_flapping = incidents::is_flapping(view.reader, incident.id).await?;
    let title = Line::text(format!("{} {} ", incident.id, incident.severity)).strong(incident.title.clone());
    let mut card = Card::new(tone(incident), title)
        .fact("Severity", severity(incident))
        .fact("Phase", Line::new().code(incident.phase.word()).and(" since ").time(incident.phase_since));
    if let Some(place) = place(incident) {
        card = card.fact("Service", place);
    }
    if counts.all() > 0 {
        card = card.fact("Alerts", alerts(incident, counts));
    }
    for role in Role::ALL {
        match incident.roles.get(&role) {
            Some(person) => card = card.fact(capital(role.word()), Line::new().person(person)),
            None if role == Role::Lead && incident.phase.is_open() => card = card.fact("Lead", "nobody yet"),
            None => {}
        }
    }
    for milestone in Milestone::ALL {
        if milestone != Milestone::Declared
            && let Some(mark) = incident.milestones.mark(milestone)
        {
            let bound = if mark.is_bound() { "no later than " } else { "" };
            card = card.fact(capital(milestone.word()), Line::text(bound).time(mark.value));
        }
    }
    if incident.open_runs > 0 {
        card = card.fact("Open runs", incident.open_runs.to_string());
    }
    if let Some(viewer) = &view.rules.viewer {
        let instance = store::runs::instance(view.reader).await?;
        let trace = Trace::of(&instance, traces::Subject::Incident(incident.id)).id;
        let link = Span::Link { text: "alert to effect".to_owned(), url: viewer.url(trace) };
        card = card.fact("Trace", Line::new().with(link));
    }
    if let Some(waits) = waits(incident, counts) {
        card = card.fact("Waits", waits);
    }
    if !incident.summary.is_empty() {
        card = card.block(incident.summary.clone());
    }
    if !names.is_empty() {
        card = card.block(listed(&names));
    }
    for line in remarks(view, incident, is_flapping) {
        card = card.block(line);
    }
    Ok(card.row(buttons(incident)))
}

/// What is asked when an incident is quiet and may not be resolved without a person.
pub(super) fn question(incident: &Incident, counts: Counts, doubts: &[Doubt]) -> Card {
    let mut card = Card::new(Tone::Urgent, Line::text("Is it over? ").incident(incident.id))
        .block(Line::text(incident.title.clone()))
        .fact("Alerts", alerts(incident, counts));
    for doubt in doubts {
        card = card.fact("Not resolved by itself", Line::text(doubt.to_string()));
    }
    card.row(vec![
        Button::new("Resolve", Shortcut::new("resolve", &[&incident.id])).style(Style::Main),
        Button::new("Timeline", Shortcut::new("timeline", &[&incident.id])),
        Button::new("Note", Shortcut::new("note", &[&incident.id])),
    ])
}

/// What is said when an incident has ended.
pub(super) fn ended(incident: &Incident) -> Line {
    let line = Line::new().incident(incident.id).and(" is ").code(incident.phase.word());
    match incident.milestones.at(Milestone::Resolved) {
        Some(at) => line.and(": it was over at ").time(at),
        None => line,
    }
}

fn tone(incident: &Incident) -> Tone {
    match incident.phase {
        Phase::Triage => Tone::Urgent,
        _ if incident.asked_at.is_some() => Tone::Urgent,
        Phase::Investigating | Phase::Mitigating | Phase::Monitoring => Tone::Active,
        Phase::Resolved | Phase::Closed => Tone::Good,
        Phase::Declined | Phase::Merged => Tone::Calm,
    }
}

fn severity(incident: &Incident) -> Line {
    let line = Line::new().code(incident.severity.to_string());
    if incident.peak_severity == incident.severity {
        line
    } else {
        line.and(", at its worst ").code(incident.peak_severity.to_string())
    }
}

fn place(incident: &Incident) -> Option<Line> {
    match (&incident.service, &incident.environment) {
        (Some(service), Some(environment)) => Some(Line::new().code(service).and(" in ").code(environment)),
        (Some(service), None) => Some(Line::new().code(service)),
        (None, Some(environment)) => Some(Line::text("unknown, in ").code(environment)),
        (None, None) => None,
    }
}

/// `2 firing, 1 silent, 3 resolved`, and how many were left out.
pub(super) fn alerts(incident: &Incident, counts: Counts) -> Line {
    let counted = [(counts.firing, "firing"), (counts.stale, "silent"), (counts.resolved, "resolved")];
    let parts: Vec<String> =
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let line = Line::text(if parts.is_empty() { "none".to_owned() } else { parts.join(", ") });
    match incident.truncated {
        0 => line,
        count => line.and(format!(", {count} more left out by the source")),
    }
}

fn listed(names: &[(String, AlertState, i64)]) -> Line {
    let mut line = Line::new();
    for (index, (name, state, count)) in names.iter().enumerate() {
        let state = if *state == AlertState::Stale { "silent" } else { state.word() };
        line = line.and(if index == 0 { "" } else { ", " }).code(name).and(format!(" {state}"));
        if *count > 1 {
            line = line.and(format!(" ×{count}"));
        }
    }
    line
}

fn remarks(view: &View<'_>, incident: &Incident, is_flapping: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    if is_flapping {
        lines.push(Line::text("An alert changes too often for automation to act on it"));
    }
    if incident.route.as_deref() == Some(DEFAULT) {
        lines.push(Line::text("No route took its first alert, so the default route did"));
    }
    if let Some(into) = incident.merged_into {
        lines.push(Line::text("It goes on in ").incident(into));
    }
    if let Some(earlier) = incident.earlier.last() {
        lines.push(Line::text("Earlier of the same group: ").incident(*earlier));
    }
    let mut paged = Line::text("Paged: ");
    let whom = acts::whom(view.rules, &incident.pages);
    if incident.phase == Phase::Triage && !whom.is_empty() {
        paged.0.extend(whom.0);
        lines.push(paged);
    }
    lines
}

fn waits(incident: &Incident, counts: Counts) -> Option<Line> {
    if !incident.phase.is_open() {
        return None;
    }
    if incident.asked_at.is_some() {
        return Some(Line::text("for a person to say whether it is over"));
    }
    if incident.milestones.at(Milestone::Acknowledged).is_none() {
        return Some(Line::text("for somebody to acknowledge it"));
    }
    if incident.phase == Phase::Monitoring && counts.are_cleared() {
        return Some(Line::text("for quiet"));
    }
    None
}

fn buttons(incident: &Incident) -> Vec<Button> {
    let id = incident.id;
    let acknowledge = Button::new("Acknowledge", Shortcut::new("ack", &[&id])).style(Style::Main);
    let resolve = Button::new("Resolve", Shortcut::new("resolve", &[&id]));
    let note = Button::new("Note", Shortcut::new("note", &[&id]));
    let runbooks = Button::new("Runbooks", Shortcut::new("runbooks", &[&id]));
    let timeline = Button::new("Timeline", Shortcut::new("timeline", &[&id]));
    let review = Button::new("Draft review", Shortcut::new("draft", &[&id]));
    match incident.phase {
        Phase::Triage | Phase::Investigating | Phase::Mitigating | Phase::Monitoring => {
            let is_taken = incident.milestones.at(Milestone::Acknowledged).is_some();
            let first = if is_taken { None } else { Some(acknowledge) };
            let resolve = if incident.phase == Phase::Monitoring { resolve.style(Style::Main) } else { resolve };
            first.into_iter().chain([resolve, note, runbooks, timeline]).collect()
        }
        Phase::Resolved | Phase::Closed => vec![review.style(Style::Main), note, timeline],
        Phase::Declined | Phase::Merged => vec![timeline],
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
