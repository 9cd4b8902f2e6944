//! Looks every hour for incidents that may leave, writes each to its file, and then lets it go.
//!
//! It rests while everything is halted: after a restore, say, people look at what is there before it moves.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::decide::{Leave, Prune};
use crate::{
    domain::ids::IncidentId,
    engine::{Engine, ports::Shelf},
    store::{
        self, archives,
        halts::{self, EVERYTHING},
        transfer,
    },
};

/// How often is looked.
const EVERY: Duration = Duration::from_hours(1);
/// Wait before the next look when something does not work.
const AFTER_TROUBLE: Duration = Duration::from_mins(5);
/// How many incidents leave between two looks at the halts, and how many rows go by one statement.
const AT_ONCE: i64 = 20;
const ROWS: i64 = 500;

/// Lets incidents leave that ended so long ago, until it is told to stop.
pub async fn work(engine: Arc<Engine>, (after, shelf): (Duration, Arc<dyn Shelf>), stop: CancellationToken) {
    loop {
        let swept = tokio::select! {
            swept = sweep(&engine, after, &*shelf) => swept,
            () = stop.cancelled() => return,
        };
        let pause = match swept {
            Ok(()) => EVERY,
            Err(why) => {
                tracing::warn!(why, "what is over stays in the store for a while longer");
                AFTER_TROUBLE
            }
        };
        tokio::select! {
            () = engine.clock().sleep_until(engine.now() + pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Lets everything leave that may, bit by bit.
pub(super) async fn sweep(engine: &Engine, after: Duration, shelf: &dyn Shelf) -> Result<(), String> {
    let words = |fault: store::Fault| fault.to_string();
    loop {
        let now = engine.now();
        let before = now - after;
        let mut reader = engine.read().await.map_err(words)?;
        if halts::standing(&mut reader).await.map_err(words)?.iter().any(|halt| halt.scope == EVERYTHING) {
            return Ok(());
        }
        let due = archives::due(&mut reader, before, AT_ONCE).await.map_err(words)?;
        drop(reader);
        let mut left = 0;
        for id in &due {
            left += i64::from(leave(engine, *id, before, shelf).await?);
        }
        let pruned = engine.store().decide(Prune { before, most: ROWS, now }).await.map_err(words)?;
        // What did not leave stays due: it is tried again at the next look.
        if left < AT_ONCE && i64::try_from(pruned).unwrap_or(i64::MAX) < ROWS {
            return Ok(());
        }
    }
}

/// Writes an incident to its file and takes it away; whether it left.
async fn leave(
    engine: &Engine,
    id: IncidentId,
    before: crate::domain::time::Time,
    shelf: &dyn Shelf,
) -> Result<bool, String> {
    let words = |fault: store::Fault| fault.to_string();
    let written_at = engine.now();
    let mut reader = engine.read().await.map_err(words)?;
    let (content, seal) = transfer::incident(&mut reader, id, written_at).await.map_err(words)?;
    drop(reader);
    let file = shelf.put(&id.to_string(), content).await?;
    let leave = Leave { incident: id, before, written_at, file: file.clone(), sha256: seal.sha256 };
    // Where the answer was lost nobody knows whether the file is the only one: it stays.
    let left = engine.store().decide(leave).await.map_err(words)?;
    if left {
        tracing::info!(incident = %id, file, "an incident was archived");
    } else {
        shelf.take_back(&file).await;
    }
    Ok(left)
}
