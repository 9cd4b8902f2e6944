//! What the store promises, tried on real files.

use std::sync::Arc;

use futures::FutureExt;
use proptest::prelude::*;
use tokio::sync::Barrier;

use super::{trial::Home, *};
use crate::domain::{
    ids::IncidentId,
    people::{Actor, PersonId},
    timeline::{Broken, Chain, Draft, EntryRef, verify},
};

const NOW: Time = Time::EPOCH;

fn draft(text: &str) -> Draft {
    Draft {
        actor: Actor::Person(PersonId("ana".to_owned())),
        source_at: None,
        kind: "noted".to_owned(),
        body: serde_json::json!({ "kind": "noted", "text": text }).to_string(),
        text: text.to_owned(),
    }
}

/// Adds an entry, then does what the story needs.
struct Add(&'static str, Then);

enum Then {
    Succeed,
    Fail,
    Panic,
    Meet(Arc<Barrier>),
}

impl Decision for Add {
    type Answer = EntryRef;

    async fn decide(&self, tx: &mut Tx) -> Result<EntryRef> {
        let entry = timeline::append(tx, Chain::Incident(IncidentId(1)), NOW, draft(self.0)).await?;
        if matches!(self.1, Then::Succeed) {
            tx.wake(Wake::Delivery);
        }
        match &self.1 {
            Then::Succeed => Ok(entry),
            Then::Fail => Err(Fault::defect("as the story wants")),
            Then::Panic => panic!("as the story wants"),
            Then::Meet(barrier) => {
                barrier.wait().await;
                barrier.wait().await;
                Ok(entry)
            }
        }
    }
}

async fn texts(store: &Store) -> Vec<String> {
    let mut reader = store.read().await.unwrap();
    let entries = timeline::entries(&mut reader, Chain::Incident(IncidentId(1))).await.unwrap();
    verify(&entries).unwrap();
    entries.into_iter().map(|entry| entry.draft.text).collect()
}

/// What was answered is on disk.
#[tokio::test]
async fn an_answered_decision_is_there_after_a_restart() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    store.decide(Add("first", Then::Succeed)).await.unwrap();
    store.close().await;
    let store = Store::open(place.address()).await.unwrap();
    assert_eq!(texts(&store).await, ["first"]);
}

/// One bad decision costs the others nothing, although they share a commit.
#[tokio::test]
async fn only_the_guilty_decision_gets_its_fault() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    let (good, last, failed, panicked) = tokio::join!(
        store.decide(Add("good", Then::Succeed)),
        store.decide(Add("last", Then::Succeed)),
        store.decide(Add("failed", Then::Fail)),
        store.decide(Add("panicked", Then::Panic)),
    );
    assert!(good.is_ok() && last.is_ok());
    store.woken(Wake::Delivery).now_or_never().expect("work that the others made due is not forgotten");
    assert!(failed.unwrap_err().to_string().contains("as the story wants"));
    assert!(panicked.unwrap_err().to_string().contains("a decision panicked"));
    assert_eq!(texts(&store).await, ["good", "last"]);
    assert_eq!(store.failing_for(), None, "a defect of a decision is no trouble with the file");
}

/// What would be woken is dealt with by the commit that makes it due, until nobody waits for what came of it any more.
#[tokio::test]
async fn what_stands_by_is_decided_in_the_commit_that_makes_its_work_due() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    store.woken(Wake::Delivery).now_or_never();
    let mut heard = store.stand_by(Wake::Delivery, || Some(Add("behind it", Then::Meet(Arc::new(Barrier::new(1))))));
    let first = store.decide(Add("first", Then::Succeed)).await.unwrap();
    let behind = heard.try_recv().expect("its answer is there with the first one").unwrap();
    assert_eq!((first.seq, behind.seq), (1, 2));
    assert!(store.woken(Wake::Delivery).now_or_never().is_none(), "nothing is left to be woken for");
    heard.close();
    store.decide(Add("last", Then::Succeed)).await.unwrap();
    store.woken(Wake::Delivery).now_or_never().expect("nobody stands by any more");
    assert_eq!(texts(&store).await, ["first", "behind it", "last"]);
}

/// One that breaks harms nobody, and its work is woken.
#[tokio::test]
async fn what_stands_by_and_is_guilty_gets_its_fault_alone() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    store.woken(Wake::Delivery).now_or_never();
    let mut heard = store.stand_by(Wake::Delivery, || Some(Add("guilty", Then::Panic)));
    store.decide(Add("good", Then::Succeed)).await.unwrap();
    assert!(heard.recv().await.unwrap().unwrap_err().to_string().contains("a decision panicked"));
    store.woken(Wake::Delivery).now_or_never().expect("what was not dealt with is woken");
    assert_eq!(texts(&store).await, ["good"]);
}

