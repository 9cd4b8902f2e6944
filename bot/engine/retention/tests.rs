//! What leaves, what stays, and what a file that cannot be written costs: nothing.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;

use super::work::sweep;
use crate::{
    domain::{
        deployments::{Change, ChangeKind},
        ids::{IncidentId, SilenceId},
        people::Capability,
        timeline::Chain,
    },
    engine::{Rules, ports::Shelf, trial::Trial},
    store::{archives, deployments, silences, timeline, transfer},
};

const LONG: Duration = Duration::from_hours(24 * 30);

/// Keeps files in memory, and says something to the bot while it writes one, if the test wants that.
#[derive(Default)]
struct Memory {
    files: Mutex<Vec<(String, Vec<u8>)>>,
    is_full: bool,
}

#[async_trait]
impl Shelf for Memory {
    async fn put(&self, name: &str, content: Vec<u8>) -> Result<String, String> {
        if self.is_full {
            return Err("no space is left".to_owned());
        }
        self.files.lock().unwrap().push((name.to_owned(), content));
        Ok(name.to_owned())
    }

    async fn take_back(&self, place: &str) {
        self.files.lock().unwrap().retain(|(name, _)| name != place);
    }
}

async fn trial() -> Trial {
    let mut rules = Rules { default_channel: "incidents".to_owned(), ..Rules::default() };
    rules.people.everyone = Some(Capability::Administer);
    let trial = Trial::new(rules).await;
    for title in ["one", "two", "three"] {
        trial.says("ana", &format!("/incident declare title:{title}")).await.unwrap();
    }
    trial
}

/// Closes an incident and lets nothing of it wait.
async fn close(trial: &Trial, incident: &str) {
    trial.says("ana", &format!("/incident phase phase:closed incident:{incident}")).await.unwrap();
    trial.engine.store().decide(Sent).await.unwrap();
}

/// Everything that waits was sent.
struct Sent;

impl crate::store::Decision for Sent {
    type Answer = ();
    async fn decide(&self, tx: &mut crate::store::Tx) -> crate::store::Result<()> {
        for post in crate::store::posts::oldest_waiting(tx, 100).await? {
            crate::store::posts::sent(tx, post.id, "m", post.created_at).await?;
        }
        Ok(())
    }
}

async fn archived(trial: &Trial) -> Vec<archives::Archived> {
    archives::all(&mut trial.engine.read().await.unwrap()).await.unwrap()
}

/// Only what is long over leaves, and its file has everything that was taken away.
#[tokio::test]
async fn what_is_long_over_leaves_and_its_file_is_whole() {
    let trial = trial().await;
    let shelf = Memory::default();
    close(&trial, "INC-1").await;
    trial.clock.pass(LONG + Duration::from_secs(1));
    close(&trial, "INC-2").await;
    close(&trial, "INC-3").await;
    sweep(&trial.engine, LONG, &shelf).await.unwrap();
    let left = archived(&trial).await;
    assert_eq!(left.iter().map(|it| (it.incident, it.title.as_str())).collect::<Vec<_>>(), [(IncidentId(1), "one")]);

    let files = shelf.files.lock().unwrap().clone();
    let mut reading = transfer::Reading::begin(files[0].1.as_slice()).unwrap();
    assert_eq!(transfer::check(&mut reading).unwrap(), [""; 0], "its timeline stands by itself");
    let seal = reading.seal().unwrap();
    assert_eq!((&seal.sha256, seal.rows["incidents"]), (&left[0].sha256, 1));
    assert_eq!(seal.rows["timeline"], u64::try_from(left[0].seq).unwrap());

    let mut reader = trial.engine.read().await.unwrap();
    assert_eq!(timeline::entries(&mut reader, Chain::Incident(IncidentId(1))).await.unwrap(), []);
    let told = timeline::entries(&mut reader, Chain::System).await.unwrap();
    assert!(told.last().unwrap().draft.text.starts_with("archived INC-1 with its"), "{told:?}");
    let refusal = trial.says("ana", "/incident show incident:INC-1").await.unwrap_err().to_string();
    assert!(refusal.contains("`INC-1` (one) is archived in `INC-1`"), "{refusal}");
}

/// A number that was given once is never given again: links and idempotency keys are made of it.
#[tokio::test]
async fn the_newest_stays_so_that_no_number_is_given_twice() {
    let trial = trial().await;
    for incident in ["INC-1", "INC-2", "INC-3"] {
        close(&trial, incident).await;
    }
    trial.clock.pass(LONG + Duration::from_secs(1));
    sweep(&trial.engine, LONG, &Memory::default()).await.unwrap();
    assert!(archived(&trial).await.iter().all(|it| it.incident != IncidentId(3)));
    trial.says("ana", "/incident declare title:four").await.unwrap();
    trial.says("ana", "/incident show incident:INC-4").await.unwrap();
}

