//! `kubernetes.drain`: a node takes no new pods, and those that are on it are evicted, as far as their budgets allow it.
//!
//! Which pods stay, and which nobody would start again, is what `kubectl drain` takes for it. The node bears the step's key
//! from the beginning, so whoever repeats the step goes on with what is left, and knows how the node was before.
//! <https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/>

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::{FIRST_PAUSE, MOVED_PAUSE, Subject, cluster, cordon::state, marks, marks::Marked, name, reading, text};
use crate::engine::{
    cluster::{Change, Cluster, Node, Object, Pod, Trouble},
    runs::{Outcome, Ports, Work},
};

/// The pause before pods that are still there are looked at again; doubled each time, up to the longest.
const FIRST_LOOK: Duration = Duration::from_millis(250);
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// The most pods that are named.
const NAMED: usize = 10;

pub(in super::super) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        let allowed = match (allows(work, "bare_pods", "evict"), allows(work, "empty_dir", "delete")) {
            (Ok(bare_pods), Ok(empty_dir)) => Allowed { bare_pods, empty_dir },
            (Err(why), _) | (_, Err(why)) => return Outcome::Refused(why),
        };
        let drain = match (name(&work.with, "node"), cluster(ports, &work.with)) {
            (Ok(name), Ok(cluster)) => Drain { ports, work, cluster, name, allowed, before: String::new() },
            (Err(why), _) | (_, Err(why)) => return Outcome::Refused(why),
        };
        drain.carry_out().await.unwrap_or_else(|outcome| outcome)
    })
}

/// Whether a field says that something may be lost.
fn allows(work: &Work, field: &str, allowing: &str) -> Result<bool, String> {
    match text(&work.with, field) {
        None | Some("refuse") => Ok(false),
        Some(said) if said == allowing => Ok(true),
        Some(other) => Err(format!("`{field}` is `{other}`, neither `refuse` nor `{allowing}`")),
    }
}

/// What may be lost.
#[derive(Debug, Clone, Copy)]
struct Allowed {
    /// Pods that nobody would start again.
    bare_pods: bool,
    /// What pods keep in an `emptyDir`.
    empty_dir: bool,
}

struct Drain<'a> {
    ports: &'a Ports,
    work: &'a Work,
    cluster: &'a dyn Cluster,
    name: String,
    allowed: Allowed,
    /// How the node was before the step.
    before: String,
}

/// A node with what is on it.
struct Laden {
    node: Node,
    pods: Vec<Pod>,
}

struct Looked<'a>(&'a str);

#[async_trait]
impl Subject<Laden> for Looked<'_> {
    async fn see(&self, cluster: &dyn Cluster) -> Result<Laden, Trouble> {
        Ok(Laden { node: cluster.node(self.0).await?, pods: cluster.pods_on(self.0).await? })
    }
}

