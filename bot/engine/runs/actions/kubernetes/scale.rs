//! `kubernetes.scale`: how many replicas a workload has. Where an autoscaler decides that, its minimum or nothing is changed.

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Decided, Seen, Subject, change, number, text, workload};
use crate::engine::{
    cluster::{Autoscaler, Change, Cluster, Name, Object, Trouble},
    runs::{Outcome, Ports, Work},
};

/// What a step wants.
#[derive(Debug, Default)]
struct Wish {
    replicas: Option<i64>,
    by: Option<i64>,
    min: Option<i64>,
    max: Option<i64>,
    largest_step: Option<i64>,
    expect: Option<i64>,
    adjusts: bool,
}

pub(in super::super) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        match wish(&work.with).and_then(|wish| Ok((wish, workload(&work.with)?))) {
            Ok((wish, name)) => change(ports, work, &Scaled { name, wish }).await,
            Err(why) => Outcome::Refused(why),
        }
    })
}

fn wish(with: &Value) -> Result<Wish, String> {
    let wanted = Wish {
        replicas: number(with, "replicas")?,
        by: number(with, "by")?,
        min: number(with, "min")?,
        max: number(with, "max")?,
        largest_step: number(with, "largest_step")?,
        expect: number(with, "expect")?,
        adjusts: text(with, "autoscaler") == Some("adjust_min"),
    };
    match (wanted.replicas, wanted.by) {
        (Some(_), Some(_)) => Err("there are both `replicas` and `by`".to_owned()),
        (None, None) => Err("there is neither `replicas` nor `by`".to_owned()),
        _ => Ok(wanted),
    }
}

struct Scaled {
    name: Name,
    wish: Wish,
}

#[async_trait]
impl Subject<Seen> for Scaled {
    async fn see(&self, cluster: &dyn Cluster) -> Result<Seen, Trouble> {
        let Self { name, wish } = self;
        let workload = cluster.workload(name).await?;
        let Some(autoscaler) = cluster.autoscaler(name).await? else {
            let now = workload.replicas;
            let decided = wish.wanted(now).map(|wanted| Decided {
                change: (wanted != now).then_some(Change::Replicas(wanted)),
                output: json!({ "before": now, "replicas": wanted, "autoscaler": "" }),
            });
            return Ok(Seen {
                object: Object::Workload(name.clone()),
                version: workload.meta.version,
                notes: vec![workload.meta.annotations],
                basis: json!({ "replicas": now }),
                decided,
            });
        };
        Ok(Seen {
            object: Object::Autoscaler { namespace: name.namespace.clone(), name: autoscaler.name.clone() },
            basis: json!({ "minReplicas": autoscaler.min, "maxReplicas": autoscaler.max }),
            decided: wish.adjusted(name, &autoscaler),
            version: autoscaler.meta.version,
            notes: vec![autoscaler.meta.annotations, workload.meta.annotations],
        })
    }
}

impl Wish {
    /// What becomes of an autoscaler that decides.
    fn adjusted(&self, name: &Name, autoscaler: &Autoscaler) -> Result<Decided, Outcome> {
        let Autoscaler { name: by, min, max, .. } = autoscaler;
        if !self.adjusts {
            return Err(Outcome::Refused(format!(
                "the autoscaler `{by}` decides how many replicas {name} has, from {min} to {max}, and would change it back; \
                 `autoscaler: adjust_min` changes its minimum instead"
            )));
        }
        let wanted = self.wanted(*min)?;
        if wanted > *max {
            let why = format!("{wanted} replicas are more than the autoscaler `{by}` may choose, {max}");
            return Err(Outcome::OutOfBounds(why));
        }
        Ok(Decided {
            change: (wanted != *min).then_some(Change::Minimum(wanted)),
            output: json!({ "before": min, "replicas": wanted, "autoscaler": by }),
        })
    }

    /// How many there shall be where there are so many, or why not.
    fn wanted(&self, now: i64) -> Result<i64, Outcome> {
        if let Some(expected) = self.expect.filter(|expected| *expected != now) {
            let why = format!("there are {now} replicas and not {expected}: somebody has changed that since");
            return Err(Outcome::Refused(why));
        }
        let wanted = match (self.replicas, self.by) {
            (Some(replicas), _) => replicas,
            (None, by) => now.saturating_add(by.unwrap_or_default()),
        };
        let least = self.min.unwrap_or(1);
        if wanted < least.max(0) {
            return Err(Outcome::OutOfBounds(format!("{wanted} replicas are fewer than `min` allows, {least}")));
        }
        if let Some(most) = self.max.filter(|most| wanted > *most) {
            return Err(Outcome::OutOfBounds(format!("{wanted} replicas are more than `max` allows, {most}")));
        }
        let step = wanted.abs_diff(now);
        if let Some(largest) = self.largest_step.filter(|largest| i64::try_from(step).is_ok_and(|step| step > *largest))
        {
            return Err(Outcome::OutOfBounds(format!(
                "from {now} to {wanted} is a change by {step}, more than `largest_step` allows, {largest}"
            )));
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_named_by_which_it_is_refused() {
        let wish = |with: Value| wish(&with).map_err(Outcome::Refused).and_then(|wish| wish.wanted(3));
        assert_eq!(wish(json!({ "replicas": 6, "max": 6, "largest_step": 3, "expect": 3 })), Ok(6));
        assert_eq!(wish(json!({ "by": "-2" })), Ok(1), "a template gives text");
        for (with, why) in [
            (json!({ "replicas": 0 }), "0 replicas are fewer than `min` allows, 1"),
            (json!({ "by": -4, "min": 0 }), "-1 replicas are fewer than `min` allows, 0"),
            (json!({ "replicas": 7, "max": 6 }), "7 replicas are more than `max` allows, 6"),
            (
                json!({ "replicas": 9, "largest_step": 5 }),
                "from 3 to 9 is a change by 6, more than `largest_step` allows, 5",
            ),
        ] {
            assert_eq!(wish(with).unwrap_err(), Outcome::OutOfBounds(why.to_owned()));
        }
        for (with, why) in [
            (json!({ "replicas": 6, "expect": 4 }), "there are 3 replicas and not 4: somebody has changed that since"),
            (json!({ "replicas": "many" }), "`replicas` is not a whole number: \"many\""),
            (json!({ "replicas": 1, "by": 1 }), "there are both `replicas` and `by`"),
            (json!({}), "there is neither `replicas` nor `by`"),
        ] {
            assert_eq!(wish(with).unwrap_err(), Outcome::Refused(why.to_owned()));
        }
        assert_eq!(wish(json!({ "replicas": 0, "min": 0 })), Ok(0), "whoever wants none says so");
    }
}
