//! What guards are evaluated by, read at the moment of the decision.

use std::sync::Arc;

use crate::{
    domain::{
        alerts::{Alert, AlertState},
        ids::RunId,
        people::PersonId,
        runbooks::plan::{Approver, Mode, Plan, Target},
        runs::{
            Cause,
            breaker::{LOOKED_AT, Standing, standing},
            guards::{Facts, Firing, Moment},
        },
        time::Time,
    },
    engine::{View, freezes, locks as engine_locks, rules::People, runs::case::Case},
    store::{self, FaultKind, alerts, guards as asked, halts, locks},
};

/// What a run, or one that is about to start, is about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) run: Option<RunId>,
    /// In whose name targets are locked.
    pub(super) holder: Option<RunId>,
    pub(super) plan: &'a Plan,
    pub(super) target: &'a Target,
    pub(super) cause: Option<&'a Cause>,
    pub(super) requester: Option<&'a PersonId>,
    pub(super) mode: Mode,
    pub(super) started_at: Option<Time>,
}

/// What guards are evaluated by, beside why nothing may be changed on the service, if a halt stands, and the alert that
/// started the run, as it is.
pub(super) async fn of(
    view: &mut View<'_>,
    about: Subject<'_>,
    (halted, alert): (Option<String>, Option<&Alert>),
) -> store::Result<Facts> {
    let firing = about.cause.map(|_| match alert.map(|alert| alert.state) {
        Some(AlertState::Firing) => Firing::Yes,
        Some(AlertState::Stale) => Firing::Silent,
        Some(AlertState::Resolved) | None => Firing::No,
    });
    let standing = locks::standing(view.reader, &about.plan.name, about.target).await?;
    let runs_in_window = match about.plan.guards.max_runs {
        Some(most) => {
            let since = view.now - most.per;
            asked::mutations_since(view.reader, about.run, (&about.plan.name, about.target), since).await?
        }
        None => 0,
    };
    let service = about.target.service.as_str();
    let (mut frozen, mut service_locked, mut unreadable) = (None, None, None);
    match freezes::frozen(view, about.target).await {
        Ok(found) => frozen = found,
        // What cannot be read lets nothing through. A store in trouble ends the whole decision.
        Err(fault) if fault.kind == FaultKind::Defect => unreadable = Some(format!("the freezes: {fault}")),
        Err(fault) => return Err(fault),
    }
    match engine_locks::keeper(view, service, about.requester).await {
        Ok(found) => service_locked = found,
        Err(fault) if fault.kind == FaultKind::Defect => unreadable = Some(format!("the lock: {fault}")),
        Err(fault) => return Err(fault),
    }
    let breaker = breaker(view, about).await?;
    Ok(Facts {
        frozen,
        service_locked,
        unreadable,
        breaker,
        halted,
        is_halt_file_there: false,
        locked_by: standing.holder.filter(|holder| Some(*holder) != about.holder),
        holds_target: standing.holder.is_some() && standing.holder == about.holder,
        is_flapping: alert.is_some_and(|alert| alert.flapping),
        firing,
        charged: standing.charged,
        runs_in_window: u32::try_from(runs_in_window).unwrap_or(u32::MAX),
        lacks_approvers: lacks_approvers(about, &view.rules.people),
    })
}

/// How the breaker of the runbook stands on the target, if it has one.
async fn breaker(view: &mut View<'_>, about: Subject<'_>) -> store::Result<Standing> {
    let Some(breaker) = &about.plan.guards.breaker else { return Ok(Standing::Closed) };
    let past = asked::past(view.reader, &about.plan.name, about.target, LOOKED_AT).await?;
    let begun = about.started_at.unwrap_or(view.now);
    let by = (about.cause.map(|cause| &cause.key), begun);
    Ok(standing(breaker, &past, by, view.now))
}

/// The same for a run before it changes something, and whether that is the first time. An attempt that is known not to
/// have happened counts for nothing, but what the run itself was charged for it is not held against it.
pub(super) async fn of_case(case: &mut Case<'_, '_>) -> store::Result<(Moment, Facts)> {
    let run = case.run.clone();
    let about = Subject {
        run: Some(run.id),
        holder: Some(run.holder()),
        plan: &run.plan,
        target: &run.target,
        cause: run.cause.as_ref(),
        requester: run.requester(),
        mode: run.mode,
        started_at: Some(run.started_at),
    };
    let (halted, alert) = (case.halted().await?, case.alert().await?);
    let mut facts = of(&mut case.context.view(), about, (halted, alert.as_deref())).await?;
    if run.mutated_at.is_some() {
        facts.charged = None;
    }
    let has_mutated = case.journal.has_mutated(&run.plan);
    Ok((if has_mutated { Moment::LaterMutation } else { Moment::FirstMutation }, facts))
}

/// The alert that started a run, as it is; none if none did, or nothing is known of it any more.
pub(super) async fn alert(view: &mut View<'_>, cause: Option<&Cause>) -> store::Result<Option<Arc<Alert>>> {
    let Some(cause) = cause else { return Ok(None) };
    Ok(alerts::known(view.reader, [&cause.key]).await?.remove(&cause.key))
}

/// Why nothing may be changed on this service, if a halt stands.
pub(super) async fn halted(view: &mut View<'_>, service: &str) -> store::Result<Option<String>> {
    let standing = halts::standing(view.reader).await?;
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
