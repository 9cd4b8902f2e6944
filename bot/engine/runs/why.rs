//! `/why`: what was decided about an incident or a run, with the reason codes of the log.

use futures::future::BoxFuture;

use crate::{
    domain::{
        ids::RunId,
        runs::{Event, Reason},
        timeline::{Chain, Entry},
    },
    engine::{
        Refusal, Stop, View,
        chat::{Call, Line, Message, Reply},
        runs::commands::ago,
    },
    store::{runs, timeline},
};

/// The most entries that are shown.
const MOST: usize = 20;

pub(super) fn why<'a>(view: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let run: Option<RunId> = call.args.parsed("run")?;
        let (chain, about) = if let Some(id) = run {
            let run = runs::by_id(view.reader, id).await?;
            let run = run.ok_or_else(|| Refusal::new(format!("There is no run `{id}`")))?;
            (run.incident.map_or(Chain::System, Chain::Incident), id.to_string())
        } else {
            let incident = call.incident()?;
            (Chain::Incident(incident), incident.to_string())
        };
        let entries = timeline::entries(view.reader, chain).await?;
        let told: Vec<&Entry> = entries.iter().filter(|entry| explains(entry, run)).collect();
        if told.is_empty() {
            return Ok(Reply::private(Message::line(format!("Nothing was decided about {about} that needs a reason"))));
        }
        let mut message = Message::line(format!("What was decided about {about}"));
        for entry in told.iter().skip(told.len().saturating_sub(MOST)) {
            let line = Line::text(format!("{} ", entry.reference))
                .and(format!("{} ago: {} ", ago(entry.at, view.now), entry.draft.actor))
                .and(lowered(&entry.draft.text));
            let line = match code(entry) {
                Some(code) => line.and(" · ").code(code),
                None => line,
            };
            message = message.and(line);
        }
        if told.len() > MOST {
            message = message.and(format!("{} earlier ones are in the timeline", told.len() - MOST));
        }
        Ok(Reply::private(message))
    })
}

/// Whether an entry says why something was done, or not done.
fn explains(entry: &Entry, run: Option<RunId>) -> bool {
    match (entry.event::<Event>(), run) {
        (Some(event), Some(run)) => event.run() == Some(run) && decides(&event),
        (Some(event), None) => decides(&event),
        (None, Some(_)) => false,
        // Other features: whatever carries a reason.
        (None, None) => entry.draft.body.get("reason").is_some_and(|reason| !reason.is_null()),
    }
}

fn decides(event: &Event) -> bool {
    match event {
        Event::StepIntended { .. } | Event::StepDone { .. } => false,
        Event::RunTriggered { .. }
        | Event::RunAttached { .. }
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
        | Event::RunEnded { .. }
        | Event::HaltOrdered { .. }
        | Event::HaltLifted { .. } => true,
    }
}

/// The stable code of the decision, if it has one.
fn code(entry: &Entry) -> Option<String> {
    let reason = entry.draft.body.get("reason")?.as_str()?;
    let is_code = reason.parse::<Reason>().is_ok() || !reason.contains(' ');
    is_code.then(|| reason.to_owned())
}

fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
