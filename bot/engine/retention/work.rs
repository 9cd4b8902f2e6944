//! Looks every hour for what may leave, writes it to files, and then lets it go.
//!
//! It rests while everything is halted: after a restore, say, people look at what is there before it moves.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Event,
    decide::{Leave, Prune},
};
use crate::{
    domain::{time::Time, timeline::Entry},
    engine::{Engine, Rules, ports::Shelf},
    store::{
        self, Reader,
        archives::{self, Part},
        halts::{self, EVERYTHING},
        inputs,
        transfer::{self, Reading},
    },
};

/// How often is looked.
const EVERY: Duration = Duration::from_hours(1);
/// Wait before the next look when something does not work.
const AFTER_TROUBLE: Duration = Duration::from_mins(5);
/// How many incidents leave between two looks at the halts, and how many rows go by one statement.
const AT_ONCE: i64 = 20;
const ROWS: i64 = 500;
/// A day in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Lets everything leave that was over so long ago, until it is told to stop.
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
        let mut reader = engine.read().await.map_err(words)?;
        if halts::standing(&mut reader).await.map_err(words)?.iter().any(|halt| halt.scope == EVERYTHING) {
            return Ok(());
        }
        let due = due(engine, &mut reader, after).await.map_err(words)?;
        drop(reader);
        let mut left = 0;
        for (part, before) in due {
            left += u64::from(leave(engine, (part, before), shelf).await?);
        }
        let now = engine.now();
        let prune = Prune { before: now - after, most: ROWS, now };
        let pruned = engine.store().decide(prune).await.map_err(words)?;
        // What did not leave stays due: it is tried again at the next look.
        if left == 0 && pruned < ROWS.unsigned_abs() {
            return Ok(());
        }
    }
}

/// What may leave next, each with the time before which it has to be over.
///
/// Runs and entries leave by whole days, for a file of each hour would hold next to nothing.
async fn due(engine: &Engine, reader: &mut Reader, after: Duration) -> store::Result<Vec<(Part, Time)>> {
    let now = engine.now();
    let incidents = archives::due(reader, now - after, AT_ONCE).await?;
    let mut due: Vec<(Part, Time)> = incidents.into_iter().map(|id| (Part::Incident(id), now - after)).collect();
    let before = midnight(now - after.max(needed(&engine.rules())));
    let runs = archives::due_runs(reader, before).await?;
    if !runs.is_empty() {
        due.push((Part::Runs(runs), before));
    }
    let before = midnight(now - after);
    let entries = archives::due_entries(reader, before).await?;
    // Of nothing but what left before there would be another file every day for ever.
    let is_news = |entry: &Entry| !matches!(entry.event::<Event>(), Some(Event::EntriesArchived { .. }));
    if let Some(last) = entries.last().filter(|_| entries.iter().any(is_news)) {
        due.push((Part::Entries(last.reference.seq), before));
    }
    Ok(due)
}

/// How long runs are needed in any case: as long as guards count them, and as their triggers may come again.
fn needed(rules: &Rules) -> Duration {
    let counted = rules.runs.runbooks.values().filter_map(|plan| plan.guards.max_runs.as_ref()).map(|most| most.per);
    counted.fold(inputs::REMEMBERED, Duration::max)
}

fn midnight(at: Time) -> Time {
    Time::from_millis(at.millis() - at.millis().rem_euclid(DAY))
}

/// Writes something to its file and takes it away; whether it left.
async fn leave(engine: &Engine, (part, before): (Part, Time), shelf: &dyn Shelf) -> Result<bool, String> {
    let words = |fault: store::Fault| fault.to_string();
    let written_at = engine.now();
    let mut reader = engine.read().await.map_err(words)?;
    let (content, seal) = transfer::archive(&mut reader, &part, written_at).await.map_err(words)?;
    drop(reader);
    let flaws = Reading::begin(content.as_slice()).and_then(|mut reading| transfer::check(&mut reading));
    let flaws = flaws.map_err(|damaged| damaged.to_string())?;
    if !flaws.is_empty() {
        tracing::error!(%part, flaws = flaws.join(", "), "what was changed by other means is not archived");
        return Ok(false);
    }
    let file = shelf.put(&part.to_string().replace('#', "-"), content).await?;
    let name = part.to_string();
    let leave = Leave { part, before, written_at, file: file.clone(), sha256: seal.sha256 };
    // Where the answer was lost nobody knows whether the file is the only one: it stays.
    let left = engine.store().decide(leave).await.map_err(words)?;
    if left {
        tracing::info!(name, file, "what was over was archived");
    } else {
        shelf.take_back(&file).await;
    }
    Ok(left)
}
