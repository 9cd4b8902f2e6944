//! Takes a run as far as it goes without the world: to the next intent, a rest, a question, or its end.

use serde_json::json;

use crate::{
    domain::{
        runbooks::{
            condition,
            plan::{Class, Mode, Step},
        },
        runs::{
            Event, Hold, Next, Pass, Reason, RunState, Situation, StepKey, StepRecord, StepState, Verdict,
            guards::{self, Refused},
            next,
        },
    },
    engine::runs::{
        Work,
        actions::{self, Inside},
        approve::{self, Gate},
        back,
        case::Case,
        facts,
        render::render,
    },
    store::{self, approvals, locks},
};

/// What came of one thing that was next.
pub(super) enum Went {
    /// Something is to be done in the world.
    Out(Box<Work>),
    /// The run rests, is asked about, or is over.
    Rests,
    /// There is more to do at once.
    On,
}

/// Takes the run on. The answer is the effect to be made, whose intent is part of this transaction.
pub(super) async fn advance(case: &mut Case<'_, '_>, is_file_there: bool) -> store::Result<Option<Box<Work>>> {
    lose(case, "the bot stopped before it had an answer").await?;
    loop {
        let situation = Situation {
            plan: &case.run.plan,
            journal: &case.journal,
            now: case.now(),
            epoch: case.run.epoch,
            may_overlap: case.run.may_overlap,
            seed: &case.run.trigger_key,
        };
        let next = if case.is_going_back() { next::backward(&situation) } else { next::forward(&situation) };
        match follow(case, next, is_file_there).await? {
            Went::Out(work) => return Ok(Some(work)),
            Went::Rests => return Ok(None),
            Went::On => {}
        }
    }
}

/// Effects that an earlier worker had begun: nobody knows of them any more. Reads are simply read anew.
pub(super) async fn lose(case: &mut Case<'_, '_>, why: &str) -> store::Result<()> {
    let lost: Vec<_> = case
        .journal
        .0
        .iter()
        .filter(|record| record.is_open() && record.epoch < case.run.epoch)
        .filter(|record| record.due_at.is_none() && record.question.is_none())
        .cloned()
        .collect();
    for mut record in lost {
        let reads = case.run.plan.step(&record.key.path).is_none_or(Step::reads);
        record.ended = Some(case.now());
        record.error = Some(why.to_owned());
        if record.key.pass == Pass::Probe || (reads && record.key.pass == Pass::Do) {
            record.state = StepState::Failed;
            record.verdict = Some(Verdict::Retry);
        } else {
            record.state = StepState::InDoubt;
            let event = Event::StepInDoubt {
                run: case.run.id,
                step: record.key.clone(),
                name: case.name_of(&record.key.path),
                why: why.to_owned(),
            };
            let actor = case.itself();
            case.tell(actor, &event).await?;
        }
        case.amend(record).await?;
    }
    Ok(())
}

async fn follow(case: &mut Case<'_, '_>, next: Next, is_file_there: bool) -> store::Result<Went> {
    let moves = matches!(next, Next::Begin { .. } | Next::Undo { .. } | Next::Resume(_) | Next::Done | Next::Answer(_));
    if moves && let Some(person) = case.run.cancelled_by.clone() {
        return stop_for(case, &person).await;
    }
    if matches!(next, Next::Begin { .. } | Next::Undo { .. } | Next::Resume(_)) && case.run.mode != Mode::Observe {
        let service = case.run.target.service.clone();
        let halted = facts::halted(case.context, &service).await?;
        let refused = match halted {
            _ if is_file_there => Some(Refused::new(Reason::HaltFile, "remove the file to lift it")),
            Some(why) => Some(Refused::new(Reason::Halted, why)),
            None => None,
        };
        if let Some(Refused { reason, detail }) = refused {
            return stand(case, RunState::Held, Hold { reason, path: None, detail }).await;
        }
    }
    match next {
        Next::Begin { path, attempt, same_as } => begin(case, &path, attempt, same_as).await,
        Next::Undo { path, attempt } => back::undo(case, &path, attempt).await,
        Next::Probe { path, attempt, about } => back::probe(case, &path, attempt, about).await,
        Next::Resume(key) => {
            super::finish::waited(case, &key).await?;
            Ok(Went::On)
        }
        Next::Answer(question) => {
            let asked = approvals::by_id(case.context.tx, question).await?;
            match asked.filter(|asked| asked.state == crate::domain::runs::ApprovalState::Open) {
                Some(asked) => rest(case, RunState::Approval, Some(asked.expires_at)).await,
                None => actions::ask::again(case, question).await,
            }
        }
        Next::Wait(at) => rest(case, RunState::Waiting, Some(at)).await,
        Next::InFlight => Ok(Went::Rests),
        Next::Settle(key) => {
            let name = case.name_of(&key.path);
            let hold = Hold { reason: Reason::InDoubt, path: Some(key.path), detail: name };
            stand(case, RunState::InDoubt, hold).await
        }
        Next::Stuck(key) => {
            let detail = failure_of(case, &key);
            stand(case, RunState::Stuck, Hold { reason: Reason::UndoFailed, path: Some(key.path), detail }).await
        }
        Next::Fail(key) => {
            let detail = failure_of(case, &key);
            let reason = case.journal.at(&key).map_or(Reason::StepFailed, |record| match record.action.as_str() {
                "assert" => Reason::Assertion,
                _ => Reason::StepFailed,
            });
            fail(case, reason, &key.path, &detail).await
        }
        Next::Done => {
            case.end(RunState::Done, Reason::Completed, "").await?;
            Ok(Went::Rests)
        }
        Next::Undone => {
            let standing = case.journal.standing(&case.run.plan);
            let detail = if standing.is_empty() {
                String::new()
            } else {
                format!("what stands all the same: {}", standing.join(", "))
            };
            case.end(RunState::Undone, Reason::Undone, &detail).await?;
            Ok(Went::Rests)
        }
    }
}

