//! `kubernetes.rollout_restart`: every pod of a workload is replaced, by the annotation that kubectl uses.

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Decided, Seen, Subject, change, workload};
use crate::engine::{
    cluster::{Change, Cluster, Name, Object, Trouble},
    runs::{Outcome, Ports, Work},
};

pub(in super::super) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        let now = work.scope.at("now").and_then(Value::as_str).unwrap_or_default().to_owned();
        match workload(&work.with) {
            Ok(name) => change(ports, work, &Restarted { name, now }).await,
            Err(why) => Outcome::Refused(why),
        }
    })
}

struct Restarted {
    name: Name,
    now: String,
}

#[async_trait]
impl Subject<Seen> for Restarted {
    async fn see(&self, cluster: &dyn Cluster) -> Result<Seen, Trouble> {
        let Self { name, now } = self;
        let workload = cluster.workload(name).await?;
        let decided = if workload.is_paused {
            Err(Outcome::Refused(format!("{name} is paused: resume it first, then restart it")))
        } else {
            Ok(Decided { change: Some(Change::RestartedAt(now.clone())), output: json!({ "restarted_at": now }) })
        };
        Ok(Seen {
            object: Object::Workload(name.clone()),
            basis: json!({ "template": workload.template }),
            decided,
            version: workload.meta.version,
            notes: vec![workload.meta.annotations],
        })
    }
}
