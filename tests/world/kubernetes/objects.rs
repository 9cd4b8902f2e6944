//! The objects of the emulated server: versions, generations, and what a write may and may not do.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The sorts of objects that there are: where they stand, and whether they belong to a namespace.
const SORTS: [(&str, &str, bool); 9] = [
    ("/apis/apps/v1", "deployments", true),
    ("/apis/apps/v1", "statefulsets", true),
    ("/apis/apps/v1", "replicasets", true),
    ("/apis/autoscaling/v2", "horizontalpodautoscalers", true),
    ("/api/v1", "nodes", false),
    ("/api/v1", "namespaces", false),
    ("/apis/apps/v1", "controllerrevisions", true),
    ("/api/v1", "pods", true),
    ("/apis/policy/v1", "poddisruptionbudgets", true),
];

/// Why something is not done: the status, and what it says.
#[derive(Debug)]
pub(super) struct Refused(pub(super) u16, pub(super) String);

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    collection: String,
    sort: &'static str,
    pub(super) name: Option<String>,
    namespace: Option<String>,
    /// The part of the object that the address is about, if it is about one.
    pub(super) part: Option<&'static str>,
}

/// The parts that have an address of their own.
const PARTS: [&str; 2] = ["status", "eviction"];

impl Path {
    /// The place that a path names, if the server has it.
    pub(super) fn read(path: &str) -> Option<Self> {
        SORTS.iter().find_map(|(group, sort, is_namespaced)| {
            let rest = path.strip_prefix(group)?;
            let parts: Vec<&str> = rest.split('/').skip(1).collect();
            let (namespace, rest) = match (is_namespaced, parts.as_slice()) {
                (true, ["namespaces", namespace, found, rest @ ..]) if found == sort => (Some(*namespace), rest),
                // Those of all namespaces can be listed.
                (true, [found]) if found == sort => (None, &[] as &[&str]),
                (false, [found, rest @ ..]) if found == sort => (None, rest),
                _ => return None,
            };
            let collection = match namespace {
                Some(namespace) => format!("{group}/namespaces/{namespace}/{sort}"),
                None => format!("{group}/{sort}"),
            };
            let (name, part) = match rest {
                [] => (None, None),
                [name] => (Some((*name).to_owned()), None),
                [name, part] => (Some((*name).to_owned()), Some(*PARTS.iter().find(|known| *known == part)?)),
                _ => return None,
            };
            Some(Self { collection, sort, name, namespace: namespace.map(str::to_owned), part })
        })
    }

    /// Whether an object of this key is in the collection.
    fn holds(&self, key: &str) -> bool {
        let Some((collection, _)) = key.rsplit_once('/') else { return false };
        let (group, sort) = self.collection.rsplit_once('/').unwrap_or_default();
        let of_all =
            || collection.starts_with(&format!("{group}/namespaces/")) && collection.ends_with(&format!("/{sort}"));
        collection == self.collection || (self.namespace.is_none() && of_all())
    }

    fn key(&self) -> String {
        format!("{}/{}", self.collection, self.name.as_deref().unwrap_or_default())
    }
}

/// Everything that the server keeps.
#[derive(Default)]
pub(super) struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
}

type Answer = Result<Value, Refused>;

impl State {
    fn missing(path: &Path) -> Refused {
        Refused(404, format!("{} \"{}\" not found", path.sort, path.name.as_deref().unwrap_or_default()))
    }

    pub(super) fn read(&self, path: &Path) -> Answer {
        self.objects.get(&path.key()).cloned().ok_or_else(|| Self::missing(path))
    }

    /// Those of a collection that bear all of these labels, and are on this node.
    pub(super) fn list(&self, path: &Path, labels: Option<&str>, node: Option<&str>) -> Answer {
        let wanted: Vec<(&str, &str)> =
            labels.into_iter().flat_map(|it| it.split(',')).filter_map(|it| it.split_once('=')).collect();
        if labels.is_some_and(|labels| labels.split(',').count() != wanted.len()) {
            return Err(Refused(501, format!("the selector {labels:?}")));
        }
        let bears = |object: &Value| wanted.iter().all(|(name, value)| object["metadata"]["labels"][*name] == **value);
        let is_there = |object: &Value| node.is_none_or(|node| object["spec"]["nodeName"] == *node);
        let items = self.objects.iter().filter(|(key, object)| path.holds(key) && bears(object) && is_there(object));
        // What stands in a list does not say itself of which sort it is.
        let items = items.map(|(_, object)| {
            let mut object = object.clone();
            drop(object.as_object_mut().map(|fields| (fields.remove("kind"), fields.remove("apiVersion"))));
            object
        });
        Ok(json!({ "metadata": { "resourceVersion": self.version.to_string() }, "items": items.collect::<Vec<_>>() }))
    }

