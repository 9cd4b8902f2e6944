//! Starts runbooks by the clock: a timer for the next time of each, once for each civil time.
//!
//! A time at which no process was there is run late or left out, as the runbook declares, and told either way.

use std::{collections::BTreeMap, time::Duration};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{
    start::{self, Wish},
    triggers::begin,
};
use crate::{
    domain::{
        people::Actor,
        runbooks::schedule::{Missed, Occurrence, Schedule},
        runs::{Reason, guards::Refused},
        time::Time,
    },
    engine::Context,
    store::{self, timers},
};

/// The timer that is due when the clock starts a runbook.
pub(super) const SCHEDULED: &str = "run-schedule";
/// A time is missed if nobody was there for so long after it.
const GRACE: Duration = Duration::from_mins(1);

/// The next time of a runbook.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Scheduled {
    runbook: String,
    schedule: Schedule,
    civil: String,
}

/// Sets a timer for each runbook that the clock starts, and takes back those of others. One that stands is kept: it may
/// have been missed.
pub(super) async fn keep(context: &mut Context<'_>) -> store::Result<()> {
    let rules = context.rules;
    let mut wanted: BTreeMap<&str, &Schedule> = rules
        .runs
        .runbooks
        .values()
        .filter_map(|plan| Some((plan.name.as_str(), plan.trigger.schedule.as_ref()?)))
        .collect();
    for timer in timers::of_kind(context.tx, SCHEDULED).await? {
        let known = serde_json::from_str::<Scheduled>(&timer.subject).ok();
        let is_wanted = known.is_some_and(|known| {
            let is_same = wanted.get(known.runbook.as_str()).is_some_and(|schedule| **schedule == known.schedule);
            if is_same {
                wanted.remove(known.runbook.as_str());
            }
            is_same
        });
        if !is_wanted {
            timers::clear(context.tx, SCHEDULED, &timer.subject).await?;
        }
    }
    let now = context.now;
    for (runbook, schedule) in wanted {
        set(context, runbook, schedule, schedule.next(now)).await?;
    }
    Ok(())
}

async fn set(
    context: &mut Context<'_>,
    runbook: &str,
    schedule: &Schedule,
    next: Option<Occurrence>,
) -> store::Result<()> {
    let Some(Occurrence { civil, at }) = next else { return Ok(()) };
    let scheduled = Scheduled { runbook: runbook.to_owned(), schedule: schedule.clone(), civil };
    timers::set(context.tx, SCHEDULED, &serde_json::to_string(&scheduled)?, at).await
}

/// A runbook's time has come, or has passed unheard.
pub(super) fn due<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let Ok(scheduled) = serde_json::from_str::<Scheduled>(&due.subject) else { return Ok(()) };
        let rules = context.rules;
        let Some(plan) = rules.runs.runbooks.get(&scheduled.runbook) else { return Ok(()) };
        if plan.trigger.schedule.as_ref() != Some(&scheduled.schedule) {
            return Ok(());
        }
        let Scheduled { runbook, schedule, civil } = scheduled;
        let now = context.now;
        set(context, &runbook, &schedule, schedule.next(now)).await?;
        let wish = Wish::new(plan, Actor::Bot, format!("{civil} {}", schedule.zone));
        if now.since(due.at) <= GRACE {
            return begin(context, &wish).await.map(drop);
        }
        let missed = missed(&schedule, due.at, now);
        let times = if missed > 1 { format!(" and {} later times", missed - 1) } else { String::new() };
        let what = format!("{civil} in {}{times}", schedule.zone);
        match schedule.missed {
            Missed::Skip => {
                let refused = Refused::new(Reason::Missed, what);
                start::refuse(context, &wish, None, refused.clone()).await?;
                start::say_refused(context, None, &runbook, &refused).await
            }
            Missed::Run => {
                let refused = Refused::new(Reason::Missed, format!("{what}; it is run late"));
                start::refuse(context, &wish, None, refused).await?;
                begin(context, &wish).await.map(drop)
            }
        }
    })
}

/// How many times have passed, as far as they are worth counting.
fn missed(schedule: &Schedule, first: Time, now: Time) -> usize {
    let mut after = first;
    for count in 1..1_000 {
        match schedule.next(after) {
            Some(next) if next.at <= now => after = next.at,
            Some(_) | None => return count,
        }
    }
    1_000
}
