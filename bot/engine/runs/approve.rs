//! Whether people have to agree before a step, whether they have, and to what.

use std::time::Duration;

use crate::{
    domain::{
        duration,
        people::{Actor, Person},
        runbooks::{
            condition,
            plan::{Mode, Step},
            scope::Scope,
        },
        runs::{
            Approval, ApprovalState, Event, Hold, Pass, Reason, RunState, StepRecord, StepState,
            approvals::{Asks, Given, NotCounted, bound},
            guards::{self, Refused},
        },
    },
    engine::{
        Refusal,
        chat::{Line, Message},
        runs::{case::Case, facts},
    },
    store::{self, approvals},
};

/// How long a question stands that the runbook does not know of.
const EXPIRES: Duration = Duration::from_mins(15);

/// Whether the run may begin a step.
pub(super) enum Gate {
    /// It may.
    Open,
    /// It may not.
    Shut(Refused),
    /// People are asked.
    Asked,
    /// What was approved is read anew first: this step, as this attempt.
    Reread(String, u32),
}

/// Whether the run may begin this step as far as people are concerned.
///
/// What was approved is read anew before it is acted on; a difference voids the approval, and people are asked again.
pub(super) async fn gate(case: &mut Case<'_, '_>, step: &Step, scope: &Scope) -> store::Result<Gate> {
    let plan = case.run.plan.approval.clone();
    let is_here = !step.reads() || plan.as_ref().is_some_and(|approval| approval.before == step.path);
    if !is_here || case.run.mode == Mode::Observe {
        return Ok(Gate::Open);
    }
    // Once people had to agree it stays so: a lower severity takes nothing back.
    let is_needed = case.run.needs_approval
        || match plan.as_ref().and_then(|approval| approval.when.as_ref()) {
            Some(when) => condition::holds(when, scope).unwrap_or(true),
            None => case.run.mode == Mode::Ask,
        };
    if !is_needed {
        return Ok(Gate::Open);
    }
    case.run.needs_approval = true;
    let asked = approvals::of_run(case.context.tx, case.run.id).await?;
    let newest = asked.into_iter().rfind(|approval| approval.asks == Asks::Approval);
    match newest {
        Some(given) if given.state == ApprovalState::Given => check(case, step, scope, given).await,
        Some(open) if open.state == ApprovalState::Open => {
            case.rest(RunState::Approval, Some(open.expires_at)).await?;
            Ok(Gate::Asked)
        }
        Some(rejected) if rejected.state == ApprovalState::Rejected => {
            Ok(Gate::Shut(Refused::new(Reason::Rejected, rejected.id.to_string())))
        }
        Some(_) | None => ask(case, step, scope).await,
    }
}

/// Whether what was approved is still so.
async fn check(case: &mut Case<'_, '_>, step: &Step, scope: &Scope, mut given: Approval) -> store::Result<Gate> {
    let is_used = changes(case).any(|record| record.epoch > given.epoch && record.may_have_happened());
    if is_used || given.bound.is_empty() {
        return Ok(Gate::Open);
    }
    if let Some((path, attempt)) = stale_read(case, &given) {
        return Ok(Gate::Reread(path, attempt));
    }
    let difference = given.drift(scope);
    if difference.is_empty() {
        return Ok(Gate::Open);
    }
    given.state = ApprovalState::Voided;
    case.put(&given).await?;
    let event = Event::ApprovalVoided { run: case.run.id, approval: given.id, difference };
    let actor = case.itself();
    case.tell(actor, &event).await?;
    let text = crate::domain::timeline::Event::sentence(&event);
    let line = Line::text(format!("{}: ", case.run.id)).and(text);
    case.say(Message::line(line), true).await?;
    ask(case, step, scope).await
}

/// The attempts to change something, in their order.
fn changes<'a>(case: &'a Case<'_, '_>) -> impl Iterator<Item = &'a StepRecord> {
    let plan = &case.run.plan;
    let all = case.journal.0.iter().filter(|record| record.key.pass == Pass::Do);
    all.filter(|record| plan.step(&record.key.path).is_some_and(|step| !step.reads()))
}

/// A reading step that gives something which was approved and has not been read since: since the agreement, and since
/// the last attempt to act on it.
fn stale_read(case: &Case<'_, '_>, given: &Approval) -> Option<(String, u32)> {
    let attempted = changes(case).last().map_or(0, |record| record.seq);
    let roots: Vec<&str> = given.bound.keys().filter_map(|path| path.split('.').next()).collect();
    case.run
        .plan
        .steps
        .iter()
        .take_while(|step| step.path != given.path)
        .filter(|step| step.reads() && step.output.as_ref().is_some_and(|name| roots.contains(&name.as_str())))
        .filter(|step| !matches!(step.action.as_str(), "ask" | "wait"))
        .find_map(|step| {
            let last = case.journal.last(&step.path, Pass::Do)?;
            let is_old = last.epoch <= given.epoch || last.seq < attempted;
            (is_old && last.state == StepState::Done).then(|| (step.path.clone(), last.key.attempt + 1))
        })
}

