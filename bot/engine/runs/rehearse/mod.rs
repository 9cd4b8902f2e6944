//! Plays the tests of a runbook: the real interpreter over a store of its own, a clock that nobody waits for, and a world
//! that answers what the test says.
//!
//! Each test is played once as it is, and once more for every step that reaches out, killed right before it acts and right
//! after: it must come to the same outcome, and nothing may be done twice.

mod stage;
mod world;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use self::stage::{REQUESTER, Stage};
use super::{judge, start::Wish};
use crate::{
    domain::{
        diagnostic::Place,
        ids::{IncidentId, RunId},
        people::{Actor, PersonId},
        runbooks::plan::{Plan, named},
        runs::{
            Event, Pass, Reason, Run, RunState, StepState,
            rehearsals::{Rehearsal, StartedBy, has},
        },
        timeline::Chain,
    },
    engine::Rules,
    store::{self, Store, timeline},
};

/// How long a run may take by its own clock.
const LONGEST: Duration = Duration::from_hours(24 * 7);
/// How often time may pass, and people answer.
const MOST_ROUNDS: usize = 5_000;

/// What is wrong with a runbook, or with its test, as a test finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where in the file of the tests.
    pub place: Option<Place>,
    /// What.
    pub what: String,
    /// What may mend it.
    pub hint: String,
}

/// What came of a test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong; nothing if the test passes.
    pub flaws: Vec<Flaw>,
    /// How often the run was killed.
    pub kills: usize,
}

/// A kill of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kill {
    /// At which effect, from 0.
    effect: usize,
    when: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// What is about to happen is committed.
    BeforeActing,
    /// It has happened, and nobody has written that down.
    BeforeWriting,
}

/// How a run came out.
#[derive(Debug, Clone, PartialEq)]
struct Played {
    state: RunState,
    reason: Option<Reason>,
    detail: String,
    /// The steps that are done, in the order in which they were first, with their fields.
    steps: Vec<(String, Value)>,
    /// What was done to the world, in its order.
    effects: Vec<String>,
    /// The effects that were begun, as (step, pass).
    begun: Vec<(String, Pass)>,
    missing: Vec<(String, String)>,
}

/// Plays a test of this runbook, one of `plans`. Each store that is asked for is empty, and used for one play.
///
/// # Errors
/// A store is in trouble.
pub async fn rehearse<S: Future<Output = store::Result<Store>>>(
    plans: &BTreeMap<String, Arc<Plan>>,
    plan: &Plan,
    test: &Rehearsal,
    mut empty: impl FnMut() -> S,
) -> store::Result<Report> {
    let mut report = Report::default();
    let undisturbed = match play(empty().await?, plans, (plan, test), None).await? {
        Ok(played) => played,
        Err(why) => {
            report.flaws.push(Flaw {
                place: test.place,
                what: format!("`{}`: no run was started: {why}", test.name),
                hint: "does what sets it off fit its trigger and its inputs?".to_owned(),
            });
            return Ok(report);
        }
    };
    report.flaws = flaws(test, &undisturbed);
    if !report.flaws.is_empty() {
        return Ok(report);
    }
    let mut seen = Vec::new();
    for (effect, about) in undisturbed.begun.iter().enumerate() {
        // Of the looks of a step that waits, the first stands for all.
        if seen.contains(about) {
            continue;
        }
        seen.push(about.clone());
        for when in [When::BeforeActing, When::BeforeWriting] {
            report.kills += 1;
            let killed = play(empty().await?, plans, (plan, test), Some(Kill { effect, when })).await?;
            let at = match when {
                When::BeforeActing => format!("`{}`, killed right before `{}`", test.name, about.0),
                When::BeforeWriting => format!("`{}`, killed right after `{}`", test.name, about.0),
            };
            let wrong = match killed {
                Ok(killed) => differences(&undisturbed, &killed),
                Err(why) => vec![(format!("no run was started: {why}"), "this is the bot's own fault".to_owned())],
            };
            let place = test.place;
            report.flaws.extend(wrong.into_iter().map(|(what, hint)| Flaw {
                place,
                what: format!("{at}: {what}"),
                hint,
            }));
        }
    }
    Ok(report)
}

