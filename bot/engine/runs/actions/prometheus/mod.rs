//! `prometheus.query` and `prometheus.wait`: what is measured, and what cannot be.

pub(in crate::engine::runs) mod query;
pub(in crate::engine::runs) mod wait;

use serde_json::Value;

use super::text;
use crate::engine::{
    ports::Sample,
    runs::{Ports, Work},
};

/// Asks one query of the server that the step names.
async fn ask(ports: &Ports, work: &Work, query: Option<&str>) -> Result<Vec<Sample>, String> {
    let query = query.ok_or("there is no `query`")?;
    ports.metrics.query(text(&work.with, "server"), query, work.timeout).await
}

/// The value of an answer that is one sample.
///
/// # Errors
/// Says why there is none: no series, several of them, or a value that is no number.
fn single(samples: &[Sample]) -> Result<f64, String> {
    match samples {
        [] => Err("there is no series".to_owned()),
        [one] if one.value.is_finite() => Ok(one.value),
        [one] => Err(format!("the value is `{}`", one.value)),
        several => Err(format!("there are {} series instead of one", several.len())),
    }
}

/// A value as JSON, which knows only finite ones.
fn finite(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}