impl Drain<'_> {
    async fn carry_out(mut self) -> Result<Outcome, Outcome> {
        let until = Instant::now() + self.work.timeout;
        self.cordon(until).await?;
        let mut evicted: Vec<String> = Vec::new();
        let mut kept = BTreeMap::new();
        let mut waits_for: Option<String> = None;
        let mut pause = FIRST_LOOK;
        loop {
            let Laden { node, pods } = self.look(until).await.map_err(|outcome| match &waits_for {
                // What cut the look short is the time; what it was spent on is known.
                Some(pods) if Instant::now() >= until => half_way(format!("the time is over, and {pods}")),
                Some(_) | None => stopped(outcome, &self.name),
            })?;
            if let Marked::Followed(why) = marks::of(self.work, &[node.meta.annotations]) {
                return Err(half_way(why));
            }
            if !node.is_cordoned {
                return Err(half_way(format!("somebody lets `{}` take pods again", self.name)));
            }
            let (leave, stay): (Vec<Pod>, Vec<Pod>) = pods.into_iter().partition(leaves);
            if leave.is_empty() {
                let stays: Vec<String> = stay.iter().map(Pod::to_string).collect();
                let (before, state) = (&self.before, state(true));
                return Ok(Outcome::Done(json!({
                    "before": before, "state": state, "evicted": evicted, "stays": stays,
                })));
            }
            lost(&leave, self.allowed).map_err(half_way)?;
            if (self.ports.is_halt_file_there)() {
                return Err(half_way(format!("the halt file is there, and {}", still_there(&leave, &BTreeMap::new()))));
            }
            self.evict(&leave, (&mut evicted, &mut kept), until).await?;
            let pods = still_there(&leave, &kept);
            if Instant::now() + pause >= until {
                return Err(half_way(format!("the time is over, and {pods}")));
            }
            if !kept.is_empty() {
                tracing::info!(node = self.name, why = pods, "a drain waits");
            }
            waits_for = Some(pods);
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }

    async fn look(&self, until: Instant) -> Result<Laden, Outcome> {
        reading(until, self.cluster, &Looked(&self.name)).await
    }

    /// Lets the node take no new pods, unless something on it must not be lost: then nothing is touched.
    async fn cordon(&mut self, until: Instant) -> Result<(), Outcome> {
        loop {
            let Laden { node, pods } = self.look(until).await?;
            match marks::of(self.work, std::slice::from_ref(&node.meta.annotations)) {
                Marked::Followed(why) => return Err(Outcome::Refused(why)),
                Marked::Done(output) => {
                    let before = output.get("before").and_then(Value::as_str);
                    before.unwrap_or("schedulable").clone_into(&mut self.before);
                    return Ok(());
                }
                Marked::Otherwise => {}
            }
            let leave: Vec<Pod> = pods.into_iter().filter(leaves).collect();
            lost(&leave, self.allowed).map_err(Outcome::Refused)?;
            if (self.ports.is_halt_file_there)() {
                return Err(Outcome::Halted);
            }
            state(node.is_cordoned).clone_into(&mut self.before);
            let marks = marks::for_step(self.work, &json!({ "before": self.before }));
            let object = Object::Node(self.name.clone());
            let written = self.cluster.write(&object, &node.meta.version, &Change::Cordoned(true), &marks);
            let (pause, why) = match timeout_at(until, written).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Trouble::Unknown(why))) => return Err(Outcome::Unknown(why)),
                Ok(Err(Trouble::Missing(why) | Trouble::Refused(why))) => return Err(Outcome::Refused(why)),
                Ok(Err(Trouble::Moved(why))) => (MOVED_PAUSE, why),
                Ok(Err(Trouble::Wait(pause, why))) => (pause, why),
                Ok(Err(Trouble::Unreachable(why))) => (FIRST_PAUSE, why),
                Err(_) => return Err(Outcome::Unknown("no answer came in time".to_owned())),
            };
            if Instant::now() + pause >= until {
                let why = format!("the cluster did not take it: {why}");
                return Err(Outcome::Failed { why, may_have_changed: false });
            }
            sleep(pause).await;
        }
    }

    /// Asks each of them to leave, once, and notes why some may not leave yet, by their names.
    async fn evict(
        &self,
        leave: &[Pod],
        (evicted, kept): (&mut Vec<String>, &mut BTreeMap<String, String>),
        until: Instant,
    ) -> Result<(), Outcome> {
        kept.retain(|name, _| leave.iter().any(|pod| !pod.is_ending && pod.to_string() == *name));
        for pod in leave.iter().filter(|pod| !pod.is_ending) {
            let why = match timeout_at(until, self.cluster.evict(pod)).await {
                Ok(Ok(())) => {
                    evicted.push(pod.to_string());
                    None
                }
                // It is gone, or one that has its name is another.
                Ok(Err(Trouble::Missing(_) | Trouble::Moved(_))) => None,
                Ok(Err(Trouble::Refused(why))) => return Err(half_way(format!("`{pod}` cannot be evicted: {why}"))),
                // An eviction that is asked for again is the same eviction: it names the pod's identity.
                Ok(Err(Trouble::Wait(_, why) | Trouble::Unreachable(why) | Trouble::Unknown(why))) => Some(why),
                // What it said before tells more.
                Err(_) => Some(kept.remove(&pod.to_string()).unwrap_or_else(|| "no answer came in time".to_owned())),
            };
            match why {
                Some(why) => drop(kept.insert(pod.to_string(), why)),
                None => drop(kept.remove(&pod.to_string())),
            }
        }
        Ok(())
    }
}

/// How many pods a drain would evict.
pub(super) fn count(pods: &[Pod]) -> usize {
    pods.iter().filter(|pod| leaves(pod)).count()
}

/// Whether a pod has to leave: not where its node itself keeps it, nor where it would be started there again at once.
fn leaves(pod: &Pod) -> bool {
    let is_of_the_node = pod.keeper.as_deref() == Some("DaemonSet") && !pod.is_finished;
    !is_of_the_node && !pod.is_mirror
}

