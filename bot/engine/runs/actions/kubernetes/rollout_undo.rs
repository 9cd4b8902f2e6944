//! `kubernetes.rollout_undo`: a deployment goes back to a template that it had before, with the semantics of kubectl.
//!
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-back-a-deployment>

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Decided, Seen, Subject, change, images, marks, name, number};
use crate::engine::{
    cluster::{Change, Cluster, Kind, Name, Notes, Object, Revision, Trouble, Workload},
    runs::{Outcome, Ports, Work},
};

/// The annotations that belong to the deployment as it is, and do not come back with an old template.
const KEPT: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];

pub(in super::super) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        match wish(&work.with) {
            Ok(back) => change(ports, work, &back).await,
            Err(why) => Outcome::Refused(why),
        }
    })
}

/// A deployment that goes back.
struct Back {
    name: Name,
    to: i64,
    expected: Option<i64>,
}

fn wish(with: &Value) -> Result<Back, String> {
    let name = Name { kind: Kind::Deployment, namespace: name(with, "namespace")?, name: name(with, "name")? };
    Ok(Back { name, to: number(with, "to")?.unwrap_or(0), expected: number(with, "expect")? })
}

#[async_trait]
impl Subject<Seen> for Back {
    async fn see(&self, cluster: &dyn Cluster) -> Result<Seen, Trouble> {
        let workload = cluster.workload(&self.name).await?;
        let revisions = cluster.revisions(&self.name, &workload).await?;
        let decided = decide(&workload, &revisions, self.to, self.expected);
        let in_force = images(&workload.template);
        Ok(Seen {
            object: Object::Workload(self.name.clone()),
            basis: json!({ "revision": workload.revision, "paused": workload.is_paused, "images": in_force }),
            decided: decided.map_err(|why| Outcome::Refused(format!("{}: {why}", self.name))),
            version: workload.meta.version,
            notes: vec![workload.meta.annotations],
        })
    }
}

fn decide(workload: &Workload, revisions: &[Revision], to: i64, expected: Option<i64>) -> Result<Decided, String> {
    let now = workload.revision.unwrap_or_default();
    if let Some(expected) = expected.filter(|expected| *expected != now) {
        return Err(format!("revision {now} is in force and not {expected}: somebody has deployed since"));
    }
    let target = target(revisions, to)?;
    if workload.is_paused {
        return Err("it is paused: resume it first, then roll back".to_owned());
    }
    let template = plain(&target.template);
    let is_so = template == plain(&workload.template);
    let output = json!({ "before": now, "revision": target.number, "images": images(&template) });
    let annotations = annotations(&workload.meta.annotations, &target.annotations);
    Ok(Decided { change: (!is_so).then_some(Change::Template { template, annotations }), output })
}

/// The revision that is gone to: the one with this number, or the newest but one.
pub(super) fn target(revisions: &[Revision], to: i64) -> Result<&Revision, String> {
    if to != 0 {
        let found = revisions.iter().find(|revision| revision.number == to);
        return found.ok_or_else(|| format!("there is no revision {to} any more"));
    }
    let mut sorted: Vec<&Revision> = revisions.iter().collect();
    sorted.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    sorted.get(1).copied().ok_or_else(|| "there is no earlier revision".to_owned())
}

/// A template without the label that tells the pods of templates apart, which the controller adds.
fn plain(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    template
}

/// The annotations of a deployment that goes back: those that came with the old template, and those that are its own.
fn annotations(now: &Notes, then: &Notes) -> Notes {
    let is_own = |name: &String| KEPT.contains(&name.as_str()) || name.starts_with(marks::PREFIX);
    let own = now.iter().filter(|(name, _)| is_own(name));
    own.chain(then.iter().filter(|(name, _)| !is_own(name)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cluster::{Meta, Progress};

    fn template(image: &str, hash: Option<&str>) -> Value {
        let mut template = json!({
            "metadata": { "labels": { "app": "checkout" } },
            "spec": { "containers": [{ "name": "checkout", "image": image }] },
        });
        if let Some(hash) = hash {
            template["metadata"]["labels"]["pod-template-hash"] = hash.into();
        }
        template
    }

    fn revision(number: i64, image: &str) -> Revision {
        let annotations = [("owner", image), ("deployment.kubernetes.io/revision", "9"), ("firewarden.dev/epoch", "9")];
        let annotations = annotations.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Revision { number, template: template(image, Some("abc")), annotations }
    }

    fn deployment(image: &str, revision: i64) -> Workload {
        let annotations = Notes::from([
            ("deployment.kubernetes.io/revision".to_owned(), revision.to_string()),
            ("owner".to_owned(), image.to_owned()),
            ("note".to_owned(), "goes".to_owned()),
        ]);
        Workload {
            meta: Meta { version: "1".to_owned(), annotations },
            uid: "u".to_owned(),
            selector: String::new(),
            replicas: 3,
            is_paused: false,
            template: template(image, None),
            revision: Some(revision),
            progress: Progress::default(),
        }
    }

    #[test]
    fn it_goes_to_the_revision_that_kubectl_would_go_to() {
        let kept = [revision(4, "v4"), revision(1, "v1"), revision(3, "v3")];
        let decided = decide(&deployment("v4", 4), &kept, 0, Some(4)).unwrap();
        assert_eq!(decided.output, json!({ "before": 4, "revision": 3, "images": ["v3"] }));
        let Some(Change::Template { template: written, annotations }) = decided.change else { panic!("{decided:?}") };
        assert_eq!(written, template("v3", None), "without the label of the controller");
        let expected = [("deployment.kubernetes.io/revision", "4"), ("owner", "v3")];
        let expected: Notes = expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(annotations, expected, "what belongs to the deployment stays, the rest is that of the revision");

        assert_eq!(decide(&deployment("v4", 4), &kept, 1, None).unwrap().output["revision"], 1);
        assert!(decide(&deployment("v4", 4), &kept, 4, None).unwrap().change.is_none(), "it is so already");
        let refused =
            |workload: &Workload, kept: &[Revision], to, expected| decide(workload, kept, to, expected).unwrap_err();
        assert_eq!(refused(&deployment("v4", 4), &kept, 2, None), "there is no revision 2 any more");
        assert_eq!(refused(&deployment("v4", 4), &kept[..1], 0, None), "there is no earlier revision");
        assert!(refused(&deployment("v4", 5), &kept, 0, Some(4)).contains("somebody has deployed since"));
        let paused = Workload { is_paused: true, ..deployment("v4", 4) };
        assert!(refused(&paused, &kept, 0, None).contains("paused"));
    }
}
