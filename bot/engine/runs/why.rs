//! `/why`: what was decided about an incident or a run, with the reason codes of the log.

use futures::future::BoxFuture;
use serde_json::Value;

use crate::{
    domain::{
        ids::{IncidentId, RunId},
        runs::{Event, Reason},
        time::Time,
        timeline::{Chain, Entry},
    },
    engine::{
        Stop, View,
        chat::{Call, Line, Message, Reply},
        runs::commands::{ago, gone},
        silences::SILENCED,
    },
    store::{self, Reader, alerts, archives, incidents, runs, timeline},
};

/// The most entries that are shown.
const MOST: usize = 20;
/// The most entries of no incident among which those of a runbook are looked for.
const LOOKED_THROUGH: i64 = 5_000;

pub(super) fn why<'a>(view: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        if let Some(name) = call.args.text("alert") {
            return Ok(Reply::private(of_alert(view, name).await?));
        }
        if let Some(name) = call.args.text("runbook") {
            return Ok(Reply::private(of_runbook(view, name).await?));
        }
        let run: Option<RunId> = call.args.parsed("run")?;
        let (chain, about, since) = if let Some(id) = run {
            let run = runs::by_id(view.reader, id).await?;
            let Some(run) = run else { return Err(gone(view.reader, id).await?.into()) };
            (run.incident.map_or(Chain::System, Chain::Incident), id.to_string(), Some(run.started_at))
        } else {
            let incident = call.incident()?;
            (Chain::Incident(incident), incident.to_string(), None)
        };
        let entries = timeline::entries(view.reader, chain).await?;
        let told: Vec<&Entry> = entries.iter().filter(|entry| explains(entry, run)).collect();
        let others = match (since, chain) {
            (None, Chain::Incident(incident)) => ignored(view, incident).await?,
            (Some(since), _) => archived(view.reader, chain, since).await?.into_iter().collect(),
            (None, Chain::System) => Vec::new(),
        };
        if told.is_empty() && others.is_empty() {
            return Ok(Reply::private(Message::line(format!("Nothing was decided about {about} that needs a reason"))));
        }
        let mut message = Message::line(format!("What was decided about {about}"));
        for entry in told.iter().skip(told.len().saturating_sub(MOST)) {
            message = message.and(decision(entry, view.now));
        }
        if told.len() > MOST {
            message = message.and(format!("{} earlier ones are in the timeline", told.len() - MOST));
        }
        for line in others {
            message = message.and(line);
        }
        Ok(Reply::private(message))
    })
}

/// Where the entries of this chain are that have left since then, if any have.
async fn archived(reader: &mut Reader, chain: Chain, since: Time) -> store::Result<Option<Line>> {
    let last = archives::last(reader, chain).await?.filter(|last| last.ended_at >= since);
    Ok(last.map(|last| {
        Line::text("What was said until ")
            .and(last.ended_at.long())
            .and(" is archived: ")
            .code(format!("firewarden archive show {}", last.name))
            .and(" reads the newest of it, on the bot's machine")
    }))
}

/// An entry with its reason.
fn decision(entry: &Entry, now: Time) -> Line {
    let line = Line::text(format!("{} ", entry.reference))
        .and(format!("{} ago: {} ", ago(entry.at, now), entry.draft.actor))
        .and(entry.draft.text.as_str());
    match code(entry) {
        Some(code) => line.and(" · ").code(code),
        None => line,
    }
}

/// Why a runbook was not started where no incident tells of it: by the clock, a source, or from chat.
async fn of_runbook(view: &mut View<'_>, name: &str) -> crate::store::Result<Message> {
    let entries = timeline::newest(view.reader, Chain::System, LOOKED_THROUGH).await?;
    let is_refused =
        |entry: &&Entry| matches!(entry.event::<Event>(), Some(Event::RunRefused { runbook, .. }) if runbook == name);
    let refused: Vec<&Entry> = entries.iter().filter(is_refused).collect();
    if refused.is_empty() {
        let what = Line::text("Nothing kept ").code(name).and(" from being started, but for what the incidents tell");
        return Ok(Message::line(what));
    }
    let about = Message::line(Line::text("What kept ").code(name).and(" from being started"));
    let newest = refused.len().saturating_sub(MOST);
    Ok(refused[newest..].iter().fold(about, |message, entry| message.and(decision(entry, view.now))))
}

