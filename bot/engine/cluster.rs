//! What the engine needs of a Kubernetes cluster: to read what a step is about, and to write it as long as it is what was read.
//!
//! Every write names the version that was read, so the cluster itself refuses one that comes too late, and carries marks
//! that say which run, epoch and step it belongs to: whoever comes next reads there what was done, and by whom.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

/// Reads and changes the objects of one cluster.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// A workload as it is.
    async fn workload(&self, name: &Name) -> Result<Workload, Trouble>;
    /// The autoscaler that decides how many replicas the workload has, if one does.
    async fn autoscaler(&self, name: &Name) -> Result<Option<Autoscaler>, Trouble>;
    /// The templates that a deployment has had and that are still kept, in no order.
    async fn revisions(&self, name: &Name, of: &Workload) -> Result<Vec<Revision>, Trouble>;
    /// A node as it is.
    async fn node(&self, name: &str) -> Result<Node, Trouble>;
    /// The pods that are on a node, of all namespaces.
    async fn pods_on(&self, node: &str) -> Result<Vec<Pod>, Trouble>;
    /// Asks that this pod, and no other of its name, leave its node. Where its disruption budget does not allow that at this
    /// moment the trouble is [`Trouble::Wait`], and its words name the budget.
    async fn evict(&self, pod: &Pod) -> Result<(), Trouble>;
    /// Changes an object if it still has this version; then it bears these marks, too.
    async fn write(&self, object: &Object, version: &str, change: &Change, marks: &Notes) -> Result<(), Trouble>;
}

/// Annotations by their names.
pub type Notes = BTreeMap<String, String>;

/// Which sort of workload it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `Deployment`.
    Deployment,
    /// A `StatefulSet`.
    StatefulSet,
}

impl Kind {
    /// The word of a runbook.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Deployment => "deployment",
            Kind::StatefulSet => "statefulset",
        }
    }
}

/// Where a workload is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Its sort.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.word(), self.namespace, self.name)
    }
}

/// What is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A workload.
    Workload(Name),
    /// An autoscaler.
    Autoscaler {
        /// Its namespace.
        namespace: String,
        /// Its name there.
        name: String,
    },
    /// A node.
    Node(String),
}

/// What is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// How many replicas a workload shall have.
    Replicas(i64),
    /// The least that an autoscaler may choose.
    Minimum(i64),
    /// The pods' template of a deployment, with all annotations that the deployment has then beside the marks.
    Template {
        /// The template.
        template: Value,
        /// The annotations.
        annotations: Notes,
    },
    /// The moment at which the pods were told to start anew.
    RestartedAt(String),
    /// Whether a node takes no new pods.
    Cordoned(bool),
}

/// What every object has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// The version that a write names.
    pub version: String,
    /// Its annotations.
    pub annotations: Notes,
}

/// A deployment or stateful set.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Its version and annotations.
    pub meta: Meta,
    /// The identity that what it owns refers to.
    pub uid: String,
    /// Which pods are its own, as a query of labels.
    pub selector: String,
    /// How many replicas it shall have.
    pub replicas: i64,
    /// Whether changes of its template wait until somebody resumes it.
    pub is_paused: bool,
    /// The template of its pods, as the cluster wrote it.
    pub template: Value,
    /// Of a deployment: the number of the template in force.
    pub revision: Option<i64>,
    /// How far its controller is.
    pub progress: Progress,
}

/// How far the controller of a workload is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The number of its newest wish.
    pub generation: i64,
    /// The newest wish that the controller has seen.
    pub observed: i64,
    /// Pods, old and new.
    pub total: i64,
    /// Pods of the newest template.
    pub updated: i64,
    /// Pods that are ready.
    pub ready: i64,
    /// Pods that have been ready for long enough.
    pub available: i64,
    /// Of a deployment: why the controller has given up on it, if it has.
    pub gave_up: Option<String>,
    /// Of a stateful set: what is to be known of its update.
    pub update: Option<Update>,
}

/// The update of a stateful set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// Whether its pods are replaced only as somebody deletes them.
    pub is_on_delete: bool,
    /// Pods with a lower number are left as they are, if it says so.
    pub partition: Option<i64>,
    /// The template of the pods that have not been replaced.
    pub current: String,
    /// The template of those that have.
    pub wanted: String,
}

/// A template that a deployment has had.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Its number.
    pub number: i64,
    /// The template, without the label that tells the pods of templates apart.
    pub template: Value,
    /// The annotations that the deployment had with it.
    pub annotations: Notes,
}

/// An autoscaler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaler {
    /// Its version and annotations.
    pub meta: Meta,
    /// Its name.
    pub name: String,
    /// The least that it may choose.
    pub min: i64,
    /// The most that it may choose.
    pub max: i64,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its version and annotations.
    pub meta: Meta,
    /// Whether it takes no new pods.
    pub is_cordoned: bool,
    /// Whether it says that it is ready.
    pub is_ready: bool,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that the cluster tells")]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name there, which another pod may have after it.
    pub name: String,
    /// Its identity, which no other pod ever has.
    pub uid: String,
    /// The kind of what would start another in its place, such as `ReplicaSet`; none if nobody would.
    pub keeper: Option<String>,
    /// Whether it mirrors what the node starts from a file of its own: the cluster cannot take it away.
    pub is_mirror: bool,
    /// Whether it keeps something in an `emptyDir`, which is lost with it.
    pub has_empty_dir: bool,
    /// Whether it has come to its end.
    pub is_finished: bool,
    /// Whether it is being deleted.
    pub is_ending: bool,
}

impl fmt::Display for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Why something was not read or not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is not there.
    Missing(String),
    /// It has changed since it was read: nothing was written.
    Moved(String),
    /// The cluster asks to come again after this pause: nothing was done.
    Wait(Duration, String),
    /// The cluster refuses it, and would again.
    Refused(String),
    /// It certainly did not get there.
    Unreachable(String),
    /// It may have got there, and there is no answer.
    Unknown(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Missing(why)
            | Trouble::Moved(why)
            | Trouble::Wait(_, why)
            | Trouble::Refused(why)
            | Trouble::Unreachable(why)
            | Trouble::Unknown(why) => f.write_str(why),
        }
    }
}
