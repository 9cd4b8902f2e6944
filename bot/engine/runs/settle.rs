//! What people decide about a run that stands: undo, retry, skip, release; it happened, it did not, abort.

use serde_json::Value;

use crate::{
    domain::{
        people::{Actor, Person},
        runbooks::Plan,
        runs::{Ending, Event, Hold, Pass, Reason, RunState, Stage, StepRecord, StepState, Verdict, next::CHILD},
    },
    engine::{
        Refusal,
        runs::{begin, case::Case, ends, finish},
    },
    store,
};

/// An answer to a run that stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// Take back what was done.
    Undo,
    /// Try again what stopped it.
    Retry,
    /// Leave out what stopped it, for this reason if one is given.
    Skip(Option<String>),
    /// Let it go on after a pause.
    Resume,
    /// Let go: what was done stays, the target is free.
    Release,
    /// The step happened, with this output.
    Happened(Value),
    /// The step did not happen.
    DidNotHappen,
    /// Nobody knows, and the run ends.
    Abort,
}

impl Answer {
    fn word(&self) -> &'static str {
        match self {
            Answer::Undo => "undo",
            Answer::Retry => "retry",
            Answer::Skip(_) => "skip",
            Answer::Resume => "resume",
            Answer::Release => "release",
            Answer::Happened(_) => "happened",
            Answer::DidNotHappen => "did-not-happen",
            Answer::Abort => "abort",
        }
    }
}

/// The answers that a run in this state takes.
pub(super) fn choices(case: &Case<'_, '_>) -> Vec<&'static str> {
    answers(case.run.state, case.run.hold.as_ref(), case.journal.undoable(&case.run.plan).next().is_some())
}

/// The answers that fit a state.
pub(super) fn answers(state: RunState, hold: Option<&Hold>, is_undoable: bool) -> Vec<&'static str> {
    let at_step = [Reason::StepFailed, Reason::VerificationBad, Reason::Assertion, Reason::NoValue];
    if state == RunState::Held {
        let is_at_step = hold.is_some_and(|hold| hold.path.is_some() && at_step.contains(&hold.reason));
        // What was rejected stays so: going on would ask nobody and be refused.
        let is_rejected = hold.is_some_and(|hold| hold.reason == Reason::Rejected);
        let possible = [(is_undoable, "undo"), (!is_rejected, "retry"), (is_at_step, "skip"), (true, "release")];
        return possible.into_iter().filter_map(|(fits, answer)| fits.then_some(answer)).collect();
    }
    if state == RunState::Paused {
        let possible = [(true, "resume"), (is_undoable, "undo"), (true, "release")];
        return possible.into_iter().filter_map(|(fits, answer)| fits.then_some(answer)).collect();
    }
    if state == RunState::Stuck {
        return vec!["retry", "skip", "release"];
    }
    if state == RunState::InDoubt {
        return vec!["happened", "did-not-happen", "abort"];
    }
    Vec::new()
}

