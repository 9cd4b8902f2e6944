//! What holds among several processes on one server, each with a store of its own. Without a server nothing is tried.

use std::{sync::Arc, time::Instant};

use tokio::sync::Barrier;

use super::{trial::Home, *};
use crate::domain::{
    ids::IncidentId,
    people::Actor,
    timeline::{Chain, Draft, verify},
};

/// Two stores on one database, of which the first leads.
async fn two() -> Option<(Home, Store, Store)> {
    let home = Home::new().await;
    if home.address().file().is_some() {
        return None;
    }
    let first = Store::open(home.address()).await.unwrap();
    let second = Store::open(home.address()).await.unwrap();
    Some((home, first, second))
}

/// Reads the newest entry and adds the next.
struct Add;

impl Decision for Add {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> Result<()> {
        let body = r#"{"kind":"noted"}"#.to_owned();
        let draft = Draft { actor: Actor::Bot, source_at: None, kind: "noted".to_owned(), body, text: String::new() };
        timeline::append(tx, Chain::Incident(IncidentId(1)), Time::EPOCH, draft).await?;
        tx.wake(Wake::Runs);
        Ok(())
    }
}

/// Waits until it is so.
async fn until(seconds: u64, mut is_so: impl FnMut() -> bool) -> bool {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(seconds), waiting).await.is_ok()
}

/// A decision that reads before it writes is not overtaken by one of another process.
#[tokio::test(flavor = "multi_thread")]
async fn the_decisions_of_all_processes_have_one_order() {
    let Some((_home, first, second)) = two().await else { return };
    let both = (0..400).map(|number| {
        let store = if number % 2 == 0 { &first } else { &second };
        async move { store.decide(Add).await }
    });
    for outcome in futures::future::join_all(both).await {
        outcome.unwrap();
    }
    let mut reader = first.read().await.unwrap();
    let entries = timeline::entries(&mut reader, Chain::Incident(IncidentId(1))).await.unwrap();
    verify(&entries).unwrap();
    assert_eq!(entries.len(), 400);
}

/// What one process makes due does not wait until another looks by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_wakes_the_workers_of_all_processes() {
    let Some((_home, first, second)) = two().await else { return };
    for store in [&first, &second] {
        // Everything is woken once at the beginning.
        store.woken(Wake::Runs).await;
    }
    first.decide(Add).await.unwrap();
    for store in [&first, &second] {
        let woken = tokio::time::timeout(Duration::from_secs(5), store.woken(Wake::Runs)).await;
        woken.expect("the process is woken");
    }
    let delivery = second.woken(Wake::Delivery);
    let again = futures::FutureExt::now_or_never(second.woken(Wake::Runs));
    assert!(again.is_none(), "it is woken once");
    drop(delivery);
}

/// There is always one that leads, and never more than one.
#[tokio::test(flavor = "multi_thread")]
async fn one_process_leads_until_it_leaves() {
    let Some((home, first, second)) = two().await else { return };
    assert!(first.lead().is_ours() && !second.lead().is_ours());
    first.close().await;
    assert!(!first.lead().is_ours());
    assert!(until(5, || second.lead().is_ours()).await, "the other leads");
    let third = Store::open(home.address()).await.unwrap();
    assert!(!third.lead().is_ours());
    drop(second);
    assert!(until(5, || third.lead().is_ours()).await, "one that is dropped has left");
}

/// Hangs once it has written something.
struct Hang(Arc<Barrier>);

impl Decision for Hang {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> Result<()> {
        Add.decide(tx).await?;
        self.0.wait().await;
        std::future::pending().await
    }
}

/// A process that hangs between two statements holds the lock that all wait for: not for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hangs_in_a_transaction_is_not_waited_for() {
    let Some((_home, first, second)) = two().await else { return };
    let barrier = Arc::new(Barrier::new(2));
    let hung = tokio::spawn({
        let (first, barrier) = (first.clone(), Arc::clone(&barrier));
        async move { first.decide(Hang(barrier)).await }
    });
    barrier.wait().await;
    let begun = Instant::now();
    second.decide(Add).await.unwrap();
    let waited = begun.elapsed();
    assert!((3..8).contains(&waited.as_secs()), "it waited {waited:?}");
    let mut reader = second.read().await.unwrap();
    let entries = timeline::entries(&mut reader, Chain::Incident(IncidentId(1))).await.unwrap();
    assert_eq!(entries.len(), 1, "what the other had begun is not kept");
    hung.abort();
}

/// A server that makes everybody wait is asked once for all that wait meanwhile, and not once for each.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_server_is_answered_with_the_first() {
    let Some((home, store, _second)) = two().await else { return };
    let Address::Server(server) = home.address() else { return };
    let mut holder = sqlx::ConnectOptions::connect(server.options.as_ref()).await.unwrap();
    let lock = format!("begin; select pg_advisory_xact_lock({})", postgres::LOCK);
    sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut holder).await.unwrap();
    let begun = Instant::now();
    for outcome in futures::future::join_all((0..20).map(|_| store.decide(Add))).await {
        assert_eq!(outcome.unwrap_err().kind, FaultKind::Unreachable);
    }
    let waited = begun.elapsed();
    // As long as a transaction may take.
    assert!((5..30).contains(&waited.as_secs()), "they waited {waited:?}");
    sqlx::Connection::close(holder).await.unwrap();
    store.decide(Add).await.unwrap();
    let mut reader = store.read().await.unwrap();
    let entries = timeline::entries(&mut reader, Chain::Incident(IncidentId(1))).await.unwrap();
    assert_eq!(entries.len(), 1, "nothing was kept of what was answered with a fault");
}
