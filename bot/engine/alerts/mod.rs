//! Takes what sources say of alerts, and notices when they fall silent.

pub mod decide;
pub mod lane;

use std::sync::Arc;

use crate::{
    domain::{
        alerts::{Alert, What},
        routes::Decision,
        time::Time,
    },
    engine::features::Feature,
};

/// Something happened to an alert that incidents want to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// What happened.
    pub what: What,
    /// The alert as it stands after it.
    pub alert: Arc<Alert>,
    /// The source whose statement caused it; none if it was the passing of time.
    pub source: Option<String>,
    /// When it happened by the source's clock, if the source says so.
    pub source_at: Option<Time>,
    /// Where the alert goes, and why.
    pub decision: Arc<Decision>,
    /// How many alerts the same delivery left out and names nowhere.
    pub truncated: u64,
}

/// What a sender of alerts is told once they are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// How many statements were taken.
    pub alerts: usize,
}

/// The feature `alerts`.
pub static FEATURE: Feature =
    Feature { name: "alerts", commands: &[], timers: &[(decide::SWEEP, decide::sweep)], cards: &[], names: &[] };
