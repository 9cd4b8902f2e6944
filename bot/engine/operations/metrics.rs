//! Every metric of the bot, once: its name, what it counts, and in what.

use metrics::Unit;

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is a distribution.
    Histogram,
}

/// Name, kind, unit and meaning of each.
pub static METRICS: &[(&str, Kind, Unit, &str)] = &[
    ("firewarden_intake_requests_total", Kind::Counter, Unit::Count, "Deliveries of alerts, by source and status"),
    ("firewarden_intake_seconds", Kind::Histogram, Unit::Seconds, "From a delivery's head to its answer, by source"),
    (
        "firewarden_intake_alerts_total",
        Kind::Counter,
        Unit::Count,
        "Statements about alerts that were taken, by source",
    ),
    (
        "firewarden_changes_total",
        Kind::Counter,
        Unit::Count,
        "Deliveries about deployments and changes, by source, event and outcome",
    ),
    ("firewarden_store_queue", Kind::Gauge, Unit::Count, "Decisions that wait for the writer"),
    ("firewarden_store_failing_seconds", Kind::Gauge, Unit::Seconds, "Since when no commit succeeds; 0 if they do"),
    ("firewarden_leads", Kind::Gauge, Unit::Count, "1 if this process leads, else 0"),
    ("firewarden_outbox_waiting", Kind::Gauge, Unit::Count, "Messages that wait to be delivered"),
    ("firewarden_outbox_oldest_seconds", Kind::Gauge, Unit::Seconds, "How long the oldest message waits"),
    ("firewarden_outbox_oldest_page_seconds", Kind::Gauge, Unit::Seconds, "How long the oldest page waits"),
    (
        "firewarden_delivery_delay_seconds",
        Kind::Histogram,
        Unit::Seconds,
        "From a message's commit to its delivery, by kind",
    ),
    ("firewarden_runs_total", Kind::Counter, Unit::Count, "Runs that have ended, by runbook and state"),
    ("firewarden_runs_open", Kind::Gauge, Unit::Count, "Runs that have not ended, by state"),
    (
        "firewarden_runs_oldest_seconds",
        Kind::Gauge,
        Unit::Seconds,
        "How long ago the oldest run was started that has not ended, by state",
    ),
    (
        "firewarden_runs_stale_writes_total",
        Kind::Counter,
        Unit::Count,
        "What workers wanted to write of runs that were no longer theirs; nothing of it was written",
    ),
    (
        "firewarden_approvals_oldest_seconds",
        Kind::Gauge,
        Unit::Seconds,
        "How long the oldest question to people waits for its answer",
    ),
    ("firewarden_timers_late_seconds", Kind::Gauge, Unit::Seconds, "How late the earliest timer is; 0 if none is"),
    ("firewarden_traces_sent_total", Kind::Counter, Unit::Count, "Spans that the collector of traces took"),
    ("firewarden_traces_dropped_total", Kind::Counter, Unit::Count, "Spans that nobody will see, by why"),
    ("firewarden_emergency_pages_total", Kind::Counter, Unit::Count, "Emergency pages, by outcome"),
];

/// Tells the recorder what each metric means. To be called once the recorder is installed.
pub fn describe() {
    for (name, kind, unit, help) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *unit, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn recorded(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                recorded(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for kind in ["counter!(", "gauge!(", "histogram!("] {
                for rest in text.split(&format!("metrics::{kind}")).skip(1) {
                    let name = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                    found.extend(name.map(str::to_owned));
                }
            }
        }
    }

    #[test]
    fn every_metric_is_described_and_recorded() {
        let mut found = BTreeSet::new();
        recorded(&Path::new(env!("CARGO_MANIFEST_DIR")).join("bot"), &mut found);
        let described: BTreeSet<String> = METRICS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(found, described);
    }
}
