//! Starts the making of traces, where a collector is configured.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::config::Config;
use crate::{
    adapters::otlp::Otlp,
    engine::{
        Engine,
        ports::Http,
        traces::{Backlog, Traces, work},
    },
    store::Store,
};

/// Traces that are about to be made.
pub(super) struct Started {
    /// Where spans are noted.
    pub(super) noted: Traces,
    backlog: Backlog,
    collector: Otlp,
}

impl Started {
    /// Makes them and sends them until the bot is told to stop.
    pub(super) async fn work(self, engine: Arc<Engine>, stop: CancellationToken) {
        work::work(engine, self.noted, self.backlog, Arc::new(self.collector), stop).await;
    }
}

/// What is needed for traces; nothing if nobody looks at any. To be called before anything is written.
///
/// # Errors
/// When the store cannot be read, or a secret is missing.
pub(super) async fn start(config: &Config, store: &Store, http: &Arc<dyn Http>) -> anyhow::Result<Option<Started>> {
    let Some(section) = &config.file.traces else { return Ok(None) };
    let mut headers = Vec::new();
    for (name, value) in &section.headers {
        let value =
            config.secret(value).map_err(|why| anyhow::anyhow!("The header `{name}` of traces is missing: {why}"))?;
        headers.push((name.clone(), value));
    }
    let (noted, backlog) = Traces::of(store).await?;
    let collector = Otlp::new(&section.endpoint, headers, (&section.service, noted.instance()), Arc::clone(http));
    Ok(Some(Started { noted, backlog, collector }))
}
