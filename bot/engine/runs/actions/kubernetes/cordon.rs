//! `kubernetes.cordon`: a node takes no new pods, or takes them again.

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::json;

use super::{Decided, Seen, Subject, change, name, text};
use crate::engine::{
    cluster::{Change, Cluster, Object, Trouble},
    runs::{Outcome, Ports, Work},
};

pub(in super::super) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        let wanted = match text(&work.with, "to") {
            None | Some("cordoned") => true,
            Some("schedulable") => false,
            Some(other) => {
                return Outcome::Refused(format!("`to` is `{other}`, neither `cordoned` nor `schedulable`"));
            }
        };
        match name(&work.with, "node") {
            Ok(name) => change(ports, work, &Cordoned { name, wanted }).await,
            Err(why) => Outcome::Refused(why),
        }
    })
}

struct Cordoned {
    name: String,
    wanted: bool,
}

#[async_trait]
impl Subject<Seen> for Cordoned {
    async fn see(&self, cluster: &dyn Cluster) -> Result<Seen, Trouble> {
        let Self { name, wanted } = self;
        let node = cluster.node(name).await?;
        Ok(Seen {
            object: Object::Node(name.clone()),
            basis: json!({ "state": state(node.is_cordoned) }),
            decided: Ok(Decided {
                change: (*wanted != node.is_cordoned).then_some(Change::Cordoned(*wanted)),
                output: json!({ "before": state(node.is_cordoned), "state": state(*wanted) }),
            }),
            version: node.meta.version,
            notes: vec![node.meta.annotations],
        })
    }
}

/// The word for it.
pub(super) fn state(is_cordoned: bool) -> &'static str {
    if is_cordoned { "cordoned" } else { "schedulable" }
}