/// Carries an answer out, if the run takes it as it stands.
pub(super) async fn answer(
    case: &mut Case<'_, '_>,
    person: &Person,
    answer: Answer,
) -> store::Result<Result<String, Refusal>> {
    let id = case.run.id;
    let choices = choices(case);
    if !choices.contains(&answer.word()) {
        let refusal = Refusal::new(format!("Cannot answer `{}` for `{id}`: it is {}", answer.word(), case.run.state));
        return Ok(Err(if choices.is_empty() {
            refusal
        } else {
            refusal.hint(format!("it takes `{}`", choices.join("`, `")))
        }));
    }
    let goes_on = matches!(answer, Answer::Undo | Answer::Retry | Answer::Skip(_) | Answer::Resume);
    if matches!(answer, Answer::Undo | Answer::Release | Answer::Abort)
        && case.journal.0.iter().any(|record| record.is_open() && record.action == CHILD)
    {
        return Ok(Err(Refusal::new(format!(
            "Cannot answer `{}` for `{id}`: a run that it started is not over",
            answer.word()
        ))
        .hint("answer that run first; `/runbook list` shows it")));
    }
    if goes_on && let Some(why) = case.halted().await? {
        return Ok(Err(Refusal::new(format!("Cannot go on with `{id}`: halted, {why}")).hint("lift the halt first")));
    }
    let actor = Actor::Person(person.id.clone());
    let record = standing(case).cloned();
    if let (Answer::Happened(output), Some(record)) = (&answer, record.as_ref().filter(|it| it.key.pass == Pass::Do))
        && let Some(missing) = missing(&case.run.plan, &record.key.path, output)
    {
        let name = case.name_of(&record.key.path);
        let refusal = Refusal::new(format!("Cannot settle that `{name}` happened: later steps read {missing}"));
        let hint = "give it as JSON: `/runbook answer question:";
        return Ok(Err(refusal.hint(format!("{hint}{id} answer:happened output:…`"))));
    }
    let step = record.as_ref().map(|record| record.key.clone());
    case.tell(actor.clone(), &Event::RunResumed { run: id, answer: answer.word().to_owned(), step }).await?;
    case.run.revision += 1;
    if goes_on {
        // Somebody wants it to go on: an earlier wish to stop it is over, and its time counts anew.
        case.run.cancelled_by = None;
        case.run.paused_by = None;
        case.run.deadline = case.run.plan.timeout.map(|timeout| case.now() + timeout);
    }
    let by = format!("by {}", person.id);
    match answer {
        Answer::Undo => {
            let steps: Vec<String> =
                case.journal.undoable(&case.run.plan).map(|step| case.name_of(&step.path)).collect();
            case.tell(actor, &Event::UndoAsked { run: id, steps: steps.clone() }).await?;
            case.run.pass = Pass::Undo;
            case.go_on().await?;
            Ok(Ok(format!("Undoing `{}` of {id}", steps.join("`, `"))))
        }
        Answer::Retry => {
            if let Some(record) = record.filter(|record| record.state == StepState::Failed) {
                case.amend(StepRecord { verdict: Some(Verdict::Retry), ..record }).await?;
            }
            case.go_on().await?;
            Ok(Ok(format!("Going on with {id}")))
        }
        Answer::Resume => {
            case.go_on().await?;
            Ok(Ok(format!("Going on with {id}")))
        }
        Answer::Skip(reason) => {
            let why = reason.map_or_else(|| by.clone(), |reason| format!("{by}: {reason}"));
            if let Some(record) = record.filter(|record| record.state == StepState::Failed) {
                let (step, name) = (record.key.clone(), case.name_of(&record.key.path));
                case.amend(StepRecord { verdict: Some(Verdict::Skip), ..record }).await?;
                case.tell(actor, &Event::StepSkipped { run: id, step, name, why }).await?;
            } else {
                let path = case.run.hold.as_ref().and_then(|hold| hold.path.clone()).unwrap_or_default();
                if let Some(step) = case.run.plan.at(&path) {
                    begin::skip(case, &step, &why).await?;
                }
            }
            case.go_on().await?;
            Ok(Ok(format!("Skipped a step of {id} and going on")))
        }
        Answer::Release => {
            let ending = Ending { state: RunState::Released, reason: Reason::Released, detail: by };
            ends::conclude_for(case, ending).await?;
            Ok(Ok(format!("Released {id}: what was done stays, the target is free")))
        }
        Answer::Happened(output) => resolve(case, record, Some(output), actor).await,
        Answer::DidNotHappen => resolve(case, record, None, actor).await,
        Answer::Abort => {
            if let Some(record) = record {
                case.amend(StepRecord { verdict: Some(Verdict::Abort), ..record }).await?;
            }
            let ending = Ending { state: RunState::Failed, reason: Reason::Aborted, detail: by };
            ends::conclude_for(case, ending).await?;
            Ok(Ok(format!("Ended {id} in doubt: look at the target yourself")))
        }
    }
}

/// What later steps read of the step's output and this one does not have, in words.
fn missing(plan: &Plan, path: &str, output: &Value) -> Option<String> {
    let fields = plan.reads_of(path)?;
    let missing: Vec<String> =
        fields.into_iter().filter(|field| output.get(field).is_none()).map(|field| format!("`{field}`")).collect();
    match (missing.is_empty(), output.is_null()) {
        (true, false) => None,
        (true, true) => Some("its output".to_owned()),
        (false, _) => Some(format!("{} of its output", missing.join(", "))),
    }
}

async fn resolve(
    case: &mut Case<'_, '_>,
    record: Option<StepRecord>,
    happened: Option<Value>,
    actor: Actor,
) -> store::Result<Result<String, Refusal>> {
    let step = record.as_ref().and_then(|record| case.run.plan.at(&record.key.path));
    let words = if happened.is_some() { "happened" } else { "did not happen" };
    if let (Some(record), Some(step)) = (record, step) {
        finish::settle(case, &step, record, happened, actor).await?;
    }
    case.go_on().await?;
    Ok(Ok(format!("Settled that it {words}; going on with {}", case.run.id)))
}

