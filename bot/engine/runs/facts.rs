//! What guards are evaluated by, read at the moment of the decision.

use crate::{
    domain::{
        alerts::AlertState,
        ids::RunId,
        people::PersonId,
        runbooks::plan::{Approver, Mode, Plan, Target},
        runs::{
            Cause,
            guards::{Facts, Firing, Moment},
        },
    },
    engine::{Context, rules::People, runs::case::Case},
    store::{self, alerts, halts, locks, runs},
};

/// What a run, or one that is about to start, is about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) run: Option<RunId>,
    pub(super) plan: &'a Plan,
    pub(super) target: &'a Target,
    pub(super) cause: Option<&'a Cause>,
    pub(super) requester: Option<&'a PersonId>,
    pub(super) mode: Mode,
}

/// What guards are evaluated by.
pub(super) async fn of(context: &mut Context<'_>, about: Subject<'_>, is_file_there: bool) -> store::Result<Facts> {
    let alert = match about.cause {
        Some(cause) => alerts::known(context.tx, [&cause.key]).await?.remove(&cause.key),
        None => None,
    };
    let firing = about.cause.map(|_| match alert.as_ref().map(|alert| alert.state) {
        Some(AlertState::Firing) => Firing::Yes,
        Some(AlertState::Stale) => Firing::Silent,
        Some(AlertState::Resolved) | None => Firing::No,
    });
    let cooling = locks::cooldown(context.tx, &about.plan.name, about.target).await?;
    let runs_in_window = match about.plan.guards.max_runs {
        Some(most) => {
            let since = context.now - most.per;
            runs::mutations_since(context.tx, about.run, (&about.plan.name, about.target), since).await?
        }
        None => 0,
    };
    Ok(Facts {
        halted: halted(context, &about.target.service).await?,
        is_halt_file_there: is_file_there,
        locked_by: locks::holder(context.tx, about.target).await?.filter(|holder| Some(*holder) != about.run),
        is_flapping: alert.is_some_and(|alert| alert.flapping),
        firing,
        cooling_until: cooling.map(|charge| charge.until),
        runs_in_window: u32::try_from(runs_in_window).unwrap_or(u32::MAX),
        lacks_approvers: lacks_approvers(about, &context.rules.people),
    })
}

/// The same for a run before it changes something, and whether that is the first time. An attempt that is known not to
/// have happened counts for nothing, but what the run itself was charged for it is not held against it.
pub(super) async fn of_case(case: &mut Case<'_, '_>) -> store::Result<(Moment, Facts)> {
    let run = case.run.clone();
    let about = Subject {
        run: Some(run.id),
        plan: &run.plan,
        target: &run.target,
        cause: run.cause.as_ref(),
        requester: run.requester(),
        mode: run.mode,
    };
    let mut facts = of(case.context, about, false).await?;
    if run.mutated_at.is_some() {
        facts.cooling_until = None;
    }
    let has_mutated = case.journal.has_mutated(&run.plan);
    Ok((if has_mutated { Moment::LaterMutation } else { Moment::FirstMutation }, facts))
}

/// Why nothing may be changed on this service, if a halt stands.
pub(super) async fn halted(context: &mut Context<'_>, service: &str) -> store::Result<Option<String>> {
    let standing = halts::standing(context.tx).await?;
    let halt = standing.into_iter().find(|halt| halt.scope == halts::EVERYTHING || halt.scope == service);
    Ok(halt.map(|halt| format!("{}, ordered by {}", halt.reason, halt.actor)))
}

/// Whether people might have to approve and the configuration knows nobody who could.
fn lacks_approvers(about: Subject<'_>, people: &People) -> bool {
    let Some(approval) = &about.plan.approval else { return false };
    if about.mode == Mode::Observe || (about.mode == Mode::Auto && approval.when.is_none()) || approval.by.is_empty() {
        return false;
    }
    let counts = |person: &PersonId| about.requester != Some(person);
    !approval.by.iter().any(|approver| match approver {
        // Who has a role of the chat is known only when they act.
        Approver::Role(role) => {
            people.chat_roles.values().any(|named| named == role)
                || people.known.iter().any(|(person, roles)| counts(person) && roles.contains(role))
        }
        Approver::Person(name) => {
            let person = PersonId(name.clone());
            counts(&person) && people.known.contains_key(&person)
        }
    })
}
