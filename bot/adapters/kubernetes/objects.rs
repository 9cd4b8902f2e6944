//! The objects of the API, as the engine knows them.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Node as ApiNode, Pod as ApiPod},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::core::Selector;
use serde::Deserialize;
use serde_json::Value;

use crate::engine::cluster::{Autoscaler, Kind, Meta, Name, Node, Pod, Progress, Revision, Update, Workload};

/// The annotation with the number of a template.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#deployment-kubernetes-io-revision>
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The annotation of a pod that the cluster only mirrors.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-mirror>
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A list of objects.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
}

pub(super) fn deployment(object: Deployment, template: Value) -> Workload {
    let spec = object.spec;
    let status = object.status.unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let progressing = conditions.into_iter().find(|condition| condition.type_.as_deref() == Some("Progressing"));
    let gave_up = progressing.filter(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"));
    let progress = Progress {
        generation: object.metadata.generation.unwrap_or_default(),
        observed: status.observed_generation.unwrap_or_default(),
        total: number(status.replicas),
        updated: number(status.updated_replicas),
        ready: number(status.ready_replicas),
        available: number(status.available_replicas),
        gave_up: gave_up.map(|condition| condition.message.unwrap_or_default()),
        update: None,
    };
    let meta = meta(&object.metadata);
    Workload {
        uid: object.metadata.uid.unwrap_or_default(),
        selector: selector(spec.selector),
        // The API writes the 1 down that holds if nobody says anything.
        replicas: spec.replicas.map_or(1, i64::from),
        is_paused: spec.paused.unwrap_or_default(),
        template,
        revision: revision_of(&meta),
        progress,
        meta,
    }
}

pub(super) fn stateful_set(object: StatefulSet, template: Value) -> Workload {
    let spec = object.spec;
    let status = object.status.unwrap_or_default();
    let strategy = spec.update_strategy.unwrap_or_default();
    let update = Update {
        is_on_delete: strategy.type_.as_deref() == Some("OnDelete"),
        partition: strategy.rolling_update.and_then(|rolling| rolling.partition).map(i64::from),
        current: status.current_revision.unwrap_or_default(),
        wanted: status.update_revision.unwrap_or_default(),
    };
    let progress = Progress {
        generation: object.metadata.generation.unwrap_or_default(),
        observed: status.observed_generation.unwrap_or_default(),
        total: i64::from(status.replicas),
        updated: number(status.updated_replicas),
        ready: number(status.ready_replicas),
        available: number(status.available_replicas),
        gave_up: None,
        update: Some(update),
    };
    Workload {
        meta: meta(&object.metadata),
        uid: object.metadata.uid.unwrap_or_default(),
        selector: selector(spec.selector),
        replicas: spec.replicas.map_or(1, i64::from),
        is_paused: false,
        template,
        revision: None,
        progress,
    }
}

/// Whether an autoscaler decides about this workload.
pub(super) fn scales(autoscaler: &HorizontalPodAutoscaler, name: &Name) -> bool {
    let kind = match name.kind {
        Kind::Deployment => "Deployment",
        Kind::StatefulSet => "StatefulSet",
    };
    let target = &autoscaler.spec.scale_target_ref;
    let is_apps = target.api_version.as_deref().is_none_or(|version| version.starts_with("apps/"));
    is_apps && target.kind == kind && target.name == name.name
}

pub(super) fn autoscaler(object: HorizontalPodAutoscaler) -> Autoscaler {
    let meta = meta(&object.metadata);
    Autoscaler {
        meta,
        name: object.metadata.name.unwrap_or_default(),
        min: object.spec.min_replicas.map_or(1, i64::from),
        max: i64::from(object.spec.max_replicas),
    }
}

/// The template that a replica set keeps, if it is one of this deployment's and has a number.
pub(super) fn revision(object: &ReplicaSet, template: Value, owner: &str) -> Option<Revision> {
    let mut owners = object.metadata.owner_references.iter().flatten();
    let is_owned = owners.any(|reference| reference.controller == Some(true) && reference.uid == owner);
    let meta = meta(&object.metadata);
    let number = revision_of(&meta).filter(|_| is_owned)?;
    Some(Revision { number, template, annotations: meta.annotations })
}

pub(super) fn node(object: ApiNode) -> Node {
    let conditions = object.status.and_then(|status| status.conditions).unwrap_or_default();
    Node {
        meta: meta(&object.metadata),
        is_cordoned: object.spec.and_then(|spec| spec.unschedulable).unwrap_or_default(),
        is_ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
    }
}

pub(super) fn pod(object: ApiPod) -> Pod {
    let meta = object.metadata;
    let mut owners = meta.owner_references.into_iter().flatten();
    let volumes = object.spec.and_then(|spec| spec.volumes).unwrap_or_default();
    let phase = object.status.and_then(|status| status.phase).unwrap_or_default();
    Pod {
        namespace: meta.namespace.unwrap_or_default(),
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        keeper: owners.find(|owner| owner.controller == Some(true)).map(|owner| owner.kind),
        is_mirror: meta.annotations.is_some_and(|annotations| annotations.contains_key(MIRROR)),
        has_empty_dir: volumes.iter().any(|volume| volume.empty_dir.is_some()),
        is_finished: matches!(phase.as_str(), "Succeeded" | "Failed"),
        is_ending: meta.deletion_timestamp.is_some(),
    }
}

fn meta(meta: &ObjectMeta) -> Meta {
    Meta {
        version: meta.resource_version.clone().unwrap_or_default(),
        annotations: meta.annotations.clone().unwrap_or_default(),
    }
}

fn revision_of(meta: &Meta) -> Option<i64> {
    meta.annotations.get(REVISION)?.parse().ok()
}

fn number(number: Option<i32>) -> i64 {
    number.map_or(0, i64::from)
}

/// A selector as the API takes it in a query; one that cannot be written so selects nothing.
fn selector(selector: LabelSelector) -> String {
    Selector::try_from(selector).map_or_else(|_| "firewarden.dev/none=none".to_owned(), |selector| selector.to_string())
}