/// What would be lost for good and must not be.
fn lost(leave: &[Pod], allowed: Allowed) -> Result<(), String> {
    let at_work = || leave.iter().filter(|pod| !pod.is_finished && !pod.is_ending);
    let bare: Vec<&Pod> = at_work().filter(|pod| pod.keeper.is_none() && !allowed.bare_pods).collect();
    if !bare.is_empty() {
        return Err(format!("nobody would start {} again: say `bare_pods: evict` if that is right", named(&bare)));
    }
    let local: Vec<&Pod> = at_work().filter(|pod| pod.has_empty_dir && !allowed.empty_dir).collect();
    if !local.is_empty() {
        let what = "would lose what is in an `emptyDir`: say `empty_dir: delete` if that is right";
        return Err(format!("{} {what}", named(&local)));
    }
    Ok(())
}

/// Which are still there, and why if that is known.
fn still_there(leave: &[Pod], kept: &BTreeMap<String, String>) -> String {
    let all: Vec<&Pod> = leave.iter().collect();
    let verb = if all.len() == 1 { "is" } else { "are" };
    let mut words = format!("{} {verb} still there", named(&all));
    for (pod, why) in kept.iter().take(NAMED) {
        words.push_str(&format!("; `{pod}`: {why}"));
    }
    words
}

fn named(pods: &[&Pod]) -> String {
    let names: Vec<String> = pods.iter().take(NAMED).map(|pod| format!("`{pod}`")).collect();
    let more = pods.len().saturating_sub(NAMED);
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

/// It was begun, and is not to its end.
fn half_way(why: String) -> Outcome {
    Outcome::Failed { why, may_have_changed: true }
}

/// The same for what kept it from being looked at.
fn stopped(outcome: Outcome, node: &str) -> Outcome {
    match outcome {
        Outcome::Refused(why) | Outcome::OutOfBounds(why) | Outcome::Failed { why, .. } => {
            half_way(format!("`{node}` takes no pods, and {why}"))
        }
        other @ (Outcome::Done(_) | Outcome::Unsuccessful { .. } | Outcome::Unknown(_) | Outcome::Halted) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, keeper: Option<&str>) -> Pod {
        Pod {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            keeper: keeper.map(str::to_owned),
            is_mirror: false,
            has_empty_dir: false,
            is_finished: false,
            is_ending: false,
        }
    }

    #[test]
    fn what_the_node_itself_keeps_stays() {
        assert!(leaves(&pod("web", Some("ReplicaSet"))));
        assert!(leaves(&pod("alone", None)));
        assert!(!leaves(&pod("logs", Some("DaemonSet"))));
        assert!(leaves(&Pod { is_finished: true, ..pod("logs", Some("DaemonSet")) }), "it does nothing any more");
        assert!(!leaves(&Pod { is_mirror: true, ..pod("kubelet", Some("Node")) }));
    }

    #[test]
    fn what_would_be_lost_is_named() {
        let nothing = Allowed { bare_pods: false, empty_dir: false };
        let (alone, cache) = (pod("alone", None), Pod { has_empty_dir: true, ..pod("cache", Some("ReplicaSet")) });
        let why = lost(&[pod("web", Some("ReplicaSet")), alone.clone()], nothing).unwrap_err();
        assert_eq!(why, "nobody would start `shop/alone` again: say `bare_pods: evict` if that is right");
        let why = lost(&[alone.clone(), cache.clone()], Allowed { bare_pods: true, ..nothing }).unwrap_err();
        assert_eq!(why, "`shop/cache` would lose what is in an `emptyDir`: say `empty_dir: delete` if that is right");
        assert_eq!(lost(&[alone.clone(), cache.clone()], Allowed { bare_pods: true, empty_dir: true }), Ok(()));
        let over = [Pod { is_finished: true, ..alone }, Pod { is_ending: true, ..cache }];
        assert_eq!(lost(&over, nothing), Ok(()), "there is nothing left to lose");
    }

    #[test]
    fn many_pods_are_not_all_named() {
        let many: Vec<Pod> = (0..12).map(|number| pod(&format!("web-{number}"), Some("ReplicaSet"))).collect();
        let words = still_there(&many, &BTreeMap::from([("shop/web-3".to_owned(), "its budget".to_owned())]));
        assert!(words.ends_with("`shop/web-9` and 2 more are still there; `shop/web-3`: its budget"), "{words}");
    }
}
