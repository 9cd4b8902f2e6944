//! The controllers of a cluster, played by the story through the API: they number templates, keep the old ones, and report.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::Api;

/// The annotations of a deployment that a replica set does not get.
const OWN: [&str; 2] = ["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"];

/// How far the controllers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    /// All pods are new and available.
    Finishes,
    /// So many pods are new, and none of them is available yet.
    Replaces(i64),
    /// The deadline of the deployment is over.
    GivesUp,
}

/// Does what controllers do for every deployment, whenever something has changed.
pub(super) async fn work(client: Client, api: Arc<Api>) {
    let mut changed = api.changed.subscribe();
    loop {
        changed.borrow_and_update();
        let deployments: Vec<String> = super::objects::seen(&api.state())
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| key.contains("/deployments/"))
            .collect();
        for deployment in deployments {
            reconcile(&client, &deployment, Controller::Finishes).await;
        }
        let ending = api.state().ending_pods();
        for pod in ending {
            call(&client, "DELETE", &pod, None).await;
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// Asks the API; `None` where there is no such thing, or it has changed meanwhile.
pub(super) async fn call(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
    let sort = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder().method(method).uri(path).header("content-type", sort);
    let request = request.body(Body::from(body.map(Value::to_string).unwrap_or_default().into_bytes())).unwrap();
    let response = client.send(request).await.unwrap();
    let status = response.status();
    let answer = response.into_body().collect().await.unwrap().to_bytes();
    if status == 404 || status == 409 {
        return None;
    }
    assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
    Some(serde_json::from_slice(&answer).unwrap())
}

/// Brings a deployment as far as its controllers come now.
pub(super) async fn reconcile(client: &Client, path: &str, how: Controller) {
    // Whoever writes at the same time is followed.
    for _ in 0..50 {
        if once(client, path, how).await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // bounded: by the number of rounds
    }
    panic!("{path} does not hold still");
}

async fn once(client: &Client, path: &str, how: Controller) -> Option<()> {
    let deployment = call(client, "GET", path, None).await?;
    let version = &deployment["metadata"]["resourceVersion"];
    number(client, path, &deployment).await?;
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let (total, updated, available) = match how {
        Controller::Finishes => (wanted, wanted, wanted),
        Controller::Replaces(updated) => (wanted + 1, updated, wanted - updated),
        Controller::GivesUp => (wanted + 1, 1, wanted),
    };
    let reason = if how == Controller::GivesUp { "ProgressDeadlineExceeded" } else { "ReplicaSetUpdated" };
    let condition = json!({
        "type": "Progressing", "status": if how == Controller::GivesUp { "False" } else { "True" },
        "reason": reason, "message": "as the story says",
    });
    let status = json!({
        "observedGeneration": deployment["metadata"]["generation"], "replicas": total, "updatedReplicas": updated,
        "readyReplicas": available, "availableReplicas": available, "conditions": [condition],
    });
    if deployment["status"] != status {
        let newest = call(client, "GET", path, None).await?;
        if newest["spec"] != deployment["spec"] {
            return None;
        }
        let version =
            if newest["status"] == deployment["status"] { &newest["metadata"]["resourceVersion"] } else { version };
        let change = json!({ "metadata": { "resourceVersion": version }, "status": status });
        call(client, "PATCH", &format!("{path}/status"), Some(&change)).await?;
    }
    Some(())
}

/// Gives the template in force the newest number, and keeps it.
async fn number(client: &Client, path: &str, deployment: &Value) -> Option<()> {
    let collection = path.rsplit_once("/deployments/")?.0.to_owned() + "/replicasets";
    let name = deployment["metadata"]["name"].as_str()?;
    let uid = &deployment["metadata"]["uid"];
    let all = call(client, "GET", &collection, None).await?;
    let owned = |set: &&Value| set["metadata"]["ownerReferences"][0]["uid"] == *uid;
    let sets: Vec<&Value> = all["items"].as_array()?.iter().filter(owned).collect();
    let number_of = |set: &Value| {
        let number = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str();
        number.and_then(|number| number.parse::<i64>().ok()).unwrap_or_default()
    };
    let newest = sets.iter().map(|set| number_of(set)).max().unwrap_or_default();
    let template = &deployment["spec"]["template"];
    let is_it = |set: &&&Value| {
        let mut kept = set["spec"]["template"].clone();
        drop(kept["metadata"]["labels"].as_object_mut().map(|labels| labels.remove("pod-template-hash")));
        kept == *template
    };
    let number = match sets.iter().find(is_it) {
        Some(set) if number_of(set) == newest => newest,
        Some(set) => {
            let change = json!({ "metadata": { "annotations": annotations(deployment, newest + 1) } });
            let set = format!("{collection}/{}", set["metadata"]["name"].as_str()?);
            call(client, "PATCH", &set, Some(&change)).await?;
            newest + 1
        }
        None => {
            let mut template = template.clone();
            template["metadata"]["labels"]["pod-template-hash"] = format!("hash{}", newest + 1).into();
            let reference =
                json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid, "controller": true });
            let set = json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {
                    "name": format!("{name}-hash{}", newest + 1), "labels": template["metadata"]["labels"],
                    "annotations": annotations(deployment, newest + 1), "ownerReferences": [reference],
                },
                "spec": {
                    "replicas": 0, "selector": { "matchLabels": template["metadata"]["labels"] }, "template": template,
                },
            });
            call(client, "POST", &collection, Some(&set)).await?;
            newest + 1
        }
    };
    if number_of(deployment) != number {
        let version = &deployment["metadata"]["resourceVersion"];
        let revision = json!({ "deployment.kubernetes.io/revision": number.to_string() });
        let change = json!({ "metadata": { "resourceVersion": version, "annotations": revision } });
        call(client, "PATCH", path, Some(&change)).await?;
    }
    Some(())
}

/// The annotations of a replica set: those of the deployment, and its number.
fn annotations(deployment: &Value, number: i64) -> Value {
    let mut annotations = deployment["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.retain(|name, _| !OWN.contains(&name.as_str()));
    annotations.insert("deployment.kubernetes.io/revision".to_owned(), number.to_string().into());
    annotations.into()
}