/// A failure before the first change ends the run; after it nothing more is touched, and people decide.
pub(super) async fn fail(case: &mut Case<'_, '_>, reason: Reason, path: &str, detail: &str) -> store::Result<Went> {
    if case.journal.has_mutated(&case.run.plan) {
        let hold = Hold { reason, path: Some(path.to_owned()), detail: detail.to_owned() };
        return stand(case, RunState::Held, hold).await;
    }
    case.end(reason.ends_as(), reason, detail).await?;
    Ok(Went::Rests)
}

async fn stop_for(case: &mut Case<'_, '_>, person: &crate::domain::people::PersonId) -> store::Result<Went> {
    case.run.cancelled_by = None;
    fail(case, Reason::Cancelled, "", &format!("by {person}")).await
}

async fn rest(
    case: &mut Case<'_, '_>,
    state: RunState,
    wake_at: Option<crate::domain::time::Time>,
) -> store::Result<Went> {
    case.rest(state, wake_at).await?;
    Ok(Went::Rests)
}

pub(super) async fn stand(case: &mut Case<'_, '_>, state: RunState, hold: Hold) -> store::Result<Went> {
    case.hold(state, hold).await?;
    Ok(Went::Rests)
}

fn failure_of(case: &Case<'_, '_>, key: &StepKey) -> String {
    let error = case.journal.at(key).and_then(|record| record.error.clone()).unwrap_or_default();
    format!("{}: {error}", case.name_of(&key.path))
}

/// Attempts a step: its condition, the agreement of people, the guards, then the intent.
async fn begin(case: &mut Case<'_, '_>, path: &str, attempt: u32, same_as: Option<u32>) -> store::Result<Went> {
    let Some(step) = case.run.plan.step(path).cloned() else {
        return fail(case, Reason::StepFailed, path, "the plan has no such step").await;
    };
    let key = StepKey::new(path, Pass::Do, attempt);
    let effect = match same_as.and_then(|same| case.journal.at(&StepKey::new(path, Pass::Do, same))) {
        Some(same) => same.effect.clone(),
        None => case.effect(&key).await?,
    };
    let scope = case.scope_of(&step, &effect, None).await?;
    if attempt == 1
        && let Some(when) = &step.when
    {
        match condition::holds(when, &scope) {
            Ok(true) => {}
            Ok(false) => {
                skip(case, &step, &format!("`{when}` does not hold")).await?;
                return Ok(Went::On);
            }
            Err(error) => return fail(case, Reason::NoValue, path, &error.to_string()).await,
        }
    }
    if case.run.mode == Mode::Observe && !step.reads() {
        return observe(case, path).await;
    }
    match approve::gate(case, &step, &scope).await? {
        Gate::Open => {}
        Gate::Shut(refused) => return fail(case, refused.reason, path, &refused.detail).await,
        Gate::Asked => return Ok(Went::Rests),
        Gate::Reread(path, attempt) => return Box::pin(begin(case, &path, attempt, None)).await,
    }
    if !step.reads()
        && let Some(refused) = mutation_is_refused(case, path).await?
    {
        return fail(case, refused.reason, path, &refused.detail).await;
    }
    let with = match render(&step.action, &step.with, &scope) {
        Ok(with) => with,
        Err(what) => return fail(case, Reason::NoValue, path, &format!("{}: {what}", step.name)).await,
    };
    let mut record = case.record(key.clone(), effect.clone(), &step.action);
    record.with = with.clone();
    if !step.reads() {
        let undo = step.undo.as_ref().and_then(|undo| render(&undo.action, &undo.with, &scope).ok());
        record.before = json!({ "values": case.journal.outputs(&case.run.plan, None), "undo": undo });
    }
    if case.journal.of(path, Pass::Do).next_back().is_none_or(|last| last.verdict != Some(Verdict::NotYet)) {
        intended(case, &record, &step.name, !step.reads()).await?;
    }
    if let Some(inside) = actions::named(&step.action).and_then(actions::Action::inside) {
        return inside_step(case, inside, &step, record, &scope).await;
    }
    case.note(record).await?;
    Ok(Went::Out(Box::new(Work {
        key,
        action: step.action.clone(),
        with,
        scope,
        changes: !step.reads(),
        timeout: step.timeout,
        effect,
    })))
}