/// Plays it once; or says why no run was started.
async fn play(
    store: Store,
    plans: &BTreeMap<String, Arc<Plan>>,
    (plan, test): (&Plan, &Rehearsal),
    kill: Option<Kill>,
) -> store::Result<Result<Played, String>> {
    let mut stage = Stage::new(store.clone(), plans, (plan, test), kill);
    let played = follow(&mut stage, plan, test).await;
    store.close().await;
    played
}

async fn follow(stage: &mut Stage<'_>, plan: &Plan, test: &Rehearsal) -> store::Result<Result<Played, String>> {
    if !test.deployments.is_empty() {
        match target(&stage.engine.rules(), plan, test) {
            Ok(target) => stage.deploys(&target).await?,
            Err(why) => return Ok(Err(why)),
        }
    }
    let begun = stage.begins(plan).await?;
    for _ in 0..MOST_ROUNDS {
        stage.works().await?;
        if let Some(run) = main(stage).await? {
            if run.state.is_over() {
                return Ok(Ok(ended(stage, run).await?));
            }
            if stage.people_answer().await? {
                continue;
            }
            let open = store::runs::open(&mut stage.engine.read().await?).await?;
            if open.iter().any(|run| run.state.needs_people()) {
                return Ok(Ok(ended(stage, run).await?));
            }
        }
        if !stage.time_passes(LONGEST).await? {
            break;
        }
        if main(stage).await?.is_none() && stage.now().since(test.at) > Duration::from_hours(24) {
            break;
        }
    }
    if let Some(run) = main(stage).await? {
        return Ok(Ok(ended(stage, run).await?));
    }
    if let Some((reason, detail)) = refused(stage).await? {
        let missing = stage.world.missing();
        let (steps, effects, begun) = (Vec::new(), Vec::new(), Vec::new());
        return Ok(Ok(Played {
            state: RunState::Refused,
            reason: Some(reason),
            detail,
            steps,
            effects,
            begun,
            missing,
        }));
    }
    Ok(Err(begun.err().map_or_else(|| "the alert does not set it off".to_owned(), |refusal| refusal.what)))
}

/// The run that the test is about.
async fn main(stage: &Stage<'_>) -> store::Result<Option<Run>> {
    store::runs::by_id(&mut stage.engine.read().await?, RunId(1)).await
}

/// What the runbook would be aimed at.
fn target(rules: &Rules, plan: &Plan, test: &Rehearsal) -> Result<crate::domain::runbooks::plan::Target, String> {
    let by = Actor::Person(PersonId(REQUESTER.to_owned()));
    let wish = Wish::new(plan, by, String::new());
    let wish = match &test.started_by {
        StartedBy::Alert { labels, .. } => Wish { labels: labels.clone(), ..wish },
        StartedBy::Person(inputs) => Wish { given: inputs.clone(), ..wish },
    };
    judge::aim(rules, &wish).map(|aim| aim.target)
}

/// Why no run was started, as the timelines say.
async fn refused(stage: &Stage<'_>) -> store::Result<Option<(Reason, String)>> {
    let mut reader = stage.engine.read().await?;
    for chain in [Chain::Incident(IncidentId(1)), Chain::System] {
        for entry in timeline::entries(&mut reader, chain).await? {
            if let Some(Event::RunRefused { reason, detail, .. }) = entry.event() {
                return Ok(Some((reason, detail)));
            }
        }
    }
    Ok(None)
}

async fn ended(stage: &Stage<'_>, run: Run) -> store::Result<Played> {
    let journal = store::steps::journal(&mut stage.engine.read().await?, run.id).await?;
    let mut steps: Vec<(String, Value)> = Vec::new();
    for record in journal.0.iter().filter(|record| record.key.pass == Pass::Do && record.state == StepState::Done) {
        let Some(step) = run.plan.step(&record.key.path) else { continue };
        let name = named(&step.name, &record.key.path);
        if steps.iter().all(|(known, _)| *known != name) {
            steps.push((name, record.with.clone()));
        }
    }
    let (reason, detail) = match (&run.hold, &run.ending) {
        (Some(hold), _) => (Some(hold.reason), hold.detail.clone()),
        (None, Some(ending)) => (run.reason.or(Some(ending.reason)), ending.detail.clone()),
        (None, None) => (run.reason, String::new()),
    };
    let failures = journal.0.iter().rev().find_map(|record| record.error.clone());
    let detail = if detail.is_empty() { failures.unwrap_or_default() } else { detail };
    Ok(Played {
        state: run.state,
        reason,
        detail,
        steps,
        effects: stage.world.done().into_iter().map(|effect| effect.name).collect(),
        begun: stage.effects.clone(),
        missing: stage.world.missing(),
    })
}