/// Asks people, unless a guard says already that the run may not go on.
async fn ask(case: &mut Case<'_, '_>, step: &Step, scope: &Scope) -> store::Result<Gate> {
    let run = case.run.clone();
    let (moment, facts) = facts::of_case(case).await?;
    if let Err(refused) = guards::evaluate(&run.plan.guards, moment, &facts, case.now()) {
        return Ok(Gate::Shut(refused));
    }
    let text = format!("May `{}` go on with `{}` on `{}`?", run.plan.name, step.name, run.target);
    let expires = run.plan.approval.as_ref().map_or(EXPIRES, |approval| approval.expires);
    let mut approval = case.question(&step.path, text, expires);
    if let Some(declared) = &run.plan.approval {
        approval.by.clone_from(&declared.by);
        approval.count = declared.count;
        approval.bound = bound(&declared.binds, scope);
    }
    case.ask(approval).await?;
    Ok(Gate::Asked)
}

/// Takes somebody's answer to an approval.
pub(super) async fn answer(
    case: &mut Case<'_, '_>,
    mut approval: Approval,
    person: &Person,
    is_yes: bool,
) -> store::Result<Result<String, Refusal>> {
    let now = case.now();
    let (run, id) = (case.run.id, approval.id);
    if let Err(why) = approval.counts(person, case.run.requester(), now) {
        let refusal = not_counted(&approval, &why, &person.id.0);
        if matches!(why, NotCounted::Requester | NotCounted::Twice | NotCounted::NotAsked) {
            let event =
                Event::ApprovalNotCounted { run, approval: id, person: person.id.clone(), why: refusal.what.clone() };
            case.tell(Actor::Person(person.id.clone()), &event).await?;
        }
        return Ok(Err(refusal));
    }
    let answer = if is_yes { "approve" } else { "reject" };
    approval.answers.push(Given { person: person.id.clone(), answer: answer.to_owned(), at: now });
    approval.revision += 1;
    let actor = Actor::Person(person.id.clone());
    if !is_yes {
        approval.state = ApprovalState::Rejected;
        approval.decided_at = Some(now);
        case.tell(actor, &Event::ApprovalRejected { run, approval: id }).await?;
        case.put(&approval).await?;
        super::advance::fail(case, Reason::Rejected, &approval.path, &format!("by {}", person.id)).await?;
        return Ok(Ok(format!("Rejected {run}")));
    }
    let missing = approval.missing();
    case.tell(actor, &Event::ApprovalGiven { run, approval: id, missing, bound: approval.bound.clone() }).await?;
    if missing > 0 {
        case.put(&approval).await?;
        return Ok(Ok(format!("Counted for {run}; {missing} more must agree")));
    }
    approval.state = ApprovalState::Given;
    approval.decided_at = Some(now);
    case.put(&approval).await?;
    case.go_on().await?;
    Ok(Ok(format!("Approved {run}")))
}

/// What somebody is told whose answer does not count.
pub(super) fn not_counted(approval: &Approval, why: &NotCounted, person: &str) -> Refusal {
    let id = approval.id;
    match why {
        NotCounted::Requester => {
            Refusal::new(format!("Cannot approve `{id}` as `{person}`: whoever started the run does not count"))
                .hint("ask another person")
        }
        NotCounted::Twice => Refusal::new(format!("Cannot answer `{id}` twice: `{person}` has answered already"))
            .hint("people count, not accounts: ask another person"),
        NotCounted::NotAsked => {
            let by: Vec<String> = approval.by.iter().map(ToString::to_string).collect();
            Refusal::new(format!("Cannot answer `{id}` as `{person}`: others are asked"))
                .hint(format!("asked are `{}`", by.join("`, `")))
        }
        NotCounted::Decided(state) => Refusal::new(format!("Cannot answer `{id}`: it is {state}")),
        NotCounted::Expired => Refusal::new(format!("Cannot answer `{id}`: its time is over")),
    }
}

/// Nobody answered in time: people are paged, and the run stands.
pub(super) async fn expire(case: &mut Case<'_, '_>) -> store::Result<()> {
    let now = case.now();
    let asked = approvals::of_run(case.context.tx, case.run.id).await?;
    let Some(mut open) = asked.into_iter().find(|approval| approval.state == ApprovalState::Open) else {
        return case.go_on().await;
    };
    if open.expires_at > now {
        return case.rest(RunState::Approval, Some(open.expires_at)).await;
    }
    open.state = ApprovalState::Expired;
    open.decided_at = Some(now);
    case.put(&open).await?;
    let event = Event::ApprovalExpired { run: case.run.id, approval: open.id };
    case.tell(Actor::Bot, &event).await?;
    let after = duration::human(open.expires_at.since(open.asked_at));
    let hold = Hold {
        reason: Reason::ApprovalExpired,
        path: Some(open.path.clone()),
        detail: format!("{} stood for {after}", open.id),
    };
    case.hold(RunState::Held, hold).await
}
