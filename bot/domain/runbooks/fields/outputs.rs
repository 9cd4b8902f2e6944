//! What each action gives, by name, for the check of what reads it.

use crate::domain::runbooks::{
    actions::{self, ActionSpec, Kind},
    yaml::{Data, Node},
};

/// What the output of a step holds, as far as the file says; empty if it has none.
pub(crate) fn outputs(spec: &ActionSpec, with: Option<&Node>) -> Vec<String> {
    let mut expressions = spec.fields.iter().filter(|field| matches!(field.kind, Kind::Extract(_)));
    let named = expressions.find_map(|field| with?.field(field.name)).map(|named| &named.data);
    if let Some(Data::Map(entries)) = named {
        return entries.iter().map(|(key, _)| key.name.clone()).collect();
    }
    let fields: &[&str] = match spec.name {
        "http" => &["status", "json", "text"],
        "shell" => &["exit", "stdout", "json"],
        "ask" => &["answer", "by"],
        "deployments.live" => &LEDGER[..LEDGER.len() - 1],
        "deployments.last_good" => &LEDGER,
        "deployments.ban" => &["sha", "banned"],
        "deployments.unban" => &["sha", "lifted"],
        "github.deploy" => &["id", "sha", "environment", "repo", "state", "url"],
        "github.find_deployment" => &["found", "failed", "why", "id", "sha", "environment", "repo", "state", "url"],
        "github.dispatch_workflow" | "github.rerun_workflow" => &["id", "attempt", "conclusion", "url"],
        "github.find_workflow_run" => &["found", "failed", "why", "id", "attempt", "conclusion", "url"],
        "github.revert_pull_request" | "github.create_issue" => &["number", "url"],
        "github.find_pull_request" | "github.find_issue" => &["found", "number", "url"],
        "github.comment" => &["id", "url"],
        "github.find_comment" => &["found", "id", "url"],
        "kubernetes.read" if with.and_then(|with| with.field("kind")).and_then(Node::text) == Some("node") => {
            actions::kubernetes::NODE
        }
        "kubernetes.read" => actions::kubernetes::WORKLOAD,
        "kubernetes.scale" => &["before", "replicas", "autoscaler"],
        "kubernetes.rollout_undo" => &["before", "revision", "images"],
        "kubernetes.rollout_restart" => &["restarted_at"],
        "kubernetes.wait_rollout" => &["complete", "progress", "replicas", "updated", "available"],
        "kubernetes.cordon" => &["before", "state"],
        "kubernetes.drain" => &["before", "state", "evicted", "stays"],
        "prometheus.query" => &["value", "samples", "unknown"],
        "prometheus.wait" => &["verdict", "value", "since", "by", "samples"],
        "github.compare" => &["status", "ahead_by", "behind_by", "files", "is_cut", "url"],
        _ => &[],
    };
    fields.iter().map(|field| (*field).to_owned()).collect()
}

/// What the ledger says of a deployment; at last, what only the one that was good has.
const LEDGER: [&str; 12] = [
    "deployment",
    "service",
    "environment",
    "sha",
    "version",
    "since",
    "age",
    "by",
    "url",
    "fate",
    "baked",
    "reversible",
];
