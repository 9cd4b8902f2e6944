//! `kubernetes.read`: a workload or a node as it is.

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Subject, cordon, drain, images, look, marks, name, rollout_undo, text, workload};
use crate::engine::{
    cluster::{Cluster, Kind, Name, Notes, Trouble},
    runs::{Outcome, Ports, Work},
};

pub(in super::super) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        let read = match text(&work.with, "kind") {
            Some("node") => name(&work.with, "name").map(Read::Node),
            Some(_) | None => workload(&work.with).map(Read::Workload),
        };
        match read {
            Ok(read) => look(ports, work, &read).await,
            Err(why) => Outcome::Refused(why),
        }
    })
}

/// What is read.
enum Read {
    Workload(Name),
    Node(String),
}

#[async_trait]
impl Subject<Outcome> for Read {
    async fn see(&self, cluster: &dyn Cluster) -> Result<Outcome, Trouble> {
        let output = match self {
            Read::Workload(name) => of(cluster, name).await?,
            Read::Node(name) => node(cluster, name).await?,
        };
        Ok(Outcome::Done(output))
    }
}

async fn of(cluster: &dyn Cluster, name: &Name) -> Result<Value, Trouble> {
    let workload = cluster.workload(name).await?;
    let autoscaler = cluster.autoscaler(name).await?;
    let revisions = match name.kind {
        Kind::Deployment => cluster.revisions(name, &workload).await?,
        Kind::StatefulSet => Vec::new(),
    };
    let progress = &workload.progress;
    Ok(json!({
        "replicas": workload.replicas,
        "ready": progress.ready,
        "updated": progress.updated,
        "available": progress.available,
        "revision": workload.revision.unwrap_or_default(),
        "previous": rollout_undo::target(&revisions, 0).map_or(0, |revision| revision.number),
        "paused": workload.is_paused,
        "images": images(&workload.template),
        "autoscaler": autoscaler.map(|autoscaler| autoscaler.name).unwrap_or_default(),
        "run": mark(&workload.meta.annotations, marks::RUN),
        "step": mark(&workload.meta.annotations, marks::STEP),
    }))
}

async fn node(cluster: &dyn Cluster, name: &str) -> Result<Value, Trouble> {
    let node = cluster.node(name).await?;
    let pods = match cluster.pods_on(name).await {
        Ok(pods) => Some(drain::count(&pods)),
        // Whoever only cordons nodes need not be let see what runs on them.
        Err(Trouble::Refused(_)) => None,
        Err(trouble) => return Err(trouble),
    };
    Ok(json!({
        "state": cordon::state(node.is_cordoned),
        "ready": node.is_ready,
        "pods": pods,
        "run": mark(&node.meta.annotations, marks::RUN),
        "step": mark(&node.meta.annotations, marks::STEP),
    }))
}

fn mark(notes: &Notes, name: &str) -> String {
    notes.get(name).cloned().unwrap_or_default()
}
