//! The actions on a Kubernetes cluster, described.

use super::{ActionSpec, Care, Changes, Field, Kind};

const CLUSTER: Field = Field {
    name: "cluster",
    required: false,
    kind: Kind::Text,
    help: "A cluster of the configuration, `[kubernetes.NAME]`, the only one if left out",
};
const KIND: Field = Field {
    name: "kind",
    required: false,
    kind: Kind::Word(&["deployment", "statefulset"]),
    help: "What it is, `deployment` if left out",
};
const NAMESPACE: Field =
    Field { name: "namespace", required: true, kind: Kind::Text, help: "The namespace that it is in" };
const NAME: Field = Field { name: "name", required: true, kind: Kind::Text, help: "Its name" };

/// What `kubernetes.read` tells of a node.
pub(crate) const NODE: &[&str] = &["state", "ready", "pods", "run", "step"];
/// What it tells of a workload.
pub(crate) const WORKLOAD: &[&str] = &[
    "replicas",
    "ready",
    "updated",
    "available",
    "revision",
    "previous",
    "paused",
    "images",
    "autoscaler",
    "run",
    "step",
];

/// `kubernetes.read`
pub(super) const READ: ActionSpec = ActionSpec {
    name: "kubernetes.read",
    summary: "Reads a workload or a node: what approvals bind, what conditions ask about, and what a probe looks at",
    changes: Changes::Nothing,
    many: false,
    fields: &[
        CLUSTER,
        Field {
            name: "kind",
            required: false,
            kind: Kind::Word(&["deployment", "statefulset", "node"]),
            help: "What it is, `deployment` if left out",
        },
        Field {
            name: "namespace",
            required: false,
            kind: Kind::Text,
            help: "The namespace that it is in; a node has none",
        },
        NAME,
    ],
    outputs: "of a workload `replicas`, `ready`, `updated`, `available`, `revision`, `previous` (the revision before, 0 if \
              there is none), `paused`, `images` and `autoscaler` (its name, empty if there is none); of a node `state`, \
              `ready` and `pods`, how many a drain would evict (null if the bot may not list them); of both `run` and `step`, the marks of whichever run wrote it last",
};

/// `kubernetes.scale`
pub(super) const SCALE: ActionSpec = ActionSpec {
    name: "kubernetes.scale",
    summary: "Changes how many replicas a workload has, within bounds, unless an autoscaler decides that",
    changes: Changes::World,
    many: false,
    fields: &[
        CLUSTER,
        KIND,
        NAMESPACE,
        NAME,
        Field { name: "replicas", required: false, kind: Kind::Integer, help: "How many it shall have; this or `by`" },
        Field { name: "by", required: false, kind: Kind::Integer, help: "How many more, or less; this or `replicas`" },
        Field { name: "min", required: false, kind: Kind::Integer, help: "Fewer are refused, `1` if left out" },
        Field { name: "max", required: false, kind: Kind::Integer, help: "More are refused" },
        Field {
            name: "largest_step",
            required: false,
            kind: Kind::Integer,
            help: "A change by more than this is refused",
        },
        Field {
            name: "expect",
            required: false,
            kind: Kind::Integer,
            help: "How many it must have before; it is refused if somebody has changed that",
        },
        Field {
            name: "autoscaler",
            required: false,
            kind: Kind::Word(&["refuse", "adjust_min"]),
            help: "What to do where a HorizontalPodAutoscaler decides: nothing, or change its minimum, `refuse` if left out",
        },
    ],
    outputs: "`before` and `replicas`, and `autoscaler`, the name of the one whose minimum it is (empty if there is none)",
};

/// `kubernetes.rollout_undo`
pub(super) const ROLLOUT_UNDO: ActionSpec = ActionSpec {
    name: "kubernetes.rollout_undo",
    summary: "Brings a deployment back to a template that it had before, as `kubectl rollout undo` does; one that is paused is refused",
    changes: Changes::World,
    many: false,
    fields: &[
        CLUSTER,
        NAMESPACE,
        NAME,
        Field {
            name: "to",
            required: false,
            kind: Kind::Integer,
            help: "The revision; 0 is the one before, `0` if left out",
        },
        Field {
            name: "expect",
            required: false,
            kind: Kind::Integer,
            help: "The revision that must be in force before; it is refused if somebody has deployed since",
        },
    ],
    outputs: "`before`, the revision that was in force, `revision`, the one whose template is in force, and `images`",
};

/// `kubernetes.rollout_restart`
pub(super) const ROLLOUT_RESTART: ActionSpec = ActionSpec {
    name: "kubernetes.rollout_restart",
    summary: "Replaces every pod of a workload, as `kubectl rollout restart` does; a deployment that is paused is refused",
    changes: Changes::World,
    many: false,
    fields: &[CLUSTER, KIND, NAMESPACE, NAME],
    outputs: "`restarted_at`",
};

