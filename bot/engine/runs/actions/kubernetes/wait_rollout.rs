//! `kubernetes.wait_rollout`: looks how far a workload is rolled out; the step is repeated until it is complete.
//!
//! What counts as complete is what `kubectl rollout status` takes for it.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status>

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::json;

use super::{Subject, look, workload};
use crate::engine::{
    cluster::{Cluster, Name, Trouble, Update, Workload},
    runs::{Outcome, Ports, Work},
};

/// How far a workload is.
#[derive(Debug, PartialEq, Eq)]
enum Stands {
    /// It is rolled out.
    Complete,
    /// This is not done yet.
    Waits(String),
    /// It will not be rolled out.
    Never(String),
}

pub(in super::super) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        match workload(&work.with) {
            Ok(name) => look(ports, work, &Rollout(name)).await,
            Err(why) => Outcome::Refused(why),
        }
    })
}

struct Rollout(Name);

#[async_trait]
impl Subject<Outcome> for Rollout {
    async fn see(&self, cluster: &dyn Cluster) -> Result<Outcome, Trouble> {
        let workload = cluster.workload(&self.0).await?;
        let (complete, progress) = match stands(&workload) {
            Stands::Never(why) => return Ok(Outcome::Refused(format!("{} is not rolled out: {why}", self.0))),
            Stands::Waits(what) => (false, what),
            Stands::Complete => (true, format!("all of {} are new and available", workload.replicas)),
        };
        Ok(Outcome::Done(json!({
            "complete": complete,
            "progress": progress,
            "replicas": workload.replicas,
            "updated": workload.progress.updated,
            "available": workload.progress.available,
        })))
    }
}

fn stands(workload: &Workload) -> Stands {
    let (wanted, progress) = (workload.replicas, &workload.progress);
    if progress.generation > progress.observed {
        return Stands::Waits("the newest change has not been seen yet".to_owned());
    }
    if let Some(update) = &progress.update {
        return of_stateful_set(workload, update);
    }
    if let Some(why) = &progress.gave_up {
        return Stands::Never(format!("the progress deadline is exceeded ({why})"));
    }
    if progress.updated < wanted {
        return Stands::Waits(format!("{} of {wanted} are new", progress.updated));
    }
    if progress.total > progress.updated {
        return Stands::Waits(format!("{} old ones are still ending", progress.total - progress.updated));
    }
    if progress.available < progress.updated {
        return Stands::Waits(format!("{} of {} new ones are available", progress.available, progress.updated));
    }
    Stands::Complete
}

fn of_stateful_set(workload: &Workload, update: &Update) -> Stands {
    let (wanted, progress) = (workload.replicas, &workload.progress);
    if update.is_on_delete {
        return Stands::Never("its pods are replaced only when somebody deletes them (`OnDelete`)".to_owned());
    }
    if progress.observed == 0 {
        return Stands::Waits("the newest change has not been seen yet".to_owned());
    }
    if progress.ready < wanted {
        return Stands::Waits(format!("{} of {wanted} are ready", progress.ready));
    }
    if let Some(partition) = update.partition {
        let all = (wanted - partition).max(0);
        let stay = if partition > 0 { format!(", and {partition} stay as they are") } else { String::new() };
        return if progress.updated < all {
            Stands::Waits(format!("{} of {all} are new{stay}", progress.updated))
        } else {
            Stands::Complete
        };
    }
    if update.current != update.wanted {
        return Stands::Waits(format!("{} of {wanted} are new", progress.updated));
    }
    Stands::Complete
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::engine::cluster::{Meta, Progress};

    fn workload(progress: Progress) -> Workload {
        Workload {
            meta: Meta::default(),
            uid: String::new(),
            selector: String::new(),
            replicas: 3,
            is_paused: false,
            template: Value::Null,
            revision: Some(1),
            progress,
        }
    }

    fn words(progress: Progress) -> String {
        match stands(&workload(progress)) {
            Stands::Complete => "complete".to_owned(),
            Stands::Waits(what) | Stands::Never(what) => what,
        }
    }

    #[test]
    fn a_deployment_is_rolled_out_when_kubectl_says_so() {
        let seen = Progress { generation: 2, observed: 2, ..Progress::default() };
        let at = |total, updated, available| Progress { total, updated, available, ..seen.clone() };
        assert_eq!(words(at(3, 3, 3)), "complete");
        assert_eq!(words(at(4, 3, 3)), "1 old ones are still ending");
        assert_eq!(words(at(4, 1, 3)), "1 of 3 are new");
        assert_eq!(words(at(3, 3, 2)), "2 of 3 new ones are available");
        assert_eq!(
            words(Progress { observed: 1, ..at(3, 3, 3) }),
            "the newest change has not been seen yet",
            "what stands there is about the change before"
        );
        let gave_up = Some("ReplicaSet \"a\" has timed out".to_owned());
        let given_up = workload(Progress { gave_up: gave_up.clone(), ..at(4, 1, 3) });
        assert!(matches!(stands(&given_up), Stands::Never(_)));
        assert!(
            matches!(stands(&workload(Progress { gave_up, observed: 1, ..at(4, 1, 3) })), Stands::Waits(_)),
            "it was the change before that was given up"
        );
    }

    #[test]
    fn a_stateful_set_is_rolled_out_when_kubectl_says_so() {
        let update = Update { current: "a".to_owned(), wanted: "b".to_owned(), ..Update::default() };
        let at = |ready, updated, update: &Update| Progress {
            generation: 1,
            observed: 1,
            ready,
            updated,
            update: Some(update.clone()),
            ..Progress::default()
        };
        assert_eq!(words(at(2, 3, &update)), "2 of 3 are ready");
        assert_eq!(words(at(3, 2, &update)), "2 of 3 are new");
        assert_eq!(words(at(3, 3, &Update { current: "b".to_owned(), ..update.clone() })), "complete");
        let partitioned = Update { partition: Some(2), ..update.clone() };
        assert_eq!(words(at(3, 0, &partitioned)), "0 of 1 are new, and 2 stay as they are");
        assert_eq!(words(at(3, 1, &partitioned)), "complete");
        assert!(words(at(3, 3, &Update { is_on_delete: true, ..update })).contains("OnDelete"));
    }
}
