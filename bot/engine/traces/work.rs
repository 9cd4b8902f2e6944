//! Sends spans to the collector, and holds nobody up: not when it is slow, not when it is down, not when the bot ends.
//!
//! What the process before this one wrote in its last moments is told again, for it may have been killed before it was
//! sent; the same things have the same spans.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Backlog, Decided, Traces, dropped, project};
use crate::{
    domain::traces::Span,
    engine::{
        Engine,
        ports::{Collector, Untaken},
    },
    store::{self, timeline},
};

/// How long spans are collected before they are sent together.
const TOGETHER: Duration = Duration::from_millis(500);
/// How many are sent together at the most.
const AT_ONCE: usize = 512;
/// How long the collector is left alone after it did not take spans; the last of these is the end of patience.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// The longest pause that a collector may ask for.
const LONGEST: Duration = Duration::from_secs(30);
/// How long the last spans may take when the bot ends.
const ENDING: Duration = Duration::from_secs(1);
/// What was written so shortly before the process before this one fell silent is told again.
const RECALLED: Duration = Duration::from_secs(5);
/// How many entries are told again at the most.
const MOST: i64 = 500;

/// Makes spans of what is noted and sends them, until the bot ends.
pub async fn work(
    engine: Arc<Engine>,
    traces: Traces,
    backlog: Backlog,
    collector: Arc<dyn Collector>,
    stop: CancellationToken,
) {
    let Backlog { mut decisions, mut spans, heard } = backlog;
    let telling = async {
        if let Some(heard) = heard {
            let recalled = async {
                let mut reader = engine.read().await?;
                timeline::newest_between(&mut reader, (heard - RECALLED, heard), MOST).await
            };
            for entry in logged(recalled.await).unwrap_or_default() {
                let decided = Decided {
                    what: String::new(),
                    begun: entry.at,
                    done: entry.at,
                    told: vec![entry.reference],
                    ended: None,
                    deliveries: Vec::new(),
                    rules: engine.rules(),
                    is_recalled: true,
                };
                tell(&engine, &traces, &decided).await;
            }
        }
        while let Some(decided) = decisions.recv().await {
            tell(&engine, &traces, &decided).await;
        }
    };
    let mut sender = Sender { collector, is_down: false };
    let mut batch = Vec::new();
    let sending = async {
        while spans.recv_many(&mut batch, AT_ONCE).await > 0 {
            tokio::time::sleep(TOGETHER).await;
            while batch.len() < AT_ONCE
                && let Ok(span) = spans.try_recv()
            {
                batch.push(span);
            }
            sender.send(&batch).await;
            batch.clear();
        }
    };
    tokio::select! {
        () = async { tokio::join!(telling, sending); } => {}
        () = stop.cancelled() => {}
    }
    let ending = async {
        while let Ok(decided) = decisions.try_recv() {
            tell(&engine, &traces, &decided).await;
        }
        // With what was just being sent: nobody knows whether it arrived.
        while let Ok(span) = spans.try_recv() {
            batch.push(span);
        }
        for batch in batch.chunks(AT_ONCE) {
            sender.once(batch).await;
        }
    };
    if tokio::time::timeout(ENDING, ending).await.is_err() {
        tracing::debug!("the collector of traces did not take the last spans in time");
    }
}

/// Makes the spans of a decision. A store that cannot be read costs only them.
async fn tell(engine: &Engine, traces: &Traces, decided: &Decided) {
    let made = async { project::spans(&mut engine.read().await?, &traces.instance, decided).await };
    match logged(made.await) {
        Some(spans) => spans.into_iter().for_each(|span| traces.note(span)),
        None => dropped(decided.told.len().max(1), "store"),
    }
}

fn logged<T>(read: store::Result<T>) -> Option<T> {
    read.inspect_err(|fault| tracing::debug!(%fault, "what a trace shows cannot be read")).ok()
}

struct Sender {
    collector: Arc<dyn Collector>,
    is_down: bool,
}

impl Sender {
    /// Sends spans, again if the collector asks for that, and drops them in the end.
    async fn send(&mut self, spans: &[Span]) {
        for pause in PAUSES.into_iter().map(Some).chain([None]) {
            let Err(untaken) = self.collector.take(spans).await.map(|refused| self.taken(spans.len(), refused)) else {
                return;
            };
            let is_first = !std::mem::replace(&mut self.is_down, true);
            if is_first {
                tracing::warn!(why = untaken.why, "the collector of traces does not take spans");
            }
            match (untaken.again, pause) {
                (Some(asked), Some(pause)) => tokio::time::sleep(asked.max(pause).min(LONGEST)).await,
                (None, _) | (_, None) => return dropped(spans.len(), "collector"),
            }
        }
    }

    /// Sends spans without a second try.
    async fn once(&mut self, spans: &[Span]) {
        match self.collector.take(spans).await {
            Ok(refused) => self.taken(spans.len(), refused),
            Err(Untaken { .. }) => dropped(spans.len(), "collector"),
        }
    }

    fn taken(&mut self, count: usize, refused: usize) {
        if std::mem::take(&mut self.is_down) {
            tracing::info!("the collector of traces takes spans again");
        }
        metrics::counter!("firewarden_traces_sent_total").increment(count.saturating_sub(refused) as u64);
        if refused > 0 {
            dropped(refused, "refused");
        }
    }
}
