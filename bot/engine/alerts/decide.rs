//! Folds statements about alerts into what is known, and tells what changed.
//!
//! The number of SQL statements does not grow with the number of alerts.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::{News, Receipt};
use crate::{
    domain::{
        alerts::{self, Batch, Change, Changes, What},
        ids::AlertKey,
        routes,
    },
    engine::{Context, decide::alerts_changed},
    store::{self, inputs, timers, timers::Due},
};

/// The timer that looks for alerts whose source fell silent.
pub(super) const SWEEP: &str = "alerts";
/// How many alerts one look takes at the most.
const SWEPT: i64 = 500;

/// Takes these deliveries; the receipts are in their order.
pub async fn receive(context: &mut Context<'_>, batches: &[Arc<Batch>]) -> store::Result<(Vec<Receipt>, Vec<News>)> {
    let rules = context.rules;
    let settings = &rules.alerts;
    let keyed = |batch: &Batch| -> Vec<AlertKey> {
        batch.signals.iter().map(|signal| settings.replica_labels.key(&signal.labels)).collect()
    };
    let mut fresh = Vec::with_capacity(batches.len());
    let mut again = Vec::new();
    for batch in batches {
        let keys = keyed(batch);
        if is_new(context, batch).await? {
            fresh.push((batch, keys));
        } else {
            again.extend(keys.into_iter().map(|key| (key, &batch.source)));
        }
    }
    let again: Vec<_> = again.iter().map(|(key, source)| (key, "delivered_before", source.as_str())).collect();
    store::alerts::suppressed(context.tx, &again, context.now).await?;
    let keys: BTreeSet<&AlertKey> = fresh.iter().flat_map(|(_, keys)| keys).collect();
    let mut known = store::alerts::known(context.tx, keys).await?;
    let mut all = Changes::default();
    let mut news = Vec::new();
    for (batch, keys) in &fresh {
        let changes = alerts::fold(&known, keys.iter().zip(&batch.signals), context.now, settings);
        known.extend(changes.alerts.iter().map(|(key, alert)| (key.clone(), alert.clone())));
        news.extend(changes.list.iter().filter_map(|change| tell(context, change, batch.truncated)));
        all.list.extend(changes.list);
        all.alerts.extend(changes.alerts);
    }
    write(context, &all).await?;
    let receipts = batches.iter().map(|batch| Receipt { alerts: batch.signals.len() }).collect();
    Ok((receipts, news))
}

/// Notices silence and quiet, and looks again when the next alert is due.
pub(super) fn sweep<'a>(context: &'a mut Context<'_>, _: &'a Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let due = store::alerts::due(context.tx, context.now, SWEPT).await?;
        let mut changes = alerts::sweep(&due, context.now, &context.rules.alerts);
        // Those that stay as they are too: by other settings they may be due at another time than is written.
        for alert in due {
            changes.alerts.entry(alert.key.clone()).or_insert(alert);
        }
        write(context, &changes).await?;
        let news: Vec<News> = changes.list.iter().filter_map(|change| tell(context, change, 0)).collect();
        alerts_changed(context, &news).await?;
        watch(context).await
    })
}

/// Gives every source one more window whose deadline passed while nobody could be heard.
pub async fn after_deafness(context: &mut Context<'_>) -> store::Result<()> {
    let due = store::alerts::due(context.tx, context.now, i64::MAX).await?;
    let changes = alerts::after_deafness(&due, context.now, &context.rules.alerts);
    write(context, &changes).await?;
    watch(context).await
}

async fn is_new(context: &mut Context<'_>, batch: &Batch) -> store::Result<bool> {
    let Some(key) = &batch.source_key else { return Ok(true) };
    // Hashed, for only the sender bounds its length.
    let key = format!("alerts:{}:{}", batch.source, hex::encode(Sha256::digest(key)));
    if inputs::answered(context.tx, &key).await?.is_some() {
        return Ok(false);
    }
    inputs::remember(context.tx, &key, context.now, "").await?;
    Ok(true)
}

async fn write(context: &mut Context<'_>, changes: &Changes) -> store::Result<()> {
    store::alerts::put(context.tx, changes.alerts.values(), &context.rules.alerts).await?;
    let ignored: Vec<_> = changes
        .list
        .iter()
        .filter_map(|change| Some((&change.alert.key, ignored_for(change.what)?, change.source.as_deref()?)))
        .collect();
    store::alerts::suppressed(context.tx, &ignored, context.now).await
}

/// Looks again when the next alert is due.
pub async fn watch(context: &mut Context<'_>) -> store::Result<()> {
    match store::alerts::earliest_due(context.tx).await? {
        Some(at) => timers::set(context.tx, SWEEP, "", at).await,
        None => timers::clear(context.tx, SWEEP, "").await,
    }
}

/// The stable code of the reason for which a statement changed nothing.
fn ignored_for(what: What) -> Option<&'static str> {
    match what {
        What::ResolvedUnknown => Some("resolved_unknown"),
        What::Older => Some("episode_is_over"),
        What::Doubted => Some("may_be_late"),
        What::ReplicaResolved => Some("another_replica_fires"),
        What::Fired
        | What::Refired
        | What::HeardAgain
        | What::Repeated
        | What::Resolved
        | What::WentStale
        | What::Extended
        | What::FlappingStarted
        | What::FlappingEnded => None,
    }
}

/// What incidents want to know of a change, with where the alert goes.
fn tell(context: &Context<'_>, change: &Change, truncated: u64) -> Option<News> {
    let matters = change.what.moves() || matches!(change.what, What::FlappingStarted | What::FlappingEnded);
    (matters || truncated > 0).then(|| News {
        what: change.what,
        alert: Arc::clone(&change.alert),
        source: change.source.clone(),
        source_at: change.source_at,
        decision: Arc::new(routes::choose(&context.rules.routes, &context.rules.default_route, &change.alert.labels)),
        truncated,
    })
}