/// What was said of the alerts of this name that changed nothing, and why, whether they have an incident or not.
async fn of_alert(view: &mut View<'_>, name: &str) -> crate::store::Result<Message> {
    let limit = i64::try_from(MOST).unwrap_or(i64::MAX);
    let suppressions = alerts::suppressions_of(view.reader, name, limit).await?;
    if suppressions.is_empty() {
        return Ok(Message::line(Line::text("Nothing was ignored of alerts named ").code(name)));
    }
    let about = Line::text("What was ignored of alerts named ").code(name);
    let is_silenced = suppressions.iter().any(|suppression| suppression.reason == SILENCED);
    let message = suppressions
        .iter()
        .fold(Message::line(about), |message, suppression| message.and(explained(suppression, name, view.now)));
    Ok(if is_silenced { message.and("`/silence list` shows what is silenced, and by whom") } else { message })
}

/// What was said of the incident's alerts that changed nothing, and why.
async fn ignored(view: &mut View<'_>, incident: IncidentId) -> crate::store::Result<Vec<Line>> {
    let limit = i64::try_from(MOST).unwrap_or(i64::MAX);
    let members = incidents::alerts(view.reader, incident, limit).await?;
    let suppressions = alerts::suppressions(view.reader, members.iter().map(|member| &member.key)).await?;
    let newest = suppressions.len().saturating_sub(MOST);
    let lines = suppressions.into_iter().skip(newest).map(|suppression| {
        let member = members.iter().find(|member| member.key == suppression.alert);
        let name = member.map_or(suppression.alert.0.as_str(), |member| member.name.as_str());
        explained(&suppression, name, view.now)
    });
    Ok(lines.collect())
}

fn explained(suppression: &alerts::Suppression, name: &str, now: Time) -> Line {
    let times = if suppression.count == 1 { "once".to_owned() } else { format!("{} times", suppression.count) };
    Line::text("ignored ")
        .and(times)
        .and(format!(", last {} ago: ", ago(suppression.last_at, now)))
        .code(&suppression.source)
        .and(" of ")
        .code(name)
        .and(" · ")
        .code(&suppression.reason)
}

/// Whether an entry says why something was done, or not done.
fn explains(entry: &Entry, run: Option<RunId>) -> bool {
    match (entry.event::<Event>(), run) {
        (Some(event), Some(run)) => event.run() == Some(run) && decides(&event),
        (Some(event), None) => decides(&event),
        (None, Some(_)) => false,
        // Other features: whatever carries a reason.
        (None, None) => reason(entry).is_some(),
    }
}

fn decides(event: &Event) -> bool {
    match event {
        Event::StepIntended { .. } | Event::StepDone { .. } | Event::LanesBegun { .. } => false,
        Event::RunTriggered { .. }
        | Event::RunAttached { .. }
        | Event::RunQueued { .. }
        | Event::StepDelayed { .. }
        | Event::ApprovalWithdrawn { .. }
        | Event::RunRefused { .. }
        | Event::StepFailed { .. }
        | Event::StepSkipped { .. }
        | Event::StepObserved { .. }
        | Event::StepInDoubt { .. }
        | Event::StepProbed { .. }
        | Event::StepSettled { .. }
        | Event::ApprovalAsked { .. }
        | Event::ApprovalGiven { .. }
        | Event::ApprovalRejected { .. }
        | Event::ApprovalNotCounted { .. }
        | Event::ApprovalVoided { .. }
        | Event::ApprovalExpired { .. }
        | Event::QuestionAnswered { .. }
        | Event::RunHeld { .. }
        | Event::RunResumed { .. }
        | Event::UndoAsked { .. }
        | Event::CancelAsked { .. }
        | Event::ChildStarted { .. }
        | Event::PauseAsked { .. }
        | Event::RunPaused { .. }
        | Event::FailureMet { .. }
        | Event::RunEnded { .. }
        | Event::HaltOrdered { .. }
        | Event::HaltLifted { .. } => true,
    }
}

/// Why something was decided: a reason, how an alert was grouped, or what the doubts are.
fn reason(entry: &Entry) -> Option<Value> {
    let mut event: Value = serde_json::from_str(&entry.draft.body).ok()?;
    let fields = ["reason", "grouping", "doubts"].iter();
    fields.filter_map(|field| event.get_mut(field).map(Value::take)).find(|value| !value.is_null())
}

/// The stable code of the decision, if it has one.
fn code(entry: &Entry) -> Option<String> {
    // The difference is all that the entry itself says.
    if let Some(Event::ApprovalVoided { .. }) = entry.event::<Event>() {
        return Some(Reason::Drift.code().to_owned());
    }
    match reason(entry)? {
        Value::String(text) => {
            let is_code = text.parse::<Reason>().is_ok() || !text.contains(' ');
            is_code.then(|| text.clone())
        }
        Value::Array(codes) => Some(codes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