/// Merged incidents leave before the one that they went on in, and none while that is open.
#[tokio::test]
async fn a_merged_incident_leaves_before_the_one_that_it_goes_on_in() {
    let trial = trial().await;
    trial.says("ana", "/incident merge into:INC-2 incident:INC-1").await.unwrap();
    trial.clock.pass(LONG + Duration::from_secs(1));
    trial.engine.store().decide(Sent).await.unwrap();
    let shelf = Memory::default();
    sweep(&trial.engine, LONG, &shelf).await.unwrap();
    assert_eq!(archived(&trial).await, [], "it goes on in one that is open");

    close(&trial, "INC-2").await;
    trial.clock.pass(LONG + Duration::from_secs(1));
    close(&trial, "INC-3").await;
    for _ in 0..2 {
        sweep(&trial.engine, LONG, &shelf).await.unwrap();
    }
    let names: Vec<String> = shelf.files.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["INC-1", "INC-2"]);
}

/// Nothing is taken away while its file cannot be written, or while everything is halted.
#[tokio::test]
async fn what_has_no_file_stays() {
    let trial = trial().await;
    close(&trial, "INC-1").await;
    trial.clock.pass(LONG + Duration::from_secs(1));
    close(&trial, "INC-2").await;
    let full = Memory { is_full: true, ..Memory::default() };
    assert_eq!(sweep(&trial.engine, LONG, &full).await.unwrap_err(), "no space is left");
    trial.says("ana", "/halt reason:\"after a restore\"").await.unwrap();
    let shelf = Memory::default();
    sweep(&trial.engine, LONG, &shelf).await.unwrap();
    assert!(archived(&trial).await.is_empty() && shelf.files.lock().unwrap().is_empty());
    trial.says("ana", "/incident show incident:INC-1").await.unwrap();
}

/// What happened between the writing and the taking away would be lost.
#[tokio::test]
async fn an_incident_that_changed_meanwhile_stays_and_its_file_goes() {
    let trial = trial().await;
    close(&trial, "INC-1").await;
    trial.clock.pass(LONG + Duration::from_secs(1));
    close(&trial, "INC-2").await;
    let mut reader = trial.engine.read().await.unwrap();
    let (_, seal) = transfer::incident(&mut reader, IncidentId(1), trial.engine.now()).await.unwrap();
    drop(reader);
    let leave = super::decide::Leave {
        incident: IncidentId(1),
        before: trial.engine.now() - LONG,
        written_at: trial.engine.now(),
        file: "INC-1".to_owned(),
        sha256: seal.sha256,
    };
    trial.says("ana", "/incident note text:late incident:INC-1").await.unwrap();
    trial.engine.store().decide(Sent).await.unwrap();
    trial.says("ana", "/incident note text:newer incident:INC-3").await.unwrap();
    assert!(!trial.engine.store().decide(leave).await.unwrap());
    trial.says("ana", "/incident show incident:INC-1").await.unwrap();
}

/// Silences that ended and changes of services are looked at for as long as incidents are kept, and no number is given
/// twice.
#[tokio::test]
async fn silences_and_changes_go_when_their_time_is_over() {
    let trial = trial().await;
    for silence in ["SIL-1", "SIL-2"] {
        trial.says("ana", "/silence add matchers:A for:1h comment:x").await.unwrap();
        trial.says("ana", &format!("/silence expire silence:{silence} reason:done")).await.unwrap();
    }
    let merged = |external: &str, at| Change {
        service: "checkout".to_owned(),
        environment: None,
        kind: ChangeKind::Merge,
        what: "a merge".to_owned(),
        at,
        by: None,
        url: None,
        external: external.to_owned(),
        run: None,
    };
    let begun = trial.engine.now();
    trial.engine.store().decide(Merged(merged("old", begun))).await.unwrap();
    trial.clock.pass(LONG + Duration::from_secs(1));
    trial.says("ana", "/silence add matchers:B for:1h comment:x").await.unwrap();
    trial.engine.store().decide(Merged(merged("new", trial.engine.now()))).await.unwrap();
    sweep(&trial.engine, LONG, &Memory::default()).await.unwrap();

    let mut reader = trial.engine.read().await.unwrap();
    let mut left = Vec::new();
    for id in 1..=3 {
        left.extend(silences::by_id(&mut reader, SilenceId(id)).await.unwrap().map(|silence| silence.id.0));
    }
    assert_eq!(left, [3], "what ended is gone, and its number is not given again");
    let changes = deployments::changes(&mut reader, "checkout", (begun, trial.engine.now()), 10).await.unwrap();
    assert_eq!(changes.iter().map(|change| change.external.as_str()).collect::<Vec<_>>(), ["new"]);
}

/// A service was changed.
struct Merged(Change);

impl crate::store::Decision for Merged {
    type Answer = ();
    async fn decide(&self, tx: &mut crate::store::Tx) -> crate::store::Result<()> {
        deployments::add_change(tx, &self.0).await.map(drop)
    }
}
