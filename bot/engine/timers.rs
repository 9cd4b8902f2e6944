//! Sleeps until the earliest timer is due and hands it to the feature that set it.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{Context, Engine, Input};
use crate::store::{self, Wake, timers::Due};

/// What a feature does when a timer of its kind is due. The timer is gone unless it is set again.
pub type OnDue = for<'a> fn(&'a mut Context<'_>, &'a Due) -> BoxFuture<'a, store::Result<()>>;

/// How many timers are decided on at once.
const BATCH: i64 = 100;
/// Looked at again after this long even if nothing woke it.
const AT_LEAST: Duration = Duration::from_secs(30);
/// Wait before the next try when the store is in trouble.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// Fires timers until it is told to stop.
pub async fn work(engine: Arc<Engine>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let woken = engine.store().woken(Wake::Timers);
        let pause = match fire(&engine).await {
            Ok(pause) => pause,
            Err(fault) => {
                tracing::error!(%fault, "timers cannot be looked at");
                engine.now() + AFTER_TROUBLE
            }
        };
        tokio::select! {
            () = engine.clock().sleep_until(pause) => {}
            () = woken => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Fires what is due and says when to look again.
async fn fire(engine: &Engine) -> store::Result<crate::domain::time::Time> {
    loop {
        let now = engine.now();
        let mut reader = engine.read().await?;
        let due = store::timers::due(&mut reader, now, BATCH).await?;
        if due.is_empty() {
            let earliest = store::timers::earliest(&mut reader).await?;
            return Ok(earliest.map_or(now + AT_LEAST, |at| at.min(now + AT_LEAST)));
        }
        drop(reader);
        for timer in due {
            engine.submit(Input::Due(timer)).await?;
        }
    }
}
