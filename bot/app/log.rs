//! What is logged: lines for people or JSON for machines, on standard error, and never a secret.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

use super::config::file::{LogFormat, LogSection};

/// Starts the log of this process. `FIREWARDEN_LOG` goes before the configured level. The first call counts.
pub fn start(section: &LogSection) {
    let level = std::env::var("FIREWARDEN_LOG").unwrap_or_else(|_| section.level.clone());
    let filter = EnvFilter::builder().parse_lossy(level);
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(true);
    let started = match section.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log of this process was started before");
    }
}
