//! Commands that look incidents up: list, show, timeline.

use futures::future::BoxFuture;

use super::cards;
use crate::{
    domain::{
        ids::IncidentId,
        incidents::{Incident, Measure, Phase},
        severity::Severity,
        timeline::{Chain, Entry},
    },
    engine::{
        Refusal, Stop, View,
        chat::{Call, File, Line, Message, Reply},
    },
    store::{self, Reader, archives, incidents, timeline},
};

/// How many incidents a list shows.
const LISTED: i64 = 20;
/// How many entries are shown unless more are asked for.
const ENTRIES: i64 = 15;

/// Lists incidents: the open ones, unless asked otherwise.
pub(super) fn list<'a>(view: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let phase: Option<Phase> = call.args.parsed("phase")?;
        let at_least: Option<Severity> = call.args.parsed("severity")?;
        let with_over = call.args.text("over") == Some("yes");
        let filter = incidents::Filter { phase, with_over, service: call.args.text("service"), at_least };
        let found = incidents::list(view.reader, filter, LISTED + 1).await?;
        let Some(first) = found.first() else {
            let what = if phase.is_some() || with_over { "There is no such incident" } else { "No incident is open" };
            return Ok(Reply::private(Message::line(what)));
        };
        let shown = found.iter().take(usize::try_from(LISTED).unwrap_or(usize::MAX));
        let mut message = Message::default();
        for incident in shown {
            message = message.and(summary(incident));
        }
        if i64::try_from(found.len()).unwrap_or(i64::MAX) > LISTED {
            let newest = format!("These are the newest {LISTED}, from {}; narrow it with `phase`, ", first.id);
            message = message.and(Line::text(newest).and("`service` or `severity`"));
        }
        Ok(Reply::private(message))
    })
}

/// Shows the card of an incident with its measures.
pub(super) fn show<'a>(view: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let incident = known(view, call.incident()?).await?;
        let mut card = cards::card(view, &incident).await?;
        for measure in incident.milestones.measures() {
            card = card.fact(measure.name, measured(&measure));
        }
        let merged = incidents::merged_into(view.reader, incident.id).await?;
        if !merged.is_empty() {
            let line = merged.iter().fold(Line::text("Merged into it:"), |line, id| line.and(" ").incident(*id));
            card = card.block(line);
        }
        Ok(Reply::private(Message::card(card)))
    })
}

/// Prints the newest entries of an incident's timeline, and gives all of it as a file if there are more.
pub(super) fn timeline<'a>(view: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let incident = known(view, call.incident()?).await?;
        let entries = timeline::entries(view.reader, Chain::Incident(incident.id)).await?;
        let most = usize::try_from(call.args.integer("last").unwrap_or(ENTRIES)).unwrap_or(usize::MAX);
        let left_out = entries.len().saturating_sub(most);
        let mut message = Message::default();
        if left_out > 0 {
            let text = entries.iter().map(written).collect::<Vec<_>>().join("\n");
            message.files.push(File { name: format!("{}-timeline.txt", incident.id), text });
            message = message.and(format!("The newest {most} of {} entries; the file has all", entries.len()));
        }
        for entry in &entries[left_out..] {
            message = message.and(printed(entry));
        }
        Ok(Reply::private(message))
    })
}

async fn known(view: &mut View<'_>, id: IncidentId) -> Result<Incident, Stop> {
    let found = incidents::by_id(view.reader, id).await?;
    match found {
        Some(incident) => Ok(incident),
        None => Err(unknown(view.reader, id).await?.into()),
    }
}

/// What is said of an incident that is not there: perhaps it is in a file by now.
pub(in crate::engine) async fn unknown(reader: &mut Reader, id: IncidentId) -> store::Result<Refusal> {
    if let Some(archived) = archives::of(reader, id).await? {
        let what = format!("`{id}` ({}) is archived in `{}`", archived.title, archived.file);
        return Ok(Refusal::new(what).hint(format!("`firewarden archive show {id}` reads it, on the bot's machine")));
    }
    Ok(Refusal::new(format!("There is no incident `{id}`")).hint("`/incident list` shows those that are open"))
}

fn summary(incident: &Incident) -> Line {
    let mut line = Line::new()
        .incident(incident.id)
        .and(" ")
        .strong(incident.severity.to_string())
        .and(format!(" {}: ", incident.phase))
        .and(incident.title.clone());
    if let Some(service) = &incident.service {
        line = line.and(" on ").code(service);
    }
    match incident.lead() {
        Some(person) => line.and(format!(", led by {person}")),
        None if incident.phase.is_open() => line.and(", nobody leads"),
        None => line,
    }
}

fn measured(measure: &Measure) -> Line {
    Line::text(measure.words()).and(format!(" ({} = {})", measure.meaning, measure.formula))
}

fn printed(entry: &Entry) -> Line {
    let line = Line::new().code(entry.reference.to_string()).and(" ").time(entry.at);
    let mut line = line.and(format!(" {}: ", entry.draft.actor));
    // The sentences of the log set values apart with backticks; each chat has its own way to show that.
    for (index, part) in entry.draft.text.split('`').enumerate().filter(|(_, part)| !part.is_empty()) {
        line = if index % 2 == 0 { line.and(part) } else { line.code(part) };
    }
    line
}

fn written(entry: &Entry) -> String {
    let source = entry.draft.source_at.filter(|at| *at != entry.at);
    let source = source.map_or_else(String::new, |at| format!(" (by its source: {})", at.long()));
    format!("{} {}{source} {}: {}", entry.reference, entry.at.long(), entry.draft.actor, entry.draft.text)
}
