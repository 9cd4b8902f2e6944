//! Takes a run as far as it goes without the world: to the next intents, a rest, a question, or its end.
//!
//! What is in flight in one lane goes on while another begins, waits or asks. Whatever stops the run stops it only once
//! nothing is in flight any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{
        people::PersonId,
        runbooks::plan::{Mode, Step},
        runs::{
            ApprovalState, Event, Hold, Next, Pass, Reason, RunState, Situation, Stage, StepKey, StepRecord, StepState,
            Verdict,
            guards::Refused,
            next::{self, CHILD},
        },
        time::Time,
    },
    engine::runs::{Going, Work, actions, back, begin, case::Case, ends, finish},
    store::{self, approvals},
};

/// What came of one thing that was next.
pub(super) enum Went {
    /// Something is to be done in the world.
    Out(Box<Work>),
    /// There is more to do at once.
    On,
    /// People are asked before it is begun.
    Asked,
    /// There is no room for it; it is looked at again at this moment.
    PutOff(Time),
    /// The run cannot go on.
    Stops(Stop),
    /// The run rests, or is over.
    Rests,
}

/// Why a run does not go on. What is in flight is watched to its end first.
pub(super) enum Stop {
    /// A failure: what follows depends on whether something was changed.
    Fail(Hold),
    /// It stands like this until somebody decides.
    Stand(RunState, Hold),
    /// Somebody wants it to end.
    Cancel(PersonId),
    /// Somebody wants it to pause.
    Pause,
}

/// The run cannot go on at this step.
pub(super) fn fail(reason: Reason, path: &str, detail: &str) -> Went {
    Went::Stops(Stop::Fail(Hold { reason, path: Some(path.to_owned()), detail: detail.to_owned() }))
}

/// Takes the run on. The answer is the effects to be made, whose intents are part of this transaction; none if the run
/// rests or is over.
pub(super) async fn advance(case: &mut Case<'_, '_>, is_file_there: bool) -> store::Result<Option<Going>> {
    lose(case, "the bot stopped before it had an answer").await?;
    let mut going = Going::default();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut put_off: BTreeMap<String, Time> = BTreeMap::new();
    let mut stop = None;
    loop {
        let mut found = nexts(case);
        if stop.is_none() {
            stop = wished(case, &found, is_file_there).await?;
        }
        if stop.is_some() && found.iter().any(|next| !next.is_watch()) {
            found.retain(Next::is_watch);
        }
        let is_seen = |next: &Next| matches!(next, Next::Begin { path, .. } if asked.contains(path) || put_off.contains_key(path));
        let next = found.iter().find(|next| next.is_work() && !is_seen(next)).cloned();
        let went = match (next, stop.take_if(|_| found.is_empty())) {
            (Some(next), _) => {
                let went = follow(case, &next).await?;
                match (&went, next) {
                    (Went::Asked, Next::Begin { path, .. }) => {
                        asked.insert(path);
                    }
                    (Went::PutOff(at), Next::Begin { path, .. }) => {
                        put_off.insert(path, *at);
                    }
                    _ => {}
                }
                went
            }
            (None, Some(stop)) => ends::stop(case, stop).await?,
            (None, None) if found.contains(&Next::InFlight) => {
                going.again_at = moments(&found).chain(put_off.values().copied()).min();
                going.listens =
                    !asked.is_empty() || found.iter().any(|next| matches!(next, Next::Answer(_) | Next::Child(_)));
                return Ok(Some(going));
            }
            (None, None) => rest(case, &found, &put_off).await?,
        };
        match went {
            Went::Out(work) => going.works.push(*work),
            Went::On | Went::Asked | Went::PutOff(_) => {}
            Went::Stops(why) => stop = Some(why),
            Went::Rests => return Ok(None),
        }
    }
}

