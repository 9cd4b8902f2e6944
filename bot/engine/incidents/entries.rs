//! How what alerts do is told in a timeline, and how they stand as members of an incident.

use crate::{
    domain::{
        alerts::{AlertState, What},
        ids::IncidentId,
        incidents::{Event, Grouping, Member},
        people::Actor,
        timeline::Draft,
    },
    engine::{Context, alerts},
    store::incidents::Membership,
};

/// The event of an alert that fires, or that goes on to fire after a silence.
pub(super) fn fired_event(item: &alerts::News, grouping: Grouping, goes_on: bool) -> Event {
    let alert = Member::of(&item.alert);
    if goes_on {
        return Event::AlertHeardAgain { alert };
    }
    Event::AlertFired {
        alert,
        severity: item.decision.severity,
        grouping,
        is_again: item.what != What::Fired,
        starts_at: item.alert.starts_at,
    }
}

/// How the alert stands in an incident that it is in already.
pub(super) fn membership(
    item: &alerts::News,
    id: IncidentId,
    before: &Membership,
    context: &Context<'_>,
) -> Membership {
    Membership { joined_at: before.joined_at, ..new_membership(item, id, context) }
}

/// How the alert stands in an incident that it joins.
pub(super) fn new_membership(item: &alerts::News, id: IncidentId, context: &Context<'_>) -> Membership {
    let alert = &item.alert;
    Membership {
        incident: id,
        key: alert.key.clone(),
        name: alert.labels.alertname().to_owned(),
        severity: item.decision.severity,
        episode: alert.episode,
        state: alert.state,
        is_flapping: alert.flapping,
        is_quiet: false,
        joined_at: context.now,
        fired_at: alert.fired_at,
        cleared_at: alert.resolved_at.filter(|_| alert.state == AlertState::Resolved),
        cleared_in: None,
        silent_since: alert.silent_since(),
    }
}

/// The source that spoke.
pub(super) fn speaker(item: &alerts::News) -> Actor {
    Actor::Source(item.source.clone().unwrap_or_else(|| item.alert.source.clone()))
}

/// An entry that the source causes.
pub(super) fn told_by_source(item: &alerts::News, event: &Event) -> Draft {
    with_clock(item, Draft::new(speaker(item), event))
}

/// An entry that a rule of the bot causes.
pub(super) fn told_by_bot(item: &alerts::News, event: &Event) -> Draft {
    with_clock(item, Draft::new(Actor::Bot, event))
}

fn with_clock(item: &alerts::News, draft: Draft) -> Draft {
    match item.source_at {
        Some(at) => draft.source_at(at),
        None => draft,
    }
}