/// `kubernetes.wait_rollout`
pub(super) const WAIT_ROLLOUT: ActionSpec = ActionSpec {
    name: "kubernetes.wait_rollout",
    summary: "Waits until a workload is rolled out, as `kubectl rollout status` does, and fails at once where the cluster has \
              given up on it. The step's `timeout` says when to give up, `every` how often to look, `5s` if left out",
    changes: Changes::Nothing,
    many: false,
    fields: &[CLUSTER, KIND, NAMESPACE, NAME],
    outputs: "`complete`, `progress` in words, `replicas`, `updated` and `available`",
};

/// `kubernetes.cordon`
pub(super) const CORDON: ActionSpec = ActionSpec {
    name: "kubernetes.cordon",
    summary: "Lets a node take no new pods, or take them again; pods that are on it stay",
    changes: Changes::World,
    many: false,
    fields: &[
        CLUSTER,
        Field { name: "node", required: true, kind: Kind::Text, help: "The node's name" },
        Field {
            name: "to",
            required: false,
            kind: Kind::Text,
            help: "`cordoned` or `schedulable`, `cordoned` if left out",
        },
    ],
    outputs: "`before` and `state`: `cordoned` or `schedulable`",
};

/// `kubernetes.drain`
pub(super) const DRAIN: ActionSpec = ActionSpec {
    name: "kubernetes.drain",
    summary: "Lets a node take no new pods and evicts those that are on it, as `kubectl drain` does: pods of a DaemonSet and what \
              the node starts by itself stay, a disruption budget that does not allow an eviction is waited for. What is left when \
              the step's `timeout` is over is named, with the budget that kept it",
    changes: Changes::World,
    many: false,
    fields: &[
        CLUSTER,
        Field { name: "node", required: true, kind: Kind::Text, help: "The node's name" },
        Field {
            name: "bare_pods",
            required: false,
            kind: Kind::Word(&["refuse", "evict"]),
            help: "What to do where there are pods that nobody would start again: touch nothing, or evict them, `refuse` if left out",
        },
        Field {
            name: "empty_dir",
            required: false,
            kind: Kind::Word(&["refuse", "delete"]),
            help: "What to do where pods would lose what they keep in an `emptyDir`: touch nothing, or delete it, `refuse` if left out",
        },
    ],
    outputs: "`before`, what the node was: `cordoned` or `schedulable`; `state`, which is `cordoned`; `evicted`, the pods that were \
              evicted by the last attempt, and `stays`, those that stay, each as `NAMESPACE/NAME`",
};

const KEY: &str = "the object bears the step's key, so `repeat: safe` finds what happened; or a probe by `kubernetes.read` \
                   with `found: \"output.step == step.key\"`";

/// What a careful person wants to know of those that change something.
pub(super) const CARE: &[(&str, Care)] = &[
    (
        SCALE.name,
        Care {
            touches: "`spec.replicas` of the workload, or `spec.minReplicas` of its autoscaler",
            undo: "`kubernetes.scale` with `replicas: \"{{ NAME.before }}\"` and `expect: \"{{ NAME.replicas }}\"`, where the \
                   step has `output: NAME`",
            doubt: KEY,
        },
    ),
    (
        ROLLOUT_UNDO.name,
        Care {
            touches: "`spec.template` and the annotations of the deployment",
            undo: "`kubernetes.rollout_undo` with `to: \"{{ NAME.before }}\"`, where the step has `output: NAME`",
            doubt: KEY,
        },
    ),
    (
        ROLLOUT_RESTART.name,
        Care {
            touches: "the annotation `kubectl.kubernetes.io/restartedAt` of the pods' template",
            undo: "nothing takes it back: declare `irreversible: true`",
            doubt: KEY,
        },
    ),
    (
        CORDON.name,
        Care {
            touches: "`spec.unschedulable` of the node",
            undo: "`kubernetes.cordon` with `to: \"{{ NAME.before }}\"`, where the step has `output: NAME`",
            doubt: KEY,
        },
    ),
    (
        DRAIN.name,
        Care {
            touches: "`spec.unschedulable` of the node, and the pods that are on it",
            undo: "`kubernetes.cordon` with `to: \"{{ NAME.state }}\"`, where a `kubernetes.read` of the node before it has \
                   `output: NAME`: a drain that is not to its end has no output. Pods that were evicted do not come back",
            doubt: "the node bears the step's key from the beginning, so `repeat: safe` goes on with what is left",
        },
    ),
];
