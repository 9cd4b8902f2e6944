//! The cards of runs and of the questions that they put.

use futures::future::BoxFuture;

use crate::{
    domain::{
        duration,
        incidents::Incident,
        runbooks::plan::named,
        runs::{
            Approval, ApprovalState, Journal, Pass, Reason, Run, RunState, StepRecord, StepState, Verdict,
            approvals::{Asks, shown},
        },
        time::Time,
    },
    engine::{
        View,
        chat::{Button, Card, Line, Shortcut, Style, Subject, Tone, shortcut},
        incidents::acts,
        runs::{Settings, lanes, settle},
    },
    store::{self, approvals, incidents, runs, steps},
};

/// How many buttons stand in a row, how many rows there are, and how long a label can be where it is shortest.
const ROW: usize = 5;
const ROWS: usize = 5;
const LABEL: usize = 80;
/// How much of a choice's text a button carries, as it is written there.
const CARRIED: usize = 48;

/// The card of a run as it stands.
pub(super) fn run<'a>(view: &'a mut View<'_>, subject: &'a Subject) -> BoxFuture<'a, store::Result<Option<Card>>> {
    Box::pin(async move {
        let Subject::Run(id) = subject else { return Ok(None) };
        let Some(run) = runs::by_id(view.reader, *id).await? else { return Ok(None) };
        let journal = steps::journal(view.reader, *id).await?;
        Ok(Some(of_run(&run, &journal, view.now)))
    })
}

/// The card of a question as it stands.
pub(super) fn approval<'a>(view: &'a mut View<'_>, subject: &'a Subject) -> BoxFuture<'a, store::Result<Option<Card>>> {
    Box::pin(async move {
        let Subject::Approval(id) = subject else { return Ok(None) };
        let Some(approval) = approvals::by_id(view.reader, *id).await? else { return Ok(None) };
        let Some(run) = runs::by_id(view.reader, approval.run).await? else { return Ok(None) };
        // Nobody is asked what has been answered, or can no longer be.
        let is_over = approval.state != ApprovalState::Open || approval.expires_at <= view.now;
        let by: Vec<String> = approval.by.iter().map(ToString::to_string).collect();
        let asked = acts::whom(view.rules, &by);
        let asked = if asked.is_empty() { whom(view, &run).await? } else { asked };
        Ok(Some(of_approval(&approval, &run).too_late(is_over).notify(asked)))
    })
}

/// Whom a page about the run is for: those whom its incident pages, who leads it, and who asked for the run; those of the
/// default route if there is nobody else.
pub(super) async fn whom(view: &mut View<'_>, run: &Run) -> store::Result<Line> {
    let incident = match run.incident {
        Some(id) => incidents::by_id(view.reader, id).await?,
        None => None,
    };
    let people = incident.as_ref().and_then(|incident| incident.lead()).into_iter().chain(run.requested_by.person());
    let people: Vec<String> = people.map(|person| format!("person:{person}")).collect();
    let names: Vec<String> = incident.iter().flat_map(|incident| incident.pages.clone()).chain(people).collect();
    let names = if names.is_empty() { &view.rules.default_route.page } else { &names };
    Ok(acts::whom(view.rules, names))
}

/// What a run looks like.
pub(super) fn of_run(run: &Run, journal: &Journal, now: Time) -> Card {
    let tone = match run.state {
        RunState::Held | RunState::InDoubt | RunState::Stuck | RunState::Failed => Tone::Urgent,
        RunState::Running | RunState::Queued | RunState::Waiting | RunState::Approval => Tone::Active,
        RunState::Done | RunState::Undone => Tone::Good,
        RunState::Cancelled | RunState::Refused | RunState::Observed | RunState::Released | RunState::Paused => {
            Tone::Calm
        }
    };
    let title = Line::text(format!("{} · ", run.id)).code(&run.plan.name).and(" on ").code(run.target.to_string());
    let is_going_back = run.pass == Pass::Undo && !run.state.is_over();
    let state = if is_going_back { format!("{}, undoing", run.state) } else { run.state.to_string() };
    let mut card = Card::new(tone, title).fact("State", state).fact("Mode", run.mode.word());
    if let Some(incident) = run.incident {
        card = card.fact("Incident", Line::new().incident(incident));
    }
    card = card.fact(
        "Started",
        match run.requested_by.person() {
            Some(person) => Line::new().time(run.started_at).and(" by ").person(person),
            None => Line::new().time(run.started_at).and(format!(" by {}", run.requested_by)),
        },
    );
    if let Some(parent) = &run.parent {
        card = card.fact("Started by", parent.run.to_string());
    }
    if let Some(hold) = &run.hold {
        card = card.fact("Why", because(hold.reason, &hold.detail));
    }
    if let Some(reason) = run.reason.filter(|reason| *reason != Reason::Completed) {
        card = card.fact("Reason", because(reason, ""));
    }
    let standing = journal.standing(&run.plan);
    if run.state == RunState::Undone && !standing.is_empty() {
        card = card.fact("Still stands", Line::new().code(standing.join(", ")));
    }
    for (place, step) in lanes::shown(run, journal) {
        let done = journal.last(&place, Pass::Do);
        let undone = journal.last(&place, Pass::Undo);
        let how = if step.group.is_some() { lanes::progress(&place, journal) } else { progress(done, undone, now) };
        card = card.block(Line::text(format!("{place}. ")).code(&step.name).and(format!(" – {how}")));
    }
    if run.state.needs_people() {
        for record in journal.0.iter().filter(|record| record.key.pass == Pass::Do && !record.before.is_null()) {
            if let Some(values) = record.before.get("values").filter(|_| record.verdict != Some(Verdict::Absent)) {
                let step = run.plan.step(&record.key.path);
                let name = step.map(|step| named(&step.name, &record.key.path)).unwrap_or_default();
                card = card.block(Line::text("Before ").code(name).and(": ").code(shown(values)));
            }
        }
    }
    card.row(buttons(run, journal))
}