/// The attempt at which the run stands, if it stands at one.
fn standing<'a>(case: &'a Case<'_, '_>) -> Option<&'a StepRecord> {
    let path = case.run.hold.as_ref()?.path.as_deref()?;
    let pass = if case.run.stage() == Stage::Back { Pass::Undo } else { Pass::Do };
    case.journal.last(path, pass)
}

/// Stops a run: at once if nothing is in flight, else after what is in flight has ended.
pub(super) async fn cancel(case: &mut Case<'_, '_>, person: &Person) -> store::Result<Result<String, Refusal>> {
    let id = case.run.id;
    if case.run.state.is_over() {
        return Ok(Err(Refusal::new(format!("Cannot cancel `{id}`: it is {}", case.run.state))));
    }
    if case.run.state.needs_people() {
        let choices = choices(case);
        return Ok(Err(Refusal::new(format!("Cannot cancel `{id}`: it is {}", case.run.state))
            .hint(format!("answer it with `{}`", choices.join("`, `")))));
    }
    if case.run.stage() == Stage::Ending {
        return Ok(Err(Refusal::new(format!("Cannot cancel `{id}`: it is ending already"))));
    }
    case.tell(Actor::Person(person.id.clone()), &Event::CancelAsked { run: id }).await?;
    if is_busy(case) {
        case.run.cancelled_by = Some(person.id.clone());
        case.save().await?;
        return Ok(Ok(format!("{id} stops after the step that is in flight")));
    }
    close_open(case).await?;
    let hold = Hold { reason: Reason::Cancelled, path: None, detail: format!("by {}", person.id) };
    ends::fail_for(case, hold).await?;
    Ok(Ok(format!("Cancelled {id}")))
}

/// Pauses a run: at once if nothing is in flight, else after what is in flight has ended.
pub(super) async fn pause(case: &mut Case<'_, '_>, person: &Person) -> store::Result<Result<String, Refusal>> {
    let id = case.run.id;
    if case.run.state.is_over() || case.run.state.needs_people() || case.run.state == RunState::Queued {
        return Ok(Err(Refusal::new(format!("Cannot pause `{id}`: it is {}", case.run.state))));
    }
    case.tell(Actor::Person(person.id.clone()), &Event::PauseAsked { run: id }).await?;
    if is_busy(case) || case.is_in_flight() {
        case.run.paused_by = Some(person.id.clone());
        case.save().await?;
        return Ok(Ok(format!("{id} pauses after the step that is in flight")));
    }
    case.pause().await?;
    Ok(Ok(format!("Paused {id}: its target stays locked")))
}

/// Whether a change is in flight, or in doubt and looked for.
fn is_busy(case: &Case<'_, '_>) -> bool {
    let is_running = case.run.state == RunState::Running;
    let in_flight = case.journal.0.iter().any(|record| {
        record.is_open()
            && (is_running || record.action == CHILD)
            && record.due_at.is_none()
            && record.question.is_none()
            && (record.key.pass == Pass::Undo || case.run.plan.step(&record.key.path).is_some_and(|step| !step.reads()))
    });
    let is_in_doubt = case.journal.0.iter().any(|record| {
        record.state == StepState::InDoubt
            && record.verdict.is_none()
            && case.journal.last(&record.key.path, record.key.pass) == Some(record)
    });
    in_flight || is_in_doubt
}

/// Ends the attempts that nobody will hear of any more.
pub(super) async fn close_open(case: &mut Case<'_, '_>) -> store::Result<()> {
    close(case, |record| record.action != CHILD).await
}

/// Ends the waits and the questions of a run that is over.
pub(super) async fn close_waits(case: &mut Case<'_, '_>) -> store::Result<()> {
    close(case, |record| record.due_at.is_some() || record.question.is_some()).await
}

async fn close(case: &mut Case<'_, '_>, which: impl Fn(&StepRecord) -> bool) -> store::Result<()> {
    let open: Vec<StepRecord> =
        case.journal.0.iter().filter(|record| record.is_open() && which(record)).cloned().collect();
    let now = case.now();
    for record in open {
        let error = Some("the run stopped meanwhile".to_owned());
        let verdict = Some(Verdict::Retry);
        case.amend(StepRecord { state: StepState::Failed, error, verdict, ended: Some(now), ..record }).await?;
    }
    Ok(())
}