/// Makes nothing of a statement that fails.
struct Careless(&'static str);

impl Decision for Careless {
    type Answer = EntryRef;

    async fn decide(&self, tx: &mut Tx) -> Result<EntryRef> {
        let entry = timeline::append(tx, Chain::Incident(IncidentId(1)), NOW, draft("careless")).await?;
        let _failed = tx.rows(self.0, &[]).await;
        Ok(entry)
    }
}

/// A server gives a transaction up when a statement fails, and its commit says nothing of that: nobody is told that
/// something was kept which was not.
#[tokio::test]
async fn a_statement_that_failed_is_not_passed_over() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    for sql in ["select nothing from nowhere", "insert into halts (scope) values (null)"] {
        let fault = store.decide(Careless(sql)).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Defect, "{fault}");
    }
    store.decide(Add("after", Then::Succeed)).await.unwrap();
    assert_eq!(texts(&store).await, ["after"]);
}

/// Holds so many alerts back, with these names, each by a row of its own; says how many are held back by then, if it looks.
struct Hold {
    names: Vec<String>,
    looks: bool,
}

impl Hold {
    fn of(count: usize, looks: bool) -> Self {
        Self { names: (0..count).map(|number| format!("alert {number}")).collect(), looks }
    }
}

impl Decision for Hold {
    type Answer = Option<i64>;

    async fn decide(&self, tx: &mut Tx) -> Result<Option<i64>> {
        let rows = self.names.iter().map(|name| [name.into(), NOW.into()]);
        tx.insert("insert into silenced (alert, since) values ($1, $2)", rows).await?;
        if !self.looks {
            return Ok(None);
        }
        let row = tx.row("select count(*) as held from silenced", &[]).await?;
        row.map(|row| row.int("held")).transpose()
    }
}

/// What is written while the decision goes on is there for whatever it asks next.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_sees_the_many_rows_that_it_wrote() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    assert_eq!(store.decide(Hold::of(1_000, true)).await.unwrap(), Some(1_000));
}

/// A row that cannot be written is told, also if it was one of many and nothing was asked after it; the others' commit stands.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_rows_that_cannot_be_written_is_told() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    for looks in [false, true] {
        let mut twice = Hold::of(500, looks);
        twice.names.push("alert 0".to_owned());
        let (guilty, good) = tokio::join!(store.decide(twice), store.decide(Add("good", Then::Succeed)));
        let fault = guilty.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Defect, "{fault}");
        assert!(good.is_ok());
    }
    assert_eq!(store.decide(Hold::of(1, true)).await.unwrap(), Some(1), "nothing was kept of what failed");
    assert_eq!(texts(&store).await, ["good", "good"]);
}

/// A list can be looked at while a change is being decided, and shows what was committed before.
#[tokio::test]
async fn readers_do_not_wait_for_the_writer() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    store.decide(Add("before", Then::Succeed)).await.unwrap();
    let barrier = Arc::new(Barrier::new(2));
    let slow = tokio::spawn({
        let (store, barrier) = (store.clone(), Arc::clone(&barrier));
        async move { store.decide(Add("slow", Then::Meet(barrier))).await }
    });
    barrier.wait().await;
    assert_eq!(texts(&store).await, ["before"]);
    barrier.wait().await;
    slow.await.unwrap().unwrap();
    assert_eq!(texts(&store).await, ["before", "slow"]);
}

/// Two bots on one file would each believe that they are alone.
#[tokio::test]
async fn a_second_process_is_told_who_is_in_the_way() {
    let place = Home::file();
    let store = Store::open(place.address()).await.unwrap();
    let fault = Store::open(place.address()).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Locked);
    assert!(fault.to_string().contains("stop the other `firewarden`"), "{fault}");
    store.close().await;
    Store::open(place.address()).await.unwrap();
}

/// A file that is only read is not taken for something that it is not.
#[tokio::test]
async fn a_file_that_is_no_store_is_not_read() {
    let place = Home::file();
    std::fs::write(place.address().file().unwrap(), "").unwrap();
    let fault = ReadOnly::open(place.address()).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Corrupt, "{fault}");
}