fn because(reason: Reason, detail: &str) -> Line {
    let line = Line::new().code(reason.code()).and(format!(" – {}", reason.words()));
    if detail.is_empty() { line } else { line.and(": ").code(detail) }
}

fn progress(done: Option<&StepRecord>, undone: Option<&StepRecord>, now: Time) -> String {
    if let Some(undone) = undone {
        return match undone.state {
            StepState::Done => "undone".to_owned(),
            StepState::Intent => "being undone".to_owned(),
            StepState::Failed => "could not be undone".to_owned(),
            StepState::Skipped => "not undone".to_owned(),
            StepState::InDoubt => "undoing it is in doubt".to_owned(),
        };
    }
    let Some(record) = done else { return "not begun".to_owned() };
    match record.state {
        StepState::Done => {
            let took = record.last_moment().since(record.started);
            format!("done in {}", duration::human(took))
        }
        StepState::Intent if record.question.is_some() => "waits for an answer".to_owned(),
        StepState::Intent if record.due_at.is_some() => {
            let left = record.due_at.map(|due| due.since(now)).unwrap_or_default();
            format!("waits, {} left", duration::human(left))
        }
        StepState::Intent => "in flight".to_owned(),
        StepState::Failed if record.verdict == Some(Verdict::NotYet) => {
            let progress = record.output.get("progress").and_then(serde_json::Value::as_str);
            progress.map_or_else(|| "not yet".to_owned(), |progress| format!("not yet: {progress}"))
        }
        StepState::Failed if record.verdict == Some(Verdict::Skip) => {
            format!("left out after it failed: {}", record.error.as_deref().unwrap_or("unknown"))
        }
        StepState::Failed => format!("failed: {}", record.error.as_deref().unwrap_or("unknown")),
        StepState::Skipped => "skipped".to_owned(),
        StepState::InDoubt => "in doubt".to_owned(),
    }
}

fn buttons(run: &Run, journal: &Journal) -> Vec<Button> {
    let is_undoable = journal.undoable(&run.plan).next().is_some();
    let choices = settle::answers(run.state, run.hold.as_ref(), is_undoable);
    let mut buttons: Vec<Button> = choices.into_iter().filter_map(|choice| button(run, choice)).collect();
    if matches!(run.state, RunState::Running | RunState::Queued | RunState::Waiting | RunState::Approval) {
        buttons.push(Button::new("Cancel", Shortcut::new("cancel", &[&run.id])).style(Style::Danger));
    }
    buttons
}

fn button(run: &Run, choice: &str) -> Option<Button> {
    let (label, word, style) = match choice {
        "undo" => ("Undo", "undo", Style::Danger),
        "retry" => ("Retry", "retry", Style::Main),
        "skip" => ("Skip", "skip", Style::Plain),
        "resume" => ("Resume", "resume", Style::Main),
        "release" => ("Release", "release", Style::Danger),
        "happened" => ("It happened", "happened", Style::Plain),
        "did-not-happen" => ("It did not", "absent", Style::Plain),
        "abort" => ("Abort", "abort", Style::Danger),
        _ => return None,
    };
    Some(Button::new(label, Shortcut::new(word, &[&run.id, &run.revision])).style(style))
}

