//! What leaves, what stays, and what a file that cannot be written costs: nothing.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::work::sweep;
use crate::{
    domain::{
        deployments::{Change, ChangeKind},
        ids::{IncidentId, RunId, SilenceId},
        people::Capability,
        runbooks::{self, plan::MaxRuns},
        runs::RunState,
        timeline::{self as log, Chain},
    },
    engine::{Rules, ports::Shelf, trial::Trial},
    store::{archives, cards, deployments, runs, silences, timeline, transfer},
};

const DAY: Duration = Duration::from_hours(24);
const LONG: Duration = Duration::from_hours(24 * 30);

/// A runbook that anybody may start.
const TIDY: &str = r#"
name: tidy-up
owner: team
mode: auto
trigger: { chat: {} }
inputs: { service: { type: service, const: checkout } }
target: { service: "{{ service }}", environment: production }
steps: [{ name: tell everybody, action: announce, with: { text: tidy } }]
"#;

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
    assert_eq!(left.iter().map(|it| (it.name.as_str(), it.title.as_str())).collect::<Vec<_>>(), [("INC-1", "one")]);

    let files = shelf.files.lock().unwrap().clone();
    let mut reading = transfer::Reading::begin(files[0].1.as_slice()).unwrap();
    assert_eq!(transfer::check(&mut reading).unwrap(), [""; 0], "its timeline stands by itself");
    let seal = reading.seal().unwrap();
    assert_eq!((&seal.sha256, seal.rows["incidents"]), (&left[0].sha256, 1));
    let entries = left[0].stretch.as_ref().unwrap().seq;
    assert_eq!(seal.rows["timeline"], u64::try_from(entries).unwrap());

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
    assert!(archived(&trial).await.iter().all(|it| it.name != "INC-3"));
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
    let part = archives::Part::Incident(IncidentId(1));
    let (_, seal) = transfer::archive(&mut reader, &part, trial.engine.now()).await.unwrap();
    drop(reader);
    let leave = super::decide::Leave {
        part,
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

/// A bot with a runbook, which counts its runs for so long.
async fn with_runbook(counted: Option<Duration>) -> Trial {
    let mut plan = runbooks::read(Path::new("tidy-up.yaml"), TIDY.as_bytes()).unwrap();
    plan.guards.max_runs = counted.map(|per| MaxRuns { count: 3, per });
    let mut rules = Rules { default_channel: "ops".to_owned(), ..Rules::default() };
    rules.runs.runbooks.insert(plan.name.clone(), Arc::new(plan));
    rules.people.everyone = Some(Capability::Administer);
    Trial::new(rules).await
}

/// Starts runs, each of which is done at once and told of.
async fn run(trial: &Trial, count: usize) {
    for _ in 0..count {
        trial.says("ana", "/runbook run runbook:tidy-up").await.unwrap();
        trial.engine.store().decide(Done(trial.engine.now())).await.unwrap();
    }
}

/// Every run has come to its end, and its card is shown.
struct Done(crate::domain::time::Time);

impl crate::store::Decision for Done {
    type Answer = ();
    async fn decide(&self, tx: &mut crate::store::Tx) -> crate::store::Result<()> {
        for mut run in runs::open(tx).await? {
            (run.state, run.ended_at) = (RunState::Done, Some(self.0));
            runs::save(tx, &run).await?;
        }
        for card in cards::newest(tx, 100).await? {
            cards::shown(tx, &card.subject, card.wanted, "m").await?;
        }
        Ok(())
    }
}

/// Adds a plan that no run follows.
struct Leftover;

impl crate::store::Decision for Leftover {
    type Answer = ();

    async fn decide(&self, tx: &mut crate::store::Tx) -> crate::store::Result<()> {
        tx.execute("insert into plans (hash, plan) values ('left over', '{}')", &[]).await.map(drop)
    }
}

fn names(shelf: &Memory) -> Vec<String> {
    shelf.files.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
}

/// Runs that the clock, a chat or a source starts are most of a store after years.
#[tokio::test]
async fn runs_of_no_incident_leave_with_all_that_is_theirs() {
    let trial = with_runbook(None).await;
    run(&trial, 3).await;
    trial.engine.store().decide(Leftover).await.unwrap();
    trial.clock.pass(LONG + DAY);
    let shelf = Memory::default();
    sweep(&trial.engine, LONG, &shelf).await.unwrap();
    assert_eq!(names(&shelf)[0], "RUN-1");
    let mut reader = trial.engine.read().await.unwrap();
    let left = archives::of_run(&mut reader, RunId(2)).await.unwrap().unwrap();
    assert_eq!((left.name.as_str(), left.title.as_str()), ("RUN-1", "tidy-up"));
    assert_eq!(left.runs, [RunId(1), RunId(2)], "the newest stays");
    let content = shelf.files.lock().unwrap()[0].1.clone();
    let mut reading = transfer::Reading::begin(content.as_slice()).unwrap();
    assert_eq!(transfer::check_archived(&mut reading, &left).unwrap(), [""; 0]);
    let rows = &reading.seal().unwrap().rows;
    assert_eq!((rows["runs"], rows["cards"], rows["plans"]), (2, 2, 1));
    let plans = reader.row("select count(*) as number, min(hash) as hash from plans", &[]).await.unwrap().unwrap();
    assert_eq!(plans.int("number").unwrap(), 1, "the one that the newest run follows");
    assert_ne!(plans.text("hash").unwrap(), "left over");
    assert!(cards::about(&mut reader, "RUN-2").await.unwrap().is_none());
    let counted: i64 = runs::counts(&mut reader).await.unwrap().iter().map(|count| count.number).sum();
    assert_eq!(counted, 3, "who counts runs counts those that left");
    drop(reader);
    for line in ["/runbook show name:RUN-2", "/why run:RUN-2", "/runbook cancel run:RUN-2"] {
        let refusal = trial.says("ana", line).await.unwrap_err().to_string();
        assert!(refusal.contains("`RUN-2` is archived in `RUN-1`"), "{line}: {refusal}");
    }
    let why = trial.says("ana", "/why run:RUN-3").await.unwrap();
    assert!(format!("{why:?}").contains("firewarden archive show SYSTEM#3"), "{why:?}");
    run(&trial, 1).await;
    trial.says("ana", "/runbook show name:RUN-4").await.unwrap();
}

/// Keeps a file, and the process is killed before anybody knows of it.
struct Dies(Memory, Notify);

#[async_trait]
impl Shelf for Dies {
    async fn put(&self, name: &str, content: Vec<u8>) -> Result<String, String> {
        self.0.put(name, content).await?;
        self.1.notify_one();
        std::future::pending().await
    }

    async fn take_back(&self, _: &str) {}
}

/// Whatever was written by then, what the store has is taken away with a file that the store knows, once.
#[tokio::test]
async fn a_process_that_is_killed_after_a_file_loses_nothing_and_doubles_nothing() {
    let trial = with_runbook(None).await;
    run(&trial, 3).await;
    trial.clock.pass(LONG + DAY);
    let dies = Dies(Memory::default(), Notify::new());
    for _ in 0..2 {
        tokio::select! {
            swept = sweep(&trial.engine, LONG, &dies) => panic!("it is killed: {swept:?}"),
            () = dies.1.notified() => {}
        }
        assert_eq!(archived(&trial).await, []);
        trial.says("ana", "/runbook show name:RUN-1").await.unwrap();
    }
    for _ in 0..2 {
        sweep(&trial.engine, LONG, &dies.0).await.unwrap();
        let left = archived(&trial).await;
        assert_eq!(left.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["RUN-1", "SYSTEM#2", "SYSTEM#3"]);
    }
}

/// A budget of runs in a window is kept by counting them.
#[tokio::test]
async fn a_run_stays_for_as_long_as_it_is_counted() {
    let trial = with_runbook(Some(2 * LONG)).await;
    run(&trial, 2).await;
    let shelf = Memory::default();
    for is_gone in [false, true] {
        trial.clock.pass(LONG + DAY);
        sweep(&trial.engine, LONG, &shelf).await.unwrap();
        assert_eq!(names(&shelf).contains(&"RUN-1".to_owned()), is_gone);
    }
}

/// The system's timeline goes on where what left of it ends, and both are verified.
#[tokio::test]
async fn the_oldest_entries_leave_and_the_timeline_goes_on_after_them() {
    let trial = with_runbook(None).await;
    let shelf = Memory::default();
    for round in 0..3 {
        run(&trial, 2).await;
        let count = shelf.files.lock().unwrap().len();
        sweep(&trial.engine, LONG, &shelf).await.unwrap();
        assert_eq!(shelf.files.lock().unwrap().len() > count, round > 0, "what is young stays");
        trial.clock.pass(LONG + DAY);
    }
    let left = archived(&trial).await;
    let stretches: Vec<_> = left.iter().filter_map(|it| it.stretch.clone()).collect();
    assert_eq!(stretches.iter().map(|it| (it.base, it.seq)).collect::<Vec<_>>(), [(0, 2), (2, 6)]);
    for it in &left {
        let place = names(&shelf).iter().position(|name| *name == it.file).unwrap();
        let content = shelf.files.lock().unwrap()[place].1.clone();
        let mut reading = transfer::Reading::begin(content.as_slice()).unwrap();
        assert_eq!(transfer::check_archived(&mut reading, it).unwrap(), [""; 0], "{it:?}");
    }

    let mut reader = trial.engine.read().await.unwrap();
    let entries = timeline::entries(&mut reader, Chain::System).await.unwrap();
    let base = &stretches[1];
    log::verify_after((base.seq, &base.hash), &entries).unwrap();
    for other in [(0, ""), (base.seq, stretches[0].hash.as_str()), (stretches[0].seq, base.hash.as_str())] {
        log::verify_after(other, &entries).unwrap_err();
    }
    let mut copy = Vec::new();
    let about = (transfer::Content::Backup, trial.engine.now(), true);
    transfer::export(&mut reader, &mut copy, about).await.unwrap();
    let flaws = transfer::check(&mut transfer::Reading::begin(copy.as_slice()).unwrap()).unwrap();
    assert_eq!(flaws, [""; 0], "a backup knows where the timeline begins");
}

/// A bot that has nothing to tell writes no file about its files for ever.
#[tokio::test]
async fn nothing_leaves_but_for_something_new() {
    let trial = with_runbook(None).await;
    run(&trial, 1).await;
    let shelf = Memory::default();
    trial.says("ana", "/halt reason:\"a look\"").await.unwrap();
    trial.says("ana", "/halt lift:done").await.unwrap();
    for _ in 0..4 {
        trial.clock.pass(LONG + DAY);
        sweep(&trial.engine, LONG, &shelf).await.unwrap();
    }
    assert_eq!(names(&shelf), ["SYSTEM-2", "SYSTEM-3"], "the third would tell of nothing but the first");
}
