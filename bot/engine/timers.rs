//! Sleeps until the earliest timer is due and hands it to the feature that set it.
//!
//! Of several processes one fires timers; the others look too, so that each knows when it could not be heard. A timer is
//! taken in the decision that it leads to: two that believe they lead fire it once.
//! A timer that cannot be decided on is put off, so that it never stands in the way of the others.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{Context, Engine, Input};
use crate::{
    domain::time::Time,
    store::{
        self, Decision, FaultKind, Tx, Wake,
        timers::{self, Due},
    },
};

/// What a feature does when a timer of its kind is due. The timer is gone unless it is set again.
pub type OnDue = for<'a> fn(&'a mut Context<'_>, &'a Due) -> BoxFuture<'a, store::Result<()>>;

/// How many timers are decided on at once.
const BATCH: i64 = 100;
/// Looked at again after this long even if nothing woke it.
const AT_LEAST: Duration = Duration::from_secs(30);
/// Looked at again after this long while another process has a timer to fire.
const NEXT_LOOK: Duration = Duration::from_secs(1);
/// Wait before the next try when the store is in trouble.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// Wait before a timer is tried again that cannot be decided on.
const AFTER_DEFECT: Duration = Duration::from_mins(5);

/// Fires timers while this process leads, until it is told to stop.
pub async fn work(engine: Arc<Engine>, stop: CancellationToken) {
    let mut bell = Bell { engine: Arc::clone(&engine), deaf_since: None };
    while !stop.is_cancelled() {
        let woken = engine.store().woken(Wake::Timers);
        let looked = tokio::select! {
            looked = bell.look() => looked,
            () = stop.cancelled() => return,
        };
        let pause = looked.unwrap_or_else(|fault| {
            tracing::error!(%fault, "timers cannot be looked at");
            engine.now() + AFTER_TROUBLE
        });
        tokio::select! {
            () = engine.clock().sleep_until(pause) => {}
            () = woken => {}
            () = stop.cancelled() => {}
        }
    }
}

struct Bell {
    engine: Arc<Engine>,
    /// Since when nothing could be written, until that is dealt with.
    deaf_since: Option<Time>,
}

impl Bell {
    /// Fires what is due and says when to look again.
    async fn look(&mut self) -> store::Result<Time> {
        if let Some(length) = self.engine.store().failing_for() {
            self.deaf_since.get_or_insert(self.engine.now() - length);
        }
        // Before anything fires: a deadline that passed in a time without ears is none.
        if let Some(since) = self.deaf_since {
            self.engine.submit(Input::DeafSince(since)).await?;
            self.deaf_since = None;
        }
        let looked = if self.engine.store().lead().is_ours() { self.fire().await } else { self.watch().await };
        if looked.is_err() {
            self.deaf_since.get_or_insert(self.engine.now());
        }
        looked
    }

    /// When a timer is due that another process fires.
    async fn watch(&self) -> store::Result<Time> {
        let now = self.engine.now();
        let earliest = timers::earliest(&mut self.engine.read().await?).await?;
        Ok(earliest.map_or(now + AT_LEAST, |at| at.clamp(now + NEXT_LOOK, now + AT_LEAST)))
    }

    async fn fire(&self) -> store::Result<Time> {
        loop {
            let now = self.engine.now();
            let mut reader = self.engine.read().await?;
            let due = timers::due(&mut reader, now, BATCH).await?;
            if due.is_empty() {
                let earliest = timers::earliest(&mut reader).await?;
                return Ok(earliest.map_or(now + AT_LEAST, |at| at.min(now + AT_LEAST)));
            }
            drop(reader);
            for timer in due {
                match self.engine.submit(Input::Due(timer.clone())).await {
                    Err(fault) if fault.kind == FaultKind::Defect => {
                        tracing::error!(%fault, kind = timer.kind, subject = timer.subject, "a timer is put off");
                        self.engine.store().decide(PutOff(timer, now + AFTER_DEFECT)).await?;
                    }
                    fired => drop(fired?),
                }
            }
        }
    }
}

/// Lets a timer be due later.
struct PutOff(Due, Time);

impl Decision for PutOff {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
        let Self(due, at) = self;
        if timers::take(tx, due).await? {
            timers::set(tx, &due.kind, &due.subject, *at).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::IncidentId,
        engine::{Rules, trial::Trial},
    };

    /// Sets a timer that no feature can decide on, and one behind it.
    struct SetTwo(Time);

    impl Decision for SetTwo {
        type Answer = ();

        async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
            timers::set(tx, "incident-quiet", "no incident", self.0).await?;
            timers::set(tx, "incident-quiet", &IncidentId(7).to_string(), self.0 + AFTER_TROUBLE).await
        }
    }

    /// While a newer version takes the place of this one, both are at work, and it may be this one that fires timers.
    #[tokio::test]
    async fn a_timer_that_only_a_newer_version_knows_is_left_to_it() {
        struct Set(Time);
        impl Decision for Set {
            type Answer = ();

            async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
                timers::set(tx, "of-the-future", "x", self.0).await
            }
        }
        let trial = Trial::new(Rules::default()).await;
        trial.engine.store().decide(Set(trial.engine.now())).await.unwrap();
        let mut bell = Bell { engine: Arc::clone(&trial.engine), deaf_since: None };
        bell.look().await.unwrap();
        let left = timers::of_kind(&mut trial.engine.read().await.unwrap(), "of-the-future").await.unwrap();
        assert_eq!(left.len(), 1);
    }

    #[tokio::test]
    async fn a_timer_that_breaks_does_not_stop_those_behind_it() {
        let trial = Trial::new(Rules::default()).await;
        let now = trial.engine.now();
        trial.engine.store().decide(SetTwo(now - AFTER_DEFECT)).await.unwrap();
        let mut bell = Bell { engine: Arc::clone(&trial.engine), deaf_since: None };
        bell.look().await.unwrap();
        let mut reader = trial.engine.read().await.unwrap();
        let left = timers::of_kind(&mut reader, "incident-quiet").await.unwrap();
        let left: Vec<_> = left.iter().map(|timer| (timer.subject.as_str(), timer.at)).collect();
        assert_eq!(left, [("no incident", now + AFTER_DEFECT)]);
    }
}
