//! `ask`: puts a question to people and waits for one answer.

use serde_json::{Value, json};

use super::{length, prometheus, text, texts};
use crate::{
    domain::{
        ids::ApprovalId,
        people::{Actor, Person},
        runbooks::plan::{Approver, Step},
        runs::{
            Approval, ApprovalState, Event, Reason, StepRecord,
            approvals::{Asks, Given},
        },
    },
    engine::{
        Refusal,
        runs::{
            Outcome,
            advance::{self, Went},
            approve,
            case::Case,
            finish,
        },
    },
    store,
};

pub(in crate::engine::runs) async fn begin(
    case: &mut Case<'_, '_>,
    step: &Step,
    mut record: StepRecord,
) -> store::Result<Went> {
    let approval = match question(case, step, &record.with) {
        Ok(approval) => approval,
        Err(why) => return Ok(advance::fail(Reason::NoValue, &step.path, &why)),
    };
    let asked = case.ask(approval).await?;
    record.question = Some(asked.id);
    record.due_at = Some(asked.expires_at);
    case.note(record).await?;
    Ok(Went::On)
}

/// The question was withdrawn or has expired, and the run goes on: it is asked again.
pub(in crate::engine::runs) async fn again(case: &mut Case<'_, '_>, old: ApprovalId) -> store::Result<Went> {
    let Some(mut record) = case.journal.0.iter().find(|record| record.question == Some(old)).cloned() else {
        return Ok(Went::On);
    };
    let Some(step) = case.run.plan.at(&record.key.path) else { return Ok(Went::On) };
    let question = match &step.until {
        Some(until) if until.asks => Ok(prometheus::wait::question(case, &step, &record)),
        Some(_) | None => question(case, &step, &record.with),
    };
    let approval = match question {
        Ok(approval) => approval,
        Err(why) => return Ok(advance::fail(Reason::NoValue, &step.path, &why)),
    };
    let asked = case.ask(approval).await?;
    record.question = Some(asked.id);
    record.due_at = Some(asked.expires_at);
    case.amend(record).await?;
    Ok(Went::On)
}

fn question(case: &Case<'_, '_>, step: &Step, with: &Value) -> Result<Approval, String> {
    let expires = length(with, "expires")?;
    let words = text(with, "question").unwrap_or(&step.name).to_owned();
    let mut approval = case.question(&step.path, words, expires);
    let choices = texts(with, "choices");
    approval.asks = Asks::Choice(if choices.is_empty() { vec!["yes".to_owned(), "no".to_owned()] } else { choices });
    approval.by = approvers(with);
    Ok(approval)
}

/// Whom the step asks; none means everybody who may operate.
pub(super) fn approvers(with: &Value) -> Vec<Approver> {
    texts(with, "by").iter().filter_map(|text| approver(text)).collect()
}

/// Somebody by the word of a runbook: `role:on-call` or `person:ada`.
pub(in crate::engine::runs) fn approver(text: &str) -> Option<Approver> {
    let (sort, name) = text.split_once(':')?;
    match sort {
        "role" => Some(Approver::Role(name.to_owned())),
        "person" => Some(Approver::Person(name.to_owned())),
        _ => None,
    }
}

/// Takes somebody's answer.
pub(in crate::engine::runs) async fn answer(
    case: &mut Case<'_, '_>,
    mut approval: Approval,
    person: &Person,
    choice: &str,
) -> store::Result<Result<String, Refusal>> {
    let now = case.now();
    if let Err(why) = approval.counts(person, case.run.requester(), now) {
        return Ok(Err(approve::not_counted(&approval, &why, &person.id.0)));
    }
    let Asks::Choice(choices) = &approval.asks else { return Ok(Err(Refusal::new("It is no question with choices"))) };
    if !choices.iter().any(|known| known == choice) {
        return Ok(Err(Refusal::new(format!("Cannot answer `{}` with `{choice}`", approval.id))
            .hint(format!("choose `{}`", choices.join("`, `")))));
    }
    let open = case.journal.0.iter().find(|record| record.question == Some(approval.id) && record.is_open()).cloned();
    let step = open.as_ref().and_then(|record| case.run.plan.at(&record.key.path));
    approval.state = ApprovalState::Answered;
    approval.decided_at = Some(now);
    approval.revision += 1;
    approval.answers.push(Given { person: person.id.clone(), answer: choice.to_owned(), at: now });
    let event = Event::QuestionAnswered { run: case.run.id, approval: approval.id, answer: choice.to_owned() };
    let entry = case.tell(Actor::Person(person.id.clone()), &event).await?;
    case.put(&approval).await?;
    match (open, step) {
        (Some(record), Some(step)) if step.until.as_ref().is_some_and(|until| until.asks) => {
            prometheus::wait::answered(case, &step, record, (choice, person, entry)).await?;
        }
        (Some(record), Some(step)) => {
            let output = json!({ "answer": choice, "by": person.id });
            finish::ended(case, &step, record, Outcome::Done(output)).await?;
        }
        (Some(_) | None, _) => {}
    }
    case.go_on().await?;
    Ok(Ok(format!("Answered `{choice}` for {}", case.run.id)))
}
