//! `prometheus.query`: what a query gives at this moment.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{ask, finite, single};
use crate::engine::{
    ports::Sample,
    runs::{Outcome, Ports, Work, actions::text},
};

/// The most samples that are kept.
const MOST: usize = 100;

pub(in crate::engine::runs) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        match ask(ports, work, text(&work.with, "query")).await {
            Ok(samples) => Outcome::Done(output(&samples)),
            Err(why) => Outcome::Failed { why, may_have_changed: false },
        }
    })
}

fn output(samples: &[Sample]) -> Value {
    let single = single(samples);
    let shown: Vec<Value> = samples
        .iter()
        .take(MOST)
        .map(|sample| json!({ "labels": sample.labels, "value": finite(sample.value), "at": sample.at }))
        .collect();
    json!({ "value": single.as_ref().ok(), "unknown": single.as_ref().err(), "samples": shown })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::time::Time;

    fn sample(value: f64) -> Sample {
        Sample { labels: BTreeMap::new(), value, at: Time::EPOCH }
    }

    #[test]
    fn only_one_finite_sample_is_a_value() {
        let one = output(&[sample(0.25)]);
        assert_eq!((&one["value"], &one["unknown"]), (&json!(0.25), &Value::Null));
        for (samples, why) in [
            (vec![], "there is no series"),
            (vec![sample(f64::NAN)], "the value is `NaN`"),
            (vec![sample(f64::INFINITY)], "the value is `inf`"),
            (vec![sample(1.0), sample(2.0)], "there are 2 series instead of one"),
        ] {
            let unknown = output(&samples);
            assert_eq!((&unknown["value"], &unknown["unknown"]), (&Value::Null, &json!(why)));
            assert_eq!(unknown["samples"].as_array().map(Vec::len), Some(samples.len()));
        }
    }
}