async fn inside_step(
    case: &mut Case<'_, '_>,
    inside: Inside,
    step: &Step,
    record: StepRecord,
    scope: &crate::domain::runbooks::scope::Scope,
) -> store::Result<Went> {
    match inside {
        Inside::Wait => actions::wait::begin(case, record).await,
        Inside::Assert => actions::assert::begin(case, step, record, scope).await,
        Inside::Ask => actions::ask::begin(case, step, record).await,
        Inside::Announce => actions::announce::begin(case, step, record).await,
    }
}

/// Evaluates the guards of a change and, if they hold, takes the lock and charges the budget.
async fn mutation_is_refused(case: &mut Case<'_, '_>, path: &str) -> store::Result<Option<Refused>> {
    let (moment, mut facts) = facts::of_case(case).await?;
    facts.lacks_approvers = false;
    let is_wanted = case.journal.last(path, Pass::Do).is_some_and(|last| last.verdict == Some(Verdict::Retry));
    if !is_wanted && case.journal.of(path, Pass::Do).any(StepRecord::may_have_happened) {
        // The effect was begun already, and may have happened: it is brought to its end.
        facts.firing = None;
    }
    let now = case.now();
    let (plan, target, alert) = (case.run.plan.clone(), case.run.target.clone(), case.run.cause.clone());
    if let Err(refused) = guards::evaluate(&plan.guards, moment, &facts, now) {
        return Ok(Some(refused));
    }
    if let Some(other) = locks::take(case.context.tx, &target, case.run.id, now).await? {
        return Ok(Some(Refused::new(Reason::TargetLocked, format!("by {other}"))));
    }
    if case.run.mutated_at.is_none() {
        if let Some(cooldown) = &plan.guards.cooldown {
            let before = locks::cooldown(case.context.tx, &plan.name, &target).await?;
            let charge = guards::charge(before.as_ref(), cooldown, alert.as_ref().map(|cause| &cause.key), now);
            locks::charge(case.context.tx, &plan.name, &target, &charge).await?;
        }
        case.run.mutated_at = Some(now);
        case.save().await?;
    }
    Ok(None)
}

/// Tells that something is about to happen.
pub(super) async fn intended(
    case: &mut Case<'_, '_>,
    record: &StepRecord,
    name: &str,
    changes: bool,
) -> store::Result<()> {
    let event = Event::StepIntended {
        run: case.run.id,
        step: record.key.clone(),
        name: name.to_owned(),
        action: record.action.clone(),
        changes,
        with: record.with.clone(),
        before: record.before.clone(),
        effect: record.effect.clone(),
    };
    let actor = case.itself();
    case.tell(actor, &event).await?;
    Ok(())
}

/// Leaves a step out, with the reason.
pub(super) async fn skip(case: &mut Case<'_, '_>, step: &Step, why: &str) -> store::Result<()> {
    let key = StepKey::new(&step.path, Pass::Do, case.journal.next_attempt(&step.path, Pass::Do));
    let mut record = case.record(key.clone(), String::new(), &step.action);
    record.state = StepState::Skipped;
    record.ended = Some(case.now());
    record.error = Some(why.to_owned());
    case.note(record).await?;
    let event = Event::StepSkipped { run: case.run.id, step: key, name: step.name.clone(), why: why.to_owned() };
    let actor = case.itself();
    case.tell(actor, &event).await?;
    Ok(())
}

/// Tells what the rest of the run would have changed, and ends it.
async fn observe(case: &mut Case<'_, '_>, from: &str) -> store::Result<Went> {
    let rest: Vec<Step> = case.run.plan.steps.iter().skip_while(|step| step.path != from).cloned().collect();
    for step in rest.iter().filter(|step| matches!(step.class, Class::Mutates(_))) {
        let key = StepKey::new(&step.path, Pass::Do, 1);
        let effect = case.effect(&key).await?;
        let scope = case.scope_of(step, &effect, None).await?;
        let with = match step.when.as_ref().map(|when| (when, condition::holds(when, &scope))) {
            Some((when, Ok(false))) => {
                skip(case, step, &format!("`{when}` does not hold")).await?;
                continue;
            }
            Some((_, Err(error))) => json!({ "unknown": error.to_string() }),
            Some((_, Ok(true))) | None => {
                render(&step.action, &step.with, &scope).unwrap_or_else(|what| json!({ "unknown": what }))
            }
        };
        let mut record = case.record(key.clone(), effect, &step.action);
        record.state = StepState::Skipped;
        record.with = with.clone();
        record.ended = Some(case.now());
        record.error = Some(Reason::Observed.words().to_owned());
        case.note(record).await?;
        let event = Event::StepObserved {
            run: case.run.id,
            step: key,
            name: step.name.clone(),
            action: step.action.clone(),
            with,
        };
        let actor = case.itself();
        case.tell(actor, &event).await?;
    }
    case.end(RunState::Observed, Reason::Observed, "").await?;
    Ok(Went::Rests)
}