/// A damaged file is not overwritten, and the message says what to keep.
#[tokio::test]
async fn a_damaged_file_says_what_to_do() {
    let place = Home::file();
    let garbage = vec![b'x'; 8192];
    std::fs::write(place.address().file().unwrap(), &garbage).unwrap();
    let fault = Store::open(place.address()).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert!(fault.to_string().contains("start from a backup"), "{fault}");
    assert_eq!(std::fs::read(place.address().file().unwrap()).unwrap(), garbage);
}

/// A log that was edited afterwards does not verify.
#[tokio::test]
async fn an_edited_entry_breaks_its_chain() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    for text in ["one", "two", "three"] {
        store.decide(Add(text, Then::Succeed)).await.unwrap();
    }
    let mut reader = store.read().await.unwrap();
    let chain = Chain::Incident(IncidentId(1));
    let mut entries = timeline::entries(&mut reader, chain).await.unwrap();
    entries[1].draft.text = "another two".to_owned();
    assert_eq!(verify(&entries), Err(Broken(EntryRef { chain, seq: 2 })));
    entries.remove(1);
    assert_eq!(verify(&entries), Err(Broken(EntryRef { chain, seq: 3 })));
}

/// Every statement of this layer means something to the database that is tried.
#[tokio::test]
async fn every_statement_can_be_prepared() {
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    let statements = statements(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("bot/store"));
    assert!(statements.len() > 80, "{} statements were found", statements.len());
    let mut reader = store.read().await.unwrap();
    for sql in statements {
        reader.prepare(sql.leak()).await.unwrap_or_else(|fault| panic!("{fault}"));
    }
}

/// The texts in the files of a folder that begin like a statement.
fn statements(folder: &std::path::Path) -> Vec<String> {
    #[derive(Default)]
    struct Texts(Vec<String>);
    impl<'ast> syn::visit::Visit<'ast> for Texts {
        fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
            let text = text.value();
            let begins =
                ["select ", "insert ", "update ", "delete ", "with "].iter().any(|word| text.starts_with(word));
            self.0.extend(begins.then_some(text));
        }
    }
    let mut texts = Texts::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if !matches!(
                name,
                "tests.rs" | "trial.rs" | "postgres.rs" | "dialect.rs" | "election.rs" | "migrations.rs"
            ) {
                let file = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
                syn::visit::Visit::visit_file(&mut texts, &file);
            }
        }
    }
    texts.0
}

/// A command that is sent twice is carried out once, and a timer that was moved does not fire at its old time.
#[tokio::test]
async fn inputs_are_remembered_and_timers_fire_once() {
    struct Twice;
    impl Decision for Twice {
        type Answer = (Option<String>, Option<String>, bool, bool);

        async fn decide(&self, tx: &mut Tx) -> Result<Self::Answer> {
            let first = inputs::answered(tx, "key").await?;
            inputs::remember(tx, "key", NOW, "done").await?;
            let second = inputs::answered(tx, "key").await?;
            timers::set(tx, "kind", "subject", NOW).await?;
            let due = timers::due(tx, NOW, 10).await?.remove(0);
            timers::set(tx, "kind", "subject", NOW + Duration::from_secs(1)).await?;
            let moved = timers::take(tx, &due).await?;
            let later = timers::due(tx, NOW + Duration::from_secs(1), 10).await?.remove(0);
            Ok((first, second, moved, timers::take(tx, &later).await?))
        }
    }
    let place = Home::new().await;
    let store = Store::open(place.address()).await.unwrap();
    let answer = store.decide(Twice).await.unwrap();
    assert_eq!(answer, (None, Some("done".to_owned()), false, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever an entry says reads back the same, but for the one character that no database keeps, and its chain holds.
    #[test]
    fn any_text_reads_back_from_the_log(texts in prop::collection::vec(".{0,40}", 1..5)) {
        struct Log(Vec<String>);
        impl Decision for Log {
            type Answer = ();

            async fn decide(&self, tx: &mut Tx) -> Result<()> {
                for text in &self.0 {
                    timeline::append(tx, Chain::Incident(IncidentId(1)), NOW, draft(text)).await?;
                }
                Ok(())
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = runtime.block_on(async {
            let place = Home::new().await;
            let store = Store::open(place.address()).await.unwrap();
            store.decide(Log(texts.clone())).await.unwrap();
            let read = self::texts(&store).await;
            store.close().await;
            read
        });

        let kept: Vec<String> = texts.iter().map(|text| text.replace('\0', "\u{fffd}")).collect();
        prop_assert_eq!(read, kept);
    }
}
