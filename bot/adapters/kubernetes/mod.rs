//! Kubernetes clusters, by their API.
//!
//! A cluster is connected to when a step first needs it, and what it is told of it is read anew when its file changes. The
//! client repeats nothing by itself: kube would send a change again that was answered with 503 or 504, and those may have
//! been carried out.

mod connect;
mod objects;
mod talk;

use std::path::PathBuf;

use async_trait::async_trait;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Node as ApiNode, Pod as ApiPod},
};
use serde_json::{Value, json};

pub use self::connect::examine;
use self::{connect::Connection, objects::List, talk::Which};
use crate::engine::cluster::{
    Autoscaler, Change, Cluster, Kind, Name, Node, Notes, Object, Pod, Revision, Trouble, Workload,
};

/// How a cluster is found, and who the bot is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// As a kubeconfig says.
    File {
        /// The file.
        path: PathBuf,
        /// The context in it; the current one if none is named.
        context: Option<String>,
    },
    /// The bot runs in the cluster, by its service account.
    Inside,
}

/// A cluster.
pub struct Kubernetes {
    connection: Connection,
}

impl Kubernetes {
    /// The cluster that is reached so. It is not connected to yet.
    pub fn new(access: Access) -> Self {
        Self { connection: Connection::new(access) }
    }

    async fn read(&self, path: &str, which: Which<'_>) -> Result<Value, Trouble> {
        talk::read(&self.connection.client().await?, path, which).await.inspect_err(|trouble| self.doubt(trouble))
    }

    /// Who is not let in may be by what its file says by now.
    fn doubt(&self, trouble: &Trouble) {
        if matches!(trouble, Trouble::Refused(why) if why.contains("401")) {
            self.connection.forget();
        }
    }
}

#[async_trait]
impl Cluster for Kubernetes {
    async fn workload(&self, name: &Name) -> Result<Workload, Trouble> {
        let object = self.read(&path(&Object::Workload(name.clone())), Which::All).await?;
        let template = object.pointer("/spec/template").cloned().unwrap_or_default();
        match name.kind {
            Kind::Deployment => Ok(objects::deployment(talk::typed::<Deployment>(object)?, template)),
            Kind::StatefulSet => Ok(objects::stateful_set(talk::typed::<StatefulSet>(object)?, template)),
        }
    }

    async fn autoscaler(&self, name: &Name) -> Result<Option<Autoscaler>, Trouble> {
        let path = format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers", name.namespace);
        let list: List<HorizontalPodAutoscaler> = talk::typed(self.read(&path, Which::All).await?)?;
        Ok(list.items.into_iter().find(|it| objects::scales(it, name)).map(objects::autoscaler))
    }

    async fn revisions(&self, name: &Name, of: &Workload) -> Result<Vec<Revision>, Trouble> {
        let path = format!("/apis/apps/v1/namespaces/{}/replicasets", name.namespace);
        let list: List<Value> = talk::typed(self.read(&path, Which::Labelled(&of.selector)).await?)?;
        let mut revisions = Vec::new();
        for item in list.items {
            let template = item.pointer("/spec/template").cloned().unwrap_or_default();
            revisions.extend(objects::revision(&talk::typed::<ReplicaSet>(item)?, template, &of.uid));
        }
        Ok(revisions)
    }

    async fn node(&self, name: &str) -> Result<Node, Trouble> {
        let object = self.read(&path(&Object::Node(name.to_owned())), Which::All).await?;
        Ok(objects::node(talk::typed::<ApiNode>(object)?))
    }

    async fn pods_on(&self, node: &str) -> Result<Vec<Pod>, Trouble> {
        let fields = format!("spec.nodeName={node}");
        let list: List<ApiPod> = talk::typed(self.read("/api/v1/pods", Which::With(&fields)).await?)?;
        Ok(list.items.into_iter().map(objects::pod).collect())
    }

    async fn evict(&self, pod: &Pod) -> Result<(), Trouble> {
        let Pod { namespace, name, uid, .. } = pod;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
        let sent = talk::make(&self.connection.client().await?, &path, &eviction(namespace, name, uid)).await;
        sent.inspect_err(|trouble| self.doubt(trouble))
    }

    async fn write(&self, object: &Object, version: &str, change: &Change, marks: &Notes) -> Result<(), Trouble> {
        let patch = patch(version, change, marks);
        let sent = talk::patch(&self.connection.client().await?, &path(object), &patch).await;
        sent.inspect_err(|trouble| self.doubt(trouble))
    }
}

fn path(object: &Object) -> String {
    match object {
        Object::Workload(Name { kind, namespace, name }) => {
            let sort = match kind {
                Kind::Deployment => "deployments",
                Kind::StatefulSet => "statefulsets",
            };
            format!("/apis/apps/v1/namespaces/{namespace}/{sort}/{name}")
        }
        Object::Autoscaler { namespace, name } => {
            format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}")
        }
        Object::Node(name) => format!("/api/v1/nodes/{name}"),
    }
}

/// What is asked for so that a pod leaves: this one, and not another that has its name by then.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>
fn eviction(namespace: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": name, "namespace": namespace },
        "deleteOptions": { "preconditions": { "uid": uid } },
    })
}

/// A patch, which the cluster refuses with 409 if the object has another version by then.
///
/// Both sorts set the version to the one that was read: what differs from the current one is a conflict.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
fn patch(version: &str, change: &Change, marks: &Notes) -> talk::Patch {
    let spec = match change {
        Change::Replicas(replicas) => json!({ "replicas": replicas }),
        Change::Minimum(least) => json!({ "minReplicas": least }),
        Change::Cordoned(true) => json!({ "unschedulable": true }),
        Change::Cordoned(false) => json!({ "unschedulable": null }),
        Change::RestartedAt(at) => {
            json!({ "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": at } } } })
        }
        Change::Template { template, annotations } => {
            let mut all = annotations.clone();
            all.extend(marks.clone());
            // A merge would keep what the template of before did not have.
            return talk::Patch::Steps(json!([
                { "op": "replace", "path": "/metadata/resourceVersion", "value": version },
                { "op": "add", "path": "/metadata/annotations", "value": all },
                { "op": "replace", "path": "/spec/template", "value": template },
            ]));
        }
    };
    talk::Patch::Merge(json!({ "metadata": { "resourceVersion": version, "annotations": marks }, "spec": spec }))
}