/// What a question looks like.
pub(super) fn of_approval(approval: &Approval, run: &Run) -> Card {
    let tone = match approval.state {
        ApprovalState::Open | ApprovalState::Expired | ApprovalState::Voided => Tone::Urgent,
        ApprovalState::Given | ApprovalState::Answered => Tone::Good,
        ApprovalState::Rejected | ApprovalState::Withdrawn => Tone::Calm,
    };
    let mut card = Card::new(tone, Line::marked(&format!("{} · {}", approval.id, approval.question)))
        .fact("Run", Line::text(run.id.to_string()).and(" of ").code(&run.plan.name))
        .fact("Target", Line::new().code(run.target.to_string()));
    if let Some(incident) = run.incident {
        card = card.fact("Incident", Line::new().incident(incident));
    }
    if let Some(cause) = &run.cause {
        card = card.fact("Alert", Line::new().code(&cause.name));
    }
    let asked = if approval.by.is_empty() {
        "everybody who may operate".to_owned()
    } else {
        approval.by.iter().map(|by| format!("`{by}`")).collect::<Vec<_>>().join(", ")
    };
    card = card.fact("Asked", Line::marked(&asked));
    if approval.count > 1 {
        card = card.fact("People needed", format!("{} of {}", approval.count - approval.missing(), approval.count));
    }
    card = if approval.state == ApprovalState::Open {
        card.fact("Expires", Line::new().time(approval.expires_at))
    } else {
        card.fact("State", approval.state.word())
    };
    // Last, because there may be more of them than a chat has room for.
    for (path, value) in &approval.bound {
        card = card.fact(path.clone(), Line::new().code(shown(value)));
    }
    for given in &approval.answers {
        card = card
            .block(Line::new().person(&given.person).and(" answered ").code(&given.answer).and(" at ").time(given.at));
    }
    if approval.state != ApprovalState::Open {
        return card;
    }
    let values: [&dyn std::fmt::Display; 2] = [&approval.id, &approval.revision];
    match &approval.asks {
        Asks::Approval => card.row(vec![
            Button::new("Approve", Shortcut::new("approve", &values)).style(Style::Main),
            Button::new("Reject", Shortcut::new("reject", &values)).style(Style::Danger),
        ]),
        Asks::Choice(choices) => choose(card, approval, choices),
    }
}

/// Adds a button for each choice, and says what has no room on one.
fn choose(mut card: Card, approval: &Approval, choices: &[String]) -> Card {
    for (index, choice) in choices.iter().enumerate().filter(|(_, choice)| choice.chars().count() > LABEL) {
        card = card.block(Line::text(format!("{}. ", index + 1)).code(choice));
    }
    let buttons = choices.iter().enumerate().take(ROW * ROWS).map(|(index, choice)| {
        let is_long = choice.chars().count() > LABEL;
        let label = if is_long { format!("{}. {choice}", index + 1) } else { choice.clone() };
        Button::new(label, Shortcut::new("choose", &[&approval.id, &approval.revision, &carried(index, choice)]))
    });
    let buttons: Vec<Button> = buttons.collect();
    for row in buttons.chunks(ROW) {
        card = card.row(row.to_vec());
    }
    match choices.len().saturating_sub(buttons.len()) {
        0 => card,
        more => {
            let rest = choices.iter().skip(buttons.len()).map(|choice| format!("`{choice}`")).collect::<Vec<_>>();
            let words = format!("{more} more, by `/runbook answer question:{} answer:choose`: ", approval.id);
            card.block(Line::marked(&format!("{words}{}", rest.join(", "))))
        }
    }
}

/// What a choice's button carries: its place, by which it is found, and as much of its text as fits.
fn carried(index: usize, choice: &str) -> String {
    let mut text = String::new();
    for letter in choice.chars() {
        text.push(letter);
        if shortcut::written(&text).len() > CARRIED {
            text.pop();
            break;
        }
    }
    format!("{}) {text}", index + 1)
}

/// The choice that an answer means: by its whole text, or by what its button carries.
pub(super) fn chosen<'a>(choices: &'a [String], given: &str) -> Option<&'a String> {
    let by_button = || choices.iter().enumerate().find(|(index, choice)| carried(*index, choice) == given);
    choices.iter().find(|choice| *choice == given).or_else(|| by_button().map(|(_, choice)| choice))
}

/// Buttons that start those runbooks of an incident that people may start; `None` if there are none.
pub(super) fn starters(settings: &Settings, incident: &Incident) -> Option<Card> {
    let names = incident.runbooks.iter().filter(|name| {
        let plan = settings.runbooks.get(*name);
        plan.is_some_and(|plan| plan.trigger.chat)
    });
    let buttons = names.map(|name| Button::new(format!("Run {name}"), Shortcut::new("run", &[name, &incident.id])));
    let buttons: Vec<Button> = buttons.collect();
    if buttons.is_empty() {
        return None;
    }
    let mut card = Card::new(Tone::Calm, Line::text("Run one for ").incident(incident.id));
    for row in buttons.chunks(ROW).take(ROWS) {
        card = card.row(row.to_vec());
    }
    match buttons.len().saturating_sub(ROW * ROWS) {
        0 => Some(card),
        more => Some(card.block(Line::marked(&format!("{more} more, by `/runbook run`")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two choices that begin alike are told apart, whatever stands in them.
    #[test]
    fn long_choices_are_told_apart() {
        let long = "roll back to v4.2.1 and tell everybody in the channel about it, in as many words as it takes";
        let choices: Vec<String> = [" now", " later", "...", "%2E"].iter().map(|end| format!("{long}{end}")).collect();
        for (index, choice) in choices.iter().enumerate() {
            let press = Shortcut::new("choose", &[&"APR-1234567", &123, &carried(index, choice)]);
            let press: Shortcut = press.to_string().parse().unwrap();
            assert!(press.to_string().chars().count() <= 100, "{press}");
            let given = press.given().into_iter().find(|(name, _)| name == "choice").unwrap().1;
            assert_eq!(chosen(&choices, &given), Some(choice));
            assert_eq!(chosen(&choices, choice), Some(choice));
        }
        assert_eq!(chosen(&choices, "1) nothing"), None);
    }
}