    pub(super) fn make(&mut self, path: &Path, mut object: Value) -> Answer {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = format!("{}/{name}", path.collection);
        if self.objects.contains_key(&key) {
            return Err(Refused(409, format!("{} \"{name}\" already exists", path.sort)));
        }
        if let Some(namespace) = &path.namespace {
            object["metadata"]["namespace"] = namespace.as_str().into();
        }
        if path.sort == "pods" && object["status"].is_null() {
            object["status"] = json!({ "phase": "Pending" });
        }
        self.version += 1;
        object["metadata"]["uid"] = format!("uid-{}", self.version).into();
        object["metadata"]["generation"] = 1.into();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key, object.clone());
        Ok(object)
    }

    pub(super) fn patch(&mut self, path: &Path, sort: &str, change: &Value) -> Answer {
        let old = self.read(path)?;
        let mut new = old.clone();
        match sort {
            "application/merge-patch+json" => merge(&mut new, change),
            "application/json-patch+json" => {
                for step in change.as_array().into_iter().flatten() {
                    take_step(&mut new, step).map_err(|why| Refused(422, why))?;
                }
            }
            other => return Err(Refused(415, format!("the body of the request was in an unknown format: {other}"))),
        }
        if new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            let what = "the object has been modified; please apply your changes to the latest version and try again";
            let name = path.name.as_deref().unwrap_or_default();
            return Err(Refused(409, format!("Operation cannot be fulfilled on {} \"{name}\": {what}", path.sort)));
        }
        if new["metadata"]["uid"] != old["metadata"]["uid"] || new["metadata"]["name"] != old["metadata"]["name"] {
            return Err(Refused(422, "field is immutable".to_owned()));
        }
        if new["spec"].get("replicas").is_some_and(|replicas| replicas.as_i64().is_none_or(|replicas| replicas < 0)) {
            return Err(Refused(422, "spec.replicas: must be greater than or equal to 0".to_owned()));
        }
        // Each address writes its own part.
        let is_status = path.part == Some("status");
        let (kept, name) = if is_status { ("spec", "spec") } else { ("status", "status") };
        match old.get(kept) {
            Some(kept) => new[name] = kept.clone(),
            None => drop(new.as_object_mut().and_then(|fields| fields.remove(name))),
        }
        if is_status {
            new["metadata"] = old["metadata"].clone();
        }
        if new == old {
            return Ok(old);
        }
        if new["spec"] != old["spec"] {
            new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or_default() + 1).into();
        }
        self.version += 1;
        new["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(path.key(), new.clone());
        Ok(new)
    }
}

impl State {
    /// Takes an object away.
    pub(super) fn delete(&mut self, path: &Path) -> Answer {
        let gone = self.objects.remove(&path.key()).ok_or_else(|| Self::missing(path))?;
        self.version += 1;
        Ok(gone)
    }

    /// Lets a pod leave, as far as its budget allows it. It is there until its node has ended it.
    ///
    /// <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>
    pub(super) fn evict(&mut self, path: &Path, eviction: &Value) -> Answer {
        let pod = self.read(path)?;
        let wanted = &eviction["deleteOptions"]["preconditions"]["uid"];
        if !wanted.is_null() && *wanted != pod["metadata"]["uid"] {
            let what = format!("the UID in the precondition ({wanted}) does not match the UID in record");
            return Err(Refused(409, format!("Operation cannot be fulfilled on pods: {what}")));
        }
        let done =
            Ok(json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }));
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            return done;
        }
        let is_counted = !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"));
        let budgets = if is_counted { self.budgets(path, &pod) } else { Vec::new() };
        if budgets.len() > 1 {
            let what =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Refused(500, what.to_owned()));
        }
        self.version += 1;
        let version = self.version;
        if let Some(budget) = budgets.first().and_then(|key| self.objects.get_mut(key)) {
            let status = &budget["status"];
            let allowed = status["disruptionsAllowed"].as_i64().unwrap_or_default();
            if allowed <= 0 {
                let (name, needs) =
                    (budget["metadata"]["name"].as_str().unwrap_or_default(), &status["desiredHealthy"]);
                let cause = format!(
                    "The disruption budget {name} needs {needs} healthy pods and has {} currently",
                    status["currentHealthy"]
                );
                let what = "Cannot evict pod as it would violate the pod's disruption budget.";
                return Err(Refused(429, format!("{what}\n{cause}")));
            }
            budget["status"]["disruptionsAllowed"] = (allowed - 1).into();
            budget["metadata"]["resourceVersion"] = version.to_string().into();
        }
        if let Some(pod) = self.objects.get_mut(&path.key()) {
            pod["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z".into();
            pod["metadata"]["resourceVersion"] = version.to_string().into();
        }
        done
    }

    /// The keys of the budgets that are about a pod.
    fn budgets(&self, path: &Path, pod: &Value) -> Vec<String> {
        let namespace = path.namespace.as_deref().unwrap_or_default();
        let begins = format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/");
        let labels = &pod["metadata"]["labels"];
        let is_about = |budget: &Value| {
            let wanted = budget["spec"]["selector"]["matchLabels"].as_object();
            wanted.is_some_and(|wanted| wanted.iter().all(|(name, value)| labels[name] == *value))
        };
        let found = self.objects.iter().filter(|(key, budget)| key.starts_with(&begins) && is_about(budget));
        found.map(|(key, _)| key.clone()).collect()
    }

    /// Where the pods are that are being ended.
    pub(super) fn ending_pods(&self) -> Vec<String> {
        let ending = |object: &Value| object["kind"] == "Pod" && !object["metadata"]["deletionTimestamp"].is_null();
        self.objects.iter().filter(|(_, object)| ending(object)).map(|(key, _)| key.clone()).collect()
    }
}