/// What is not as the test expects it.
fn flaws(test: &Rehearsal, played: &Played) -> Vec<Flaw> {
    let flaw = |place, what: String, hint: String| Flaw { place, what: format!("`{}`: {what}", test.name), hint };
    let missing = played.missing.iter().map(|(what, hint)| flaw(test.place, what.clone(), hint.clone()));
    let mut flaws: Vec<Flaw> = missing.collect();
    if !flaws.is_empty() {
        return flaws;
    }
    let code = played.reason.map_or_else(String::new, |reason| format!(", `{reason}`"));
    let how = || {
        let detail = if played.detail.is_empty() { String::new() } else { format!(" ({})", played.detail) };
        format!("it is `{}`{code}{detail}", played.state.word())
    };
    if played.state != test.expects.outcome {
        let what = format!("{}, not `{}`", how(), test.expects.outcome.word());
        flaws.push(flaw(test.place, what, format!("done were: {}", listed(&played.steps))));
    } else if test.expects.reason.is_some() && test.expects.reason != played.reason {
        let wanted = test.expects.reason.map(Reason::code).unwrap_or_default();
        flaws.push(flaw(
            test.place,
            format!("{}, not for `{wanted}`", how()),
            "expect the reason that is meant".to_owned(),
        ));
    }
    let Some(expected) = &test.expects.steps else { return flaws };
    for (at, wanted) in expected.iter().enumerate() {
        match played.steps.get(at) {
            Some((name, _)) if *name != wanted.name => {
                let what = format!("`{name}` was done where `{}` is expected", wanted.name);
                flaws.push(flaw(wanted.place, what, format!("done were: {}", listed(&played.steps))));
                return flaws;
            }
            None => {
                let what = format!("`{}` was not done", wanted.name);
                flaws.push(flaw(wanted.place, what, format!("done were: {}", listed(&played.steps))));
                return flaws;
            }
            Some((name, with)) if !has(with, &wanted.with) => {
                let what = format!("`{name}` was done with {with}, not with {}", wanted.with);
                flaws.push(flaw(
                    wanted.place,
                    what,
                    "what is not said of a group of values may be anything".to_owned(),
                ));
            }
            Some(_) => {}
        }
    }
    if let Some((name, _)) = played.steps.get(expected.len()) {
        let what = format!("`{name}` was done and is not expected");
        flaws.push(flaw(test.place, what, format!("done were: {}", listed(&played.steps))));
    }
    flaws
}

fn listed(steps: &[(String, Value)]) -> String {
    let names: Vec<String> = steps.iter().map(|(name, _)| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// What is otherwise after a kill, each with what may be done about it.
fn differences(undisturbed: &Played, killed: &Played) -> Vec<(String, String)> {
    if !killed.missing.is_empty() {
        return killed.missing.clone();
    }
    let mut wrong = Vec::new();
    let mut names: Vec<&String> = killed.effects.iter().chain(&undisturbed.effects).collect();
    names.sort();
    names.dedup();
    for name in names {
        let count = |of: &Played| of.effects.iter().filter(|effect| *effect == name).count();
        let (was, is) = (count(undisturbed), count(killed));
        if is > was {
            let hint = "let its `probe` find it by `step.key`, or do not declare it `repeat: safe`".to_owned();
            wrong.push((format!("`{name}` was done {is} times"), hint));
        } else if is < was {
            wrong.push((
                format!("`{name}` was not done"),
                format!("it came to be `{}`: {}", killed.state.word(), killed.detail),
            ));
        }
    }
    // A refusal says nothing of the attempt before it, of which nobody knows: the run is held in place of its end.
    let ends = matches!(undisturbed.state, RunState::Failed | RunState::Refused | RunState::Cancelled);
    let is_held_instead = ends && killed.state == RunState::Held && killed.reason == undisturbed.reason;
    if (killed.state, killed.reason) != (undisturbed.state, undisturbed.reason) && !is_held_instead {
        let what = format!("it is `{}`, not `{}`", killed.state.word(), undisturbed.state.word());
        wrong.push((what, format!("why: {}", killed.detail)));
    }
    wrong
}
