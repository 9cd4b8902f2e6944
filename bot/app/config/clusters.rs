//! `[kubernetes]`: which clusters runbooks may change, and what is wrong with it.

use std::{fmt::Display, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Look, check::Check};
use crate::adapters::kubernetes;

/// `[kubernetes.<name>]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSection {
    /// The file that says where the cluster is and who the bot is there.
    pub kubeconfig: Option<PathBuf>,
    /// The context in the file; the current one if none is named.
    pub context: Option<String>,
    /// Whether the bot runs in the cluster, and is its pod's service account there.
    pub in_cluster: bool,
}

/// Looks at each cluster without connecting to it.
pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (name, cluster) in &config.file.kubernetes {
        let path: [&dyn Display; 2] = [&"kubernetes", name];
        if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter)) {
            let what = format!("`{name}` cannot be the name of a cluster");
            check.add(&path, what, "use letters, digits, `-`, `_` and `.`");
        }
        match (&cluster.kubeconfig, cluster.in_cluster) {
            (Some(_), true) => {
                check.add(&path, "it has both `kubeconfig` and `in_cluster`", "keep one of them");
                continue;
            }
            (None, false) => {
                let hint = "add `kubeconfig = \"PATH\"`, or `in_cluster = true` where the bot runs in a pod of it";
                check.add(&path, "it does not say how the cluster is reached", hint);
                continue;
            }
            (None, true) if cluster.context.is_some() => {
                check.add(&path, "`context` means nothing without `kubeconfig`", "take it out");
            }
            (Some(_), false) | (None, true) => {}
        }
        if check.look == Look::WithoutSecrets {
            continue;
        }
        if let Err(why) = kubernetes::examine(&config.access(cluster)) {
            if let Some(file) = &cluster.kubeconfig {
                let what = format!("`{}`: {why}", config.beside(file).display());
                let hint = "try it with `kubectl --kubeconfig PATH --context NAME get nodes`";
                check.add(&[&"kubernetes", name, &"kubeconfig"], what, hint);
            } else {
                let hint = "run the bot in a pod with a service account, or give a `kubeconfig`";
                check.add(&[&"kubernetes", name, &"in_cluster"], why, hint);
            }
        }
    }
}