/// A pod on a node that somebody of this kind would start anew, if anybody would.
pub(super) fn pod(name: &str, node: &str, keeper: Option<&str>) -> Value {
    let owner = |kind: &str| {
        let version = if kind == "Node" { "v1" } else { "apps/v1" };
        json!([{ "apiVersion": version, "kind": kind, "name": "keeper", "uid": "uid-of-the-keeper", "controller": true }])
    };
    let app = name.split('-').next().unwrap_or_default();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": app }, "ownerReferences": keeper.map(owner) },
        "spec": { "nodeName": node, "containers": [{ "name": app, "image": format!("registry.example/{app}:v1") }] },
    })
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, value) in fields {
        if value.is_null() {
            drop(target.as_object_mut().and_then(|target| target.remove(name)));
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// A step of RFC 6902, as far as it is used.
fn take_step(target: &mut Value, step: &Value) -> Result<(), String> {
    let path = step["path"].as_str().unwrap_or_default();
    let (parent, last) = path.rsplit_once('/').ok_or("no path")?;
    let last = last.replace("~1", "/").replace("~0", "~");
    let parent = target.pointer_mut(parent).and_then(Value::as_object_mut);
    let parent = parent.ok_or_else(|| format!("{path}: missing path"))?;
    match step["op"].as_str() {
        Some("add") => {
            parent.insert(last, step["value"].clone());
            Ok(())
        }
        Some("replace") if parent.contains_key(&last) => {
            parent.insert(last, step["value"].clone());
            Ok(())
        }
        Some("test") if parent.get(&last) == step.get("value") => Ok(()),
        other => Err(format!("{other:?} of {path} cannot be done")),
    }
}

/// The template of pods that run this image.
pub(super) fn template(app: &str, image: &str) -> Value {
    let container = json!({ "name": app, "image": image });
    json!({ "metadata": { "labels": { "app": app } }, "spec": { "containers": [container] } })
}

/// What the shipped runbooks are about.
pub(super) fn seed(state: &mut State, namespace: &str) {
    let of = |sort: &str| Path::read(&format!("/apis/apps/v1/namespaces/{namespace}/{sort}")).unwrap();
    let revision = |number: i64| json!({ "deployment.kubernetes.io/revision": number.to_string() });
    let image = |number: i64| format!("registry.example/checkout:v{}", 40 + number);
    let deployment = state.make(
        &of("deployments"),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "checkout", "namespace": namespace, "annotations": revision(2) },
            "spec": {
                "replicas": 3, "selector": { "matchLabels": { "app": "checkout" } },
                "template": template("checkout", &image(2)),
            },
            "status": {
                "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
            },
        }),
    );
    let uid = deployment.unwrap()["metadata"]["uid"].clone();
    for number in [1, 2] {
        let mut template = template("checkout", &image(number));
        template["metadata"]["labels"]["pod-template-hash"] = format!("hash{number}").into();
        let owner = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": uid, "controller": true });
        let made = state.make(
            &of("replicasets"),
            json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {
                    "name": format!("checkout-hash{number}"), "namespace": namespace, "annotations": revision(number),
                    "labels": template["metadata"]["labels"], "ownerReferences": [owner],
                },
                "spec": { "template": template },
            }),
        );
        made.unwrap();
    }
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-1" }, "spec": {},
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    });
    state.make(&Path::read("/api/v1/nodes").unwrap(), node).unwrap();
    let pods = Path::read(&format!("/api/v1/namespaces/{namespace}/pods")).unwrap();
    for (name, keeper) in [("checkout-a", "ReplicaSet"), ("checkout-b", "ReplicaSet"), ("logs-a", "DaemonSet")] {
        let mut pod = pod(name, "node-1", Some(keeper));
        pod["status"] = json!({ "phase": "Running" });
        state.make(&pods, pod).unwrap();
    }
}

/// What can be seen of deployments and nodes: what people would call their state.
pub(super) fn seen(state: &State) -> Vec<(String, Value)> {
    let of = |object: &Value| match object["kind"].as_str() {
        Some("Deployment") => {
            let pods = &object["spec"]["template"]["spec"];
            Some(json!({ "replicas": object["spec"]["replicas"], "pods": pods }))
        }
        Some("Node") => Some(json!({ "unschedulable": object["spec"]["unschedulable"] })),
        _ => None,
    };
    state.objects.iter().filter_map(|(key, object)| Some((key.clone(), of(object)?))).collect()
}
