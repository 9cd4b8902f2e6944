//! A Kubernetes cluster in a story: an emulated API server, or the real one that `FIREWARDEN_KUBECONFIG` names.
//!
//! The story speaks to either by its API, and is the controllers that move what the bot has asked for: where the real server
//! runs alone, nobody else does. What only an emulator can do (lose answers, refuse, count) is [`Cluster::api`].

mod api;
mod controller;
mod objects;

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, MutexGuard},
};

use kube::{Client, Config, config::Kubeconfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::objects::{Path, State};
pub(crate) use self::{
    api::{Api, Written},
    controller::Controller,
};
use super::{Fault, Moment, Which};

/// The variable that names the kubeconfig of a real API server, on which stories may do what they like.
const REAL: &str = "FIREWARDEN_KUBECONFIG";
/// The tokens of the bot and of everybody else.
const BOT: &str = "the-bot-in-the-cluster";
const STORY: &str = "everybody-else-in-the-cluster";

/// A cluster, and a namespace in it that is the story's own.
pub(crate) struct Cluster {
    client: Client,
    api: Option<Arc<Api>>,
    namespace: String,
    kubeconfig: PathBuf,
    controllers: Option<tokio::task::JoinHandle<()>>,
    _folder: TempDir,
}

impl Cluster {
    /// The emulated one, whose controllers work by themselves.
    pub(crate) async fn emulated() -> Self {
        let api = Api::start().await;
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        fs::write(&kubeconfig, written(&api.url(), BOT)).unwrap();
        let client = client(Kubeconfig::from_yaml(&written(&api.url(), STORY)).unwrap());
        let namespace = "shop".to_owned();
        let controllers = Some(tokio::spawn(controller::work(client.clone(), Arc::clone(&api))));
        Self { client, api: Some(api), namespace, kubeconfig, controllers, _folder: folder }
    }

    /// The one that the environment names, or an emulated one. In either the story moves what the bot asks for.
    pub(crate) async fn start() -> Self {
        let Some(kubeconfig) = std::env::var_os(REAL).map(PathBuf::from) else {
            let mut cluster = Self::emulated().await;
            cluster.rests();
            return cluster;
        };
        let client = client(Kubeconfig::read_from(&kubeconfig).unwrap());
        let namespace = format!("fw-{}", uuid::Uuid::now_v7().simple());
        let folder = tempfile::tempdir().unwrap();
        let cluster = Self { client, api: None, namespace, kubeconfig, controllers: None, _folder: folder };
        let namespace = json!({ "metadata": { "name": cluster.namespace } });
        cluster.make("/api/v1/namespaces", "v1", "Namespace", namespace).await;
        cluster
    }

    /// Ends the controllers: nothing moves any more unless the story says so.
    pub(crate) fn rests(&mut self) {
        if let Some(controllers) = self.controllers.take() {
            controllers.abort();
        }
    }

    /// The configuration that tells the bot of it.
    pub(crate) fn config(&self) -> String {
        format!("\n[kubernetes.production]\nkubeconfig = \"{}\"\n", self.kubeconfig.display())
    }

    /// The namespace of the story.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What only an emulator can do; a story that needs it is left out on a real one.
    pub(crate) fn api(&self) -> Option<&Api> {
        self.api.as_deref()
    }

    /// Where a deployment is.
    pub(crate) fn deployment(&self, name: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/deployments/{name}", self.namespace)
    }

    /// Where a stateful set is.
    pub(crate) fn stateful_set(&self, name: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/statefulsets/{name}", self.namespace)
    }

    /// Where an autoscaler is.
    pub(crate) fn autoscaler(&self, name: &str) -> String {
        format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/{name}", self.namespace)
    }

    /// What is there.
    pub(crate) async fn object(&self, path: &str) -> Value {
        controller::call(&self.client, "GET", path, None).await.unwrap()
    }

    /// Changes what is there, as anybody may.
    pub(crate) async fn patch(&self, path: &str, change: Value) -> Value {
        controller::call(&self.client, "PATCH", path, Some(&change)).await.unwrap()
    }

    /// Makes an object.
    pub(crate) async fn make(&self, collection: &str, version: &str, kind: &str, mut object: Value) -> Value {
        object["apiVersion"] = version.into();
        object["kind"] = kind.into();
        controller::call(&self.client, "POST", collection, Some(&object)).await.unwrap()
    }

    /// Deploys an image with this many replicas, and sees it rolled out.
    pub(crate) async fn deploys(&self, name: &str, image: &str, replicas: i64) {
        let path = self.deployment(name);
        let template = objects::template(name, image);
        if controller::call(&self.client, "GET", &path, None).await.is_some() {
            self.patch(&path, json!({ "spec": { "replicas": replicas, "template": template } })).await;
        } else {
            let spec =
                json!({ "replicas": replicas, "selector": { "matchLabels": { "app": name } }, "template": template });
            let object = json!({ "metadata": { "name": name }, "spec": spec });
            let collection = format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace);
            self.make(&collection, "apps/v1", "Deployment", object).await;
        }
        self.moves(name, Controller::Finishes).await;
    }

    /// The controllers do their part for a deployment.
    pub(crate) async fn moves(&self, name: &str, how: Controller) {
        controller::reconcile(&self.client, &self.deployment(name), how).await;
    }

    /// The images of a deployment.
    pub(crate) async fn image(&self, name: &str) -> String {
        let object = self.object(&self.deployment(name)).await;
        object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    }

    /// How many replicas a deployment shall have.
    pub(crate) async fn replicas(&self, name: &str) -> i64 {
        self.object(&self.deployment(name)).await["spec"]["replicas"].as_i64().unwrap()
    }

    /// A node of this name takes new pods.
    pub(crate) async fn has_node(&self, name: &str) {
        self.make("/api/v1/nodes", "v1", "Node", json!({ "metadata": { "name": name }, "spec": {} })).await;
    }

    /// A pod runs on a node; somebody of this kind would start another in its place, if anybody would.
    pub(crate) async fn has_pod(&self, name: &str, node: &str, keeper: Option<&str>, more: Value) -> String {
        let mut pod = objects::pod(name, node, keeper);
        for (part, fields) in more.as_object().into_iter().flatten() {
            for (field, value) in fields.as_object().into_iter().flatten() {
                pod[part][field] = value.clone();
            }
        }
        let collection = format!("/api/v1/namespaces/{}/pods", self.namespace);
        self.make(&collection, "v1", "Pod", pod).await;
        let path = format!("{collection}/{name}");
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        self.patch(&format!("{path}/status"), json!({ "status": { "phase": "Running", "conditions": ready } })).await;
        path
    }

    /// So many of the pods of an app may be taken away at this moment.
    pub(crate) async fn budgets(&self, app: &str, allowed: i64) {
        let collection = format!("/apis/policy/v1/namespaces/{}/poddisruptionbudgets", self.namespace);
        let path = format!("{collection}/{app}");
        if controller::call(&self.client, "GET", &path, None).await.is_none() {
            let spec = json!({ "minAvailable": 2, "selector": { "matchLabels": { "app": app } } });
            let object = json!({ "metadata": { "name": app }, "spec": spec });
            self.make(&collection, "policy/v1", "PodDisruptionBudget", object).await;
        }
        let status = json!({
            "observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 2 + allowed, "desiredHealthy": 2,
            "expectedPods": 2 + allowed,
        });
        self.patch(&format!("{path}/status"), json!({ "status": status })).await;
    }

    /// The pods that are on a node, and whether each is being ended.
    pub(crate) async fn pods_on(&self, node: &str) -> Vec<(String, bool)> {
        let list = self.object(&format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")).await;
        let of = |pod: &Value| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            (name, !pod["metadata"]["deletionTimestamp"].is_null())
        };
        list["items"].as_array().into_iter().flatten().map(of).collect()
    }

    /// The node has ended a pod.
    pub(crate) async fn ends_pod(&self, path: &str) {
        controller::call(&self.client, "DELETE", &format!("{path}?gracePeriodSeconds=0"), None).await;
    }

    /// An autoscaler decides about a deployment.
    pub(crate) async fn autoscales(&self, name: &str, min: i64, max: i64) {
        let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": name });
        let spec = json!({ "scaleTargetRef": target, "minReplicas": min, "maxReplicas": max });
        let object = json!({ "metadata": { "name": name }, "spec": spec });
        let collection = format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers", self.namespace);
        self.make(&collection, "autoscaling/v2", "HorizontalPodAutoscaler", object).await;
    }

    /// What the shipped runbooks are about: a deployment that was released twice, and a node.
    pub(crate) fn seed(&self) {
        if let Some(api) = &self.api {
            objects::seed(&mut api.state(), &self.namespace);
        }
    }

    /// What the bot has written to an emulated one, oldest first.
    pub(crate) fn written(&self) -> Vec<Written> {
        self.api.as_ref().map(|api| api.written()).unwrap_or_default()
    }

    /// Lets a fault meet these requests of the bot.
    pub(crate) fn plan(&self, which: Which, moment: Moment, fault: Fault) {
        self.api().unwrap().plan(which, moment, fault);
    }

    /// What can be seen of the deployments and nodes from outside.
    pub(crate) fn seen(&self) -> Vec<(String, Value)> {
        self.api.as_ref().map(|api| objects::seen(&api.state())).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.rests();
    }
}

impl Api {
    fn state(&self) -> MutexGuard<'_, State> {
        super::held(&self.state)
    }

    /// Lets a fault meet these requests of the bot.
    pub(crate) fn plan(&self, which: Which, moment: Moment, fault: Fault) {
        self.wire.plan(which, moment, fault);
    }
}

fn client(kubeconfig: Kubeconfig) -> Client {
    super::http();
    let mut config = Config::try_from(kubeconfig).unwrap();
    config.proxy_url = None;
    Client::try_from(config).unwrap()
}

fn written(url: &str, token: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "story",
        "clusters": [{ "name": "story", "cluster": { "server": url } }],
        "users": [{ "name": "story", "user": { "token": token } }],
        "contexts": [{ "name": "story", "context": { "cluster": "story", "user": "story" } }],
    })
    .to_string()
}
