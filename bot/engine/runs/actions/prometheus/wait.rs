//! `prometheus.wait`: looks until it stayed good, is bad, or people have to say.
//!
//! Each look is an attempt of the journal, and the next one a row with a moment: a restart loses none, and what nobody
//! looked at is not taken for good.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{ask, finite, single};
use crate::{
    domain::{
        incidents::Milestone,
        people::Person,
        runbooks::{actions::prometheus::ANSWERS, condition, plan::Mark, plan::Step},
        runs::{
            Approval, Event, StepRecord, StepState, Verdict,
            approvals::Asks,
            next,
            verification::{self, Judgement, Look, Seen},
        },
        time::Time,
        timeline::EntryRef,
    },
    engine::{
        incidents::acts,
        runs::{
            Outcome, Ports, Work,
            actions::{ask as asking, length, text},
            case::Case,
            finish,
        },
    },
    store,
};

/// How long people may take to say how it is, if the step does not say.
const EXPIRES: std::time::Duration = std::time::Duration::from_hours(1);

/// One look. That there is no answer is an answer, too.
pub(in crate::engine::runs) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        let traffic = work.with.get("traffic").filter(|traffic| !traffic.is_null());
        let (value, requests) = futures::join!(ask(ports, work, text(&work.with, "query")), async {
            match traffic {
                Some(traffic) => Some(ask(ports, work, text(traffic, "query")).await),
                None => None,
            }
        });
        let value = value.and_then(|samples| single(&samples));
        let requests = requests.map(|answer| answer.and_then(|samples| single(&samples)));
        let least = traffic.and_then(|traffic| traffic.get("min")).and_then(Value::as_f64);
        let seen = judge(work, &value, requests.as_ref(), least.unwrap_or_default());
        let (seen, why) = seen.map_or_else(|why| (Seen::Unknown, Some(why)), |seen| (seen, None));
        let number = |value: Option<f64>| value.map_or(Value::Null, finite);
        let requests = requests.and_then(Result::ok);
        Outcome::Done(json!({ "seen": seen, "value": number(value.ok()), "traffic": number(requests), "why": why }))
    })
}

/// What a look says, or why nothing can be told.
fn judge(
    work: &Work,
    value: &Result<f64, String>,
    traffic: Option<&Result<f64, String>>,
    least: f64,
) -> Result<Seen, String> {
    let value = (*value).as_ref().map_err(Clone::clone)?;
    match traffic {
        Some(Err(why)) => return Err(format!("the traffic is unknown: {why}")),
        Some(Ok(traffic)) if *traffic < least => return Err(format!("the traffic is {traffic}, less than {least}")),
        Some(Ok(_)) | None => {}
    }
    let scope = work.scope.clone().with("value", *value);
    let holds = |field: &str| match text(&work.with, field) {
        Some(condition) => condition::holds(condition, &scope).map_err(|error| error.to_string()),
        None => Ok(false),
    };
    if holds("bad")? {
        return Ok(Seen::Bad);
    }
    Ok(if holds("good")? { Seen::Good } else { Seen::Neither })
}

/// A look of the journal, if it was one.
fn read(record: &StepRecord) -> Option<Look> {
    if record.output.is_null() {
        let why = record.error.clone().unwrap_or_else(|| "no answer".to_owned());
        return (!record.is_open()).then(|| Look::unknown(record.started, why));
    }
    let mut output = record.output.clone();
    output.as_object_mut()?.insert("at".to_owned(), json!(record.started));
    serde_json::from_value(output).ok()
}

/// The looks since somebody last wanted it tried anew, with this attempt as the last one.
fn looks(case: &Case<'_, '_>, record: &StepRecord) -> (Time, Vec<Look>) {
    let tries = next::tries(&case.journal, &record.key.path);
    let begun = tries.first().map_or(record.started, |first| first.started);
    let earlier = tries.into_iter().filter(|earlier| earlier.key != record.key);
    (begun, earlier.filter_map(read).chain(read(record)).collect())
}

