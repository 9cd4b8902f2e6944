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
            Approval, ApprovalState, Event, Hold, Pass, Reason, RunState, Stage, StepRecord, StepState,
            approvals::{Asks, Difference, Given, NotCounted, bound},
            breaker::Standing,
            guards::{self, Refused},
        },
    },
    engine::{
        Refusal,
        chat::{Line, Message},
        runs::{
            Outcome,
            actions::{self, Action, Inside},
            case::Case,
            facts,
            render::render,
            watch,
        },
    },
    store::{self, approvals},
};

/// How long a question stands that the runbook does not know of.
pub(super) const EXPIRES: Duration = Duration::from_mins(15);

/// Whether the run may begin a step.
pub(super) enum Gate {
    /// It may.
    Open,
    /// It may not.
    Shut(Refused),
    /// People are asked.
    Asked,
    /// It is left out, because nobody agreed that anything be changed.
    LeftOut(String),
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
    if matches!(case.run.stage(), Stage::Failing | Stage::Ending) {
        return aside(case, step).await;
    }
    // Once people had to agree it stays so: a lower severity takes nothing back.
    let is_needed = case.run.needs_approval
        || is_half_open(case).await?
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
        Some(open) if open.state == ApprovalState::Open => Ok(Gate::Asked),
        // It was voided before what it was for was read anew.
        Some(void) if void.state == ApprovalState::Voided && stale_read(case, &void).is_some() => {
            Ok(stale_read(case, &void).map_or(Gate::Asked, |(path, attempt)| Gate::Reread(path, attempt)))
        }
        Some(rejected) if rejected.state == ApprovalState::Rejected => {
            Ok(Gate::Shut(Refused::new(Reason::Rejected, rejected.id.to_string())))
        }
        Some(_) | None => ask(case, step, scope).await,
    }
}

/// Whether the runbook failed or did not help so often that people have to agree before it changes something again.
async fn is_half_open(case: &mut Case<'_, '_>) -> store::Result<bool> {
    if case.run.plan.guards.breaker.is_none() || case.run.mutated_at.is_some() {
        return Ok(false);
    }
    let (_, facts) = facts::of_case(case).await?;
    Ok(matches!(facts.breaker, Standing::HalfOpen { .. }))
}

/// What follows a failure or the end asks nobody: it changes something only if people agreed before, or need not.
async fn aside(case: &mut Case<'_, '_>, step: &Step) -> store::Result<Gate> {
    let is_asked = case.run.plan.approval.is_some() && case.run.mode == Mode::Ask;
    if step.reads() || !(case.run.needs_approval || is_asked) {
        return Ok(Gate::Open);
    }
    let asked = approvals::of_run(case.context.tx, case.run.id).await?;
    let newest = asked.into_iter().rfind(|approval| approval.asks == Asks::Approval);
    if newest.is_some_and(|newest| newest.state == ApprovalState::Given) {
        return Ok(Gate::Open);
    }
    Ok(Gate::LeftOut("nobody agreed that anything be changed".to_owned()))
}

/// Whether what was approved is still so.
async fn check(case: &mut Case<'_, '_>, step: &Step, scope: &Scope, given: Approval) -> store::Result<Gate> {
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
    void(case, given, difference).await?;
    ask(case, step, scope).await
}

/// Takes an approval, or the question for one, to be about what is not so any more; people are told what is different.
async fn void(case: &mut Case<'_, '_>, mut approval: Approval, difference: Vec<Difference>) -> store::Result<()> {
    approval.state = ApprovalState::Voided;
    approval.decided_at.get_or_insert(case.now());
    case.put(&approval).await?;
    let event = Event::ApprovalVoided { run: case.run.id, approval: approval.id, difference };
    let actor = case.itself();
    case.tell(actor, &event).await?;
    let text = crate::domain::timeline::Event::sentence(&event);
    let line = Line::text(format!("{}: ", case.run.id)).and(text);
    case.say(Message::line(line), true).await
}

/// What is different by now of that which people were shown, as far as the ledger knows: it is asked in the same
/// transaction. What the world must be asked for is read before it is acted on.
async fn known_drift(case: &mut Case<'_, '_>, asked: &Approval) -> store::Result<Vec<Difference>> {
    let (plan, target) = (case.run.plan.clone(), case.run.target.clone());
    let mut scope = case.scope(None, &asked.path).await?;
    let reads = plan.all_steps().into_iter().take_while(|step| step.path != asked.path).filter(|step| step.reads());
    for step in reads {
        let inside = actions::named(&step.action).and_then(Action::inside);
        let is_done = case.journal.last(&step.path, Pass::Do).is_some_and(|last| last.state == StepState::Done);
        let (Some(Inside::Ledger(ask)), Some(name), true) = (inside, &step.output, is_done) else { continue };
        let Ok(with) = render(&step.action, &step.with, &scope) else { continue };
        let looked = actions::deployments::look(case.context.tx, (&target, case.context.now), ask, &with).await?;
        if let Outcome::Done(output) = looked {
            scope.set(name.clone(), output);
        }
    }
    Ok(asked.drift(&scope))
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
        .all_steps()
        .into_iter()
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
    if let Some(refused) = watch::is_to_end(case).await? {
        return Ok(Gate::Shut(refused));
    }
    let mut text = format!("May `{}` go on with `{}` on `{}`?", run.plan.name, step.name, run.target);
    if let Standing::HalfOpen { failures } = facts.breaker {
        text.push_str(&format!(" Its last {failures} runs failed or did not help: the breaker is half open"));
    }
    let expires = run.plan.approval.as_ref().map_or(EXPIRES, |approval| approval.expires);
    let mut approval = case.question(&step.path, text, expires);
    if let Some(declared) = &run.plan.approval {
        approval.by.clone_from(&declared.by);
        approval.count = declared.count;
        approval.bound = bound(&declared.binds, scope);
    }
    case.ask(approval).await?;
    watch::begin(case).await?;
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
    if is_yes && let Some(why) = watch::is_to_end(case).await? {
        watch::withdraw(case, approval, &why).await?;
        return Ok(Err(Refusal::new(format!("Cannot approve `{id}`: it is withdrawn, for {}", why.detail))
            .hint(format!("the reason is `{}`", why.reason))));
    }
    let difference = if is_yes { known_drift(case, &approval).await? } else { Vec::new() };
    if !difference.is_empty() {
        let told: Vec<String> = difference.iter().map(ToString::to_string).collect();
        approval.revision += 1;
        void(case, approval, difference).await?;
        case.go_on().await?;
        return Ok(Err(Refusal::new(format!(
            "Cannot approve `{id}`: it was about something else: {}",
            told.join(", ")
        ))
        .hint("people are asked anew for what is so now; the reason is `drift`")));
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
        if case.is_in_flight() {
            // It is stopped by the answer when it comes to this step again.
            case.go_on().await?;
        } else {
            let detail = format!("by {}", person.id);
            let hold = Hold { reason: Reason::Rejected, path: Some(approval.path.clone()), detail };
            super::ends::fail_for(case, hold).await?;
        }
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
    let is_over = |approval: &Approval| approval.state == ApprovalState::Open && approval.expires_at <= now;
    let Some(mut open) = asked.into_iter().find(is_over) else {
        // It waits for something else besides the answer.
        return case.go_on().await;
    };
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