/// What is next, whatever keeps it from being begun.
fn nexts(case: &Case<'_, '_>) -> Vec<Next> {
    let plan = &case.run.plan;
    let situation = Situation {
        plan,
        journal: &case.journal,
        now: case.now(),
        epoch: case.run.epoch,
        may_overlap: case.run.may_overlap,
        seed: &case.run.trigger_key,
        deadline: case.run.deadline,
    };
    match case.run.stage() {
        Stage::Ahead => next::forward(&situation),
        Stage::Back => vec![next::backward(&situation)],
        Stage::Failing if case.run.failure.as_ref().is_some_and(|failure| failure.after_mutation) => {
            next::aside(&situation, &plan.on_failure.after_mutation)
        }
        Stage::Failing => next::aside(&situation, &plan.on_failure.before_mutation),
        Stage::Ending => next::aside(&situation, &plan.finally),
    }
}

/// When something is to be looked at again.
fn moments(found: &[Next]) -> impl Iterator<Item = Time> {
    found.iter().filter_map(|next| if let Next::Wait(at) | Next::Look(at) = next { Some(*at) } else { None })
}

/// What people, or a halt, want of a run that would go on otherwise.
async fn wished(case: &mut Case<'_, '_>, found: &[Next], is_file_there: bool) -> store::Result<Option<Stop>> {
    let begins = |next: &Next| matches!(next, Next::Begin { .. } | Next::Undo { .. } | Next::Resume(_));
    let rests = |next: &Next| matches!(next, Next::Answer(_) | Next::Wait(_));
    let goes_on = found.iter().any(begins);
    if let Some(person) = &case.run.cancelled_by
        && found.iter().any(|next| begins(next) || rests(next) || *next == Next::Done)
    {
        return Ok(Some(Stop::Cancel(person.clone())));
    }
    if case.run.paused_by.is_some() && found.iter().any(|next| begins(next) || rests(next)) {
        return Ok(Some(Stop::Pause));
    }
    if !goes_on || case.run.mode == Mode::Observe {
        return Ok(None);
    }
    let refused = match case.halted().await? {
        _ if is_file_there => Refused::new(Reason::HaltFile, "remove the file to lift it"),
        Some(why) => Refused::new(Reason::Halted, why),
        None => return Ok(None),
    };
    let Refused { reason, detail } = refused;
    Ok(Some(Stop::Stand(RunState::Held, Hold { reason, path: None, detail })))
}

/// Effects whose answer never came to the worker that asked for them: they were not begun, and are begun anew.
pub(super) async fn take_back(case: &mut Case<'_, '_>, in_hand: &[StepKey]) -> store::Result<()> {
    let epoch = case.run.epoch;
    let never_came = handed_out(case, |record| record.epoch == epoch && !in_hand.contains(&record.key));
    for record in never_came {
        finish::not_begun(case, record, "the store was in trouble, so it was not begun").await?;
    }
    Ok(())
}

/// Effects that workers were told to make, and of which nothing is known yet.
fn handed_out(case: &Case<'_, '_>, which: impl Fn(&StepRecord) -> bool) -> Vec<StepRecord> {
    let open = case.journal.0.iter().filter(|record| record.is_open() && record.action != CHILD);
    open.filter(|record| record.due_at.is_none() && record.question.is_none() && which(record)).cloned().collect()
}