/// A look is over: what all of them come to.
pub(in crate::engine::runs) async fn looked(
    case: &mut Case<'_, '_>,
    step: &Step,
    mut record: StepRecord,
    outcome: Outcome,
) -> store::Result<()> {
    record.output = match outcome {
        Outcome::Done(output) => output,
        Outcome::Failed { why, .. }
        | Outcome::Unsuccessful { why, .. }
        | Outcome::Refused(why)
        | Outcome::OutOfBounds(why)
        | Outcome::Unknown(why) => {
            json!({ "seen": Seen::Unknown, "why": why })
        }
        Outcome::Halted => json!({ "seen": Seen::Unknown, "why": "it was not looked" }),
    };
    let now = case.now();
    let (begun, looks) = looks(case, &record);
    let Some(until) = &step.until else { return Ok(()) };
    let is_late = now >= begun + until.timeout;
    let held = length(&record.with, "for").unwrap_or(until.timeout);
    match verification::judge(&looks, (held, until.every), is_late) {
        Judgement::Held(since) => {
            let output = output(&looks, Some(since), None);
            finish::ended_since(case, step, record, (Outcome::Done(output), since)).await
        }
        Judgement::Bad(why) => is_bad(case, record, (why, &looks)).await,
        Judgement::NotYet => {
            let last = looks.last();
            let error = last.and_then(|look| look.why.clone()).unwrap_or_else(|| "it is not good yet".to_owned());
            let (state, verdict) = (StepState::Failed, Some(Verdict::NotYet));
            case.amend(StepRecord { state, verdict, error: Some(error), ended: Some(now), ..record }).await
        }
        Judgement::CannotTell(why) => {
            record.error = Some(why);
            let asked = case.ask(question(case, step, &record)).await?;
            record.question = Some(asked.id);
            record.due_at = Some(asked.expires_at);
            case.amend(record).await
        }
    }
}

/// The question that people are put when nothing can be told.
pub(in crate::engine::runs) fn question(case: &Case<'_, '_>, step: &Step, record: &StepRecord) -> Approval {
    let why = record.error.as_deref().unwrap_or("nothing was measured");
    let words = format!("Is it good? Nothing can be told of `{}`: {why}", step.name);
    let expires = length(&record.with, "expires").unwrap_or(EXPIRES);
    let mut approval = case.question(&step.path, words, expires);
    approval.asks = Asks::Choice(ANSWERS.map(str::to_owned).to_vec());
    approval.by = asking::approvers(&record.with);
    approval
}

/// Somebody says how it is.
pub(in crate::engine::runs) async fn answered(
    case: &mut Case<'_, '_>,
    step: &Step,
    record: StepRecord,
    (answer, person, entry): (&str, &Person, EntryRef),
) -> store::Result<()> {
    let (_, looks) = looks(case, &record);
    if answer != ANSWERS[0] {
        return is_bad(case, record, (format!("`{}` says that it is not good", person.id), &looks)).await;
    }
    let now = case.now();
    let output = output(&looks, Some(now), Some(person));
    let told = Step { marks: None, ..step.clone() };
    finish::ended(case, &told, StepRecord { error: None, ..record }, Outcome::Done(output)).await?;
    if let (Some(Mark::Mitigated), Some(incident)) = (step.marks, case.run.incident) {
        // Nothing was measured: it is what somebody said, when they said it.
        acts::mark(case.context, incident, Milestone::Mitigated, now, entry).await?;
    }
    Ok(())
}

async fn is_bad(case: &mut Case<'_, '_>, record: StepRecord, (why, looks): (String, &[Look])) -> store::Result<()> {
    let now = case.now();
    let event = Event::StepFailed {
        run: case.run.id,
        step: record.key.clone(),
        name: case.name_of(&record.key.path),
        changes: false,
        error: why.clone(),
        will_retry_at: None,
    };
    let mut output = output(looks, None, None);
    output["verdict"] = json!(ANSWERS[1]);
    let (state, verdict) = (StepState::Failed, Some(Verdict::Bad));
    case.amend(StepRecord { state, verdict, output, error: Some(why), ended: Some(now), ..record }).await?;
    let actor = case.itself();
    case.tell(actor, &event).await.map(drop)
}

/// What the step gives: how it is, since when, by whose word if nothing was measured, and the samples.
fn output(looks: &[Look], since: Option<Time>, by: Option<&Person>) -> Value {
    json!({
        "verdict": ANSWERS[0], "since": since, "by": by.map(|person| &person.id),
        "value": looks.last().and_then(|look| look.value), "samples": verification::samples(looks),
    })
}