/// Effects that an earlier worker had begun: nobody knows of them any more. Reads are simply read anew.
pub(super) async fn lose(case: &mut Case<'_, '_>, why: &str) -> store::Result<()> {
    let epoch = case.run.epoch;
    for mut record in handed_out(case, |record| record.epoch < epoch) {
        let step = case.run.plan.step(&record.key.path);
        let reads = step.is_none_or(Step::reads);
        let anew = finish::anew(step);
        record.ended = Some(case.now());
        record.error = Some(why.to_owned());
        if record.key.pass == Pass::Probe || (reads && record.key.pass == Pass::Do) {
            record.state = StepState::Failed;
            record.verdict = Some(anew);
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

/// Does the next thing.
async fn follow(case: &mut Case<'_, '_>, next: &Next) -> store::Result<Went> {
    match next {
        Next::Begin { path, attempt, same_as } => begin::begin(case, path, *attempt, *same_as).await,
        Next::Undo { path, attempt } => back::undo(case, path, *attempt).await,
        Next::Probe { path, attempt, about } => back::probe(case, path, *attempt, *about).await,
        Next::Resume(key) => {
            finish::waited(case, key).await?;
            Ok(Went::On)
        }
        Next::Answer(_)
        | Next::Wait(_)
        | Next::Look(_)
        | Next::InFlight
        | Next::Child(_)
        | Next::Settle(_)
        | Next::Fail(_)
        | Next::Stuck(_)
        | Next::Late
        | Next::Done
        | Next::Undone => Ok(Went::Rests),
    }
}

/// Nothing is to be done at once, and nothing is in flight: the run is over, stands, or waits.
async fn rest(case: &mut Case<'_, '_>, found: &[Next], put_off: &BTreeMap<String, Time>) -> store::Result<Went> {
    for next in found {
        match next {
            Next::Done => return ends::done(case).await,
            Next::Undone => return ends::undone(case).await,
            Next::Late => {
                let detail = case.run.plan.timeout.map(crate::domain::duration::human).unwrap_or_default();
                return ends::fail(case, Hold { reason: Reason::TimedOut, path: None, detail }).await;
            }
            Next::Fail(key) => {
                let reason = case.journal.at(key).map_or(Reason::StepFailed, |record| match record.action.as_str() {
                    _ if record.verdict == Some(Verdict::Bad) => Reason::VerificationBad,
                    _ if record.verdict == Some(Verdict::OutOfBounds) => Reason::ScaleBounds,
                    "assert" => Reason::Assertion,
                    _ => Reason::StepFailed,
                });
                let detail = failure_of(case, key);
                return ends::fail(case, Hold { reason, path: Some(key.path.clone()), detail }).await;
            }
            Next::Settle(key) => {
                let detail = case.name_of(&key.path);
                let hold = Hold { reason: Reason::InDoubt, path: Some(key.path.clone()), detail };
                return ends::stop(case, Stop::Stand(RunState::InDoubt, hold)).await;
            }
            Next::Stuck(key) => {
                let hold =
                    Hold { reason: Reason::UndoFailed, path: Some(key.path.clone()), detail: failure_of(case, key) };
                return ends::stop(case, Stop::Stand(RunState::Stuck, hold)).await;
            }
            Next::Begin { .. }
            | Next::Probe { .. }
            | Next::Undo { .. }
            | Next::Resume(_)
            | Next::Answer(_)
            | Next::Wait(_)
            | Next::Look(_)
            | Next::InFlight
            | Next::Child(_) => {}
        }
    }
    // What is left of beginnings are those of which people are asked, and those for which there is no room.
    let is_put_off = |next: &Next| matches!(next, Next::Begin { path, .. } if put_off.contains_key(path));
    let asks = found.iter().any(|next| matches!(next, Next::Begin { .. } | Next::Answer(_)) && !is_put_off(next));
    let wake_at = moments(found).chain(put_off.values().copied()).min();
    if !asks {
        case.rest(RunState::Waiting, wake_at).await?;
        return Ok(Went::Rests);
    }
    for next in found {
        if let Next::Answer(question) = next {
            let open = approvals::by_id(case.context.tx, *question).await?;
            if open.is_none_or(|open| open.state != ApprovalState::Open)
                && let Went::Stops(stop) = actions::ask::again(case, *question).await?
            {
                return ends::stop(case, stop).await;
            }
        }
    }
    let open = approvals::of_run(case.context.tx, case.run.id).await?;
    let open = open.into_iter().filter(|approval| approval.state == ApprovalState::Open);
    let wake_at = open.map(|approval| approval.expires_at).chain(wake_at).min();
    case.rest(RunState::Approval, wake_at).await?;
    Ok(Went::Rests)
}

fn failure_of(case: &Case<'_, '_>, key: &StepKey) -> String {
    let error = case.journal.at(key).and_then(|record| record.error.clone()).unwrap_or_default();
    format!("{}: {error}", case.name_of(&key.path))
}
