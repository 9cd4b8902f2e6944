//! What a transfer promises, tried on real stores of either kind.

use serde_json::{Map, Value, json};

use super::{lines::Line, *};
use crate::{
    domain::timeline::{Chain, Draft, EntryRef, chained},
    store::{
        ReadOnly, Store,
        restores::{self, Restored},
        trial::Home,
    },
};

const NOW: Time = Time::EPOCH;

/// Rows that no store would have, but any store takes: every table with texts, numbers and columns that are empty.
fn any_rows() -> Vec<Line> {
    let mut rows = Vec::new();
    let mut previous = String::new();
    for table in TABLES {
        for (number, letter) in
            [(1, "b"), (2, "B"), (3, "ä")].into_iter().take(if table.name == "instance" { 1 } else { 3 })
        {
            let value = |column: &Column| match (table.name, *column) {
                (_, Column::Int("incident" | "severity" | "peak_severity" | "chain" | "run")) => json!(1),
                ("incidents", Column::Int("merged_into")) if number == 1 => json!(3),
                (_, Column::Int("merged_into" | "source_at")) => Value::Null,
                (_, Column::Int("id" | "alert" | "attempt" | "seq" | "lane")) => json!(number),
                (_, Column::Int("at")) => json!(0),
                (_, Column::Int(_)) => json!(i64::MAX - number),
                (_, Column::Text("phase")) => json!("closed"),
                (_, Column::Text("pass")) => json!("do"),
                (_, Column::Text("told")) => json!("active"),
                ("posts", Column::Text("state")) => json!("waiting"),
                ("alerts" | "incident_alerts", Column::Text("state")) => json!("firing"),
                ("deployments", Column::Text("state")) => json!("failed"),
                (_, Column::Text("state")) => json!("done"),
                ("plans", Column::Text("hash")) | ("runs", Column::Text("plan_hash")) => json!(letter),
                ("timeline", Column::Text("actor")) => json!("\"bot\""),
                ("timeline", Column::Text("body")) => json!("{\"kind\":\"noted\"}"),
                ("timeline", Column::Text("kind")) => json!("noted"),
                (_, Column::Text("trouble" | "thread" | "restored")) if number == 2 => Value::Null,
                // In another order by the rules of a language than by their bytes.
                (_, Column::Text(name)) => {
                    json!(format!("{name} {letter}\n\"'größe\\ 💥"))
                }
            };
            let mut row: Map<String, Value> =
                table.columns.iter().map(|column| (column.name().to_owned(), value(column))).collect();
            match table.name {
                "chains" => {
                    row.insert("chain".to_owned(), json!(number));
                }
                "timeline" => {
                    let draft = Draft {
                        actor: crate::domain::people::Actor::Bot,
                        source_at: None,
                        kind: "noted".to_owned(),
                        body: row["body"].as_str().unwrap().to_owned(),
                        text: row["text"].as_str().unwrap().to_owned(),
                    };
                    let reference = EntryRef { chain: Chain::numbered(1), seq: number };
                    previous = chained(&previous, reference, NOW, &draft);
                    row.insert("hash".to_owned(), json!(previous));
                }
                _ => {}
            }
            rows.push(Line { table: table.name.to_owned(), row });
        }
    }
    let ends = rows.iter_mut().filter(|line| line.table == "chains").enumerate();
    for (index, line) in ends {
        if index == 0 {
            line.row.insert("seq".to_owned(), json!(3));
            line.row.insert("hash".to_owned(), json!(previous));
        }
    }
    rows
}

fn file(rows: &[Line], schema: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let head = Head::new(Content::Export, (schema, "me".to_owned()), NOW, false);
    let mut lines = Writing::begin(&mut out, &head).unwrap();
    for line in rows {
        lines.row(&line.table, &serde_json::to_string(&line.row).unwrap()).unwrap();
    }
    lines.end().unwrap();
    out
}

async fn read_in(home: &Home, file: &[u8]) -> Result<Imported, Trouble> {
    import(home.address(), &mut Reading::begin(file)?, &Kept::Identity).await
}

/// The rows of a store, as they are written out.
async fn written_out(home: &Home) -> Vec<Line> {
    let store = ReadOnly::open(home.address()).await.unwrap();
    let mut out = Vec::new();
    export(&mut store.read().await.unwrap(), &mut out, (Content::Export, NOW, false)).await.unwrap();
    let mut reading = Reading::begin(out.as_slice()).unwrap();
    let mut rows = Vec::new();
    while let Some(line) = reading.next().unwrap() {
        rows.push(line);
    }
    rows
}

/// A table or a column that is added to the schema is added to the list, or it would be lost by every backup.
#[tokio::test]
async fn the_list_has_every_column_of_every_table() {
    let home = Home::file();
    let store = Store::open(home.address()).await.unwrap();
    let mut reader = store.read().await.unwrap();
    let rows = reader
        .rows(
            "select m.name as name, p.name as column, p.type as type from sqlite_schema m, pragma_table_info(m.name) p \
             where m.type = 'table' and m.name not like '\\_%' escape '\\' and m.name not like 'sqlite%'",
            &[],
        )
        .await
        .unwrap();
    let mut there: Vec<[String; 3]> =
        rows.iter().map(|row| ["name", "column", "type"].map(|name| row.text(name).unwrap().to_lowercase())).collect();
    let mut listed: Vec<[String; 3]> = Vec::new();
    for table in TABLES {
        listed.extend(table.columns.iter().map(|column| {
            let kind = if matches!(column, Column::Int(_)) { "integer" } else { "text" };
            [table.name, column.name(), kind].map(str::to_owned)
        }));
    }
    there.sort();
    listed.sort();
    assert_eq!(there, listed);
}

/// A store can move from one database to the other and back, and nothing of it is another thing there.
#[tokio::test]
async fn what_is_read_in_is_written_out_the_same_by_either_database() {
    let rows = any_rows();
    let text = file(&rows, migrations::newest());
    for home in [Home::file(), Home::new().await] {
        let imported = read_in(&home, &text).await.unwrap();
        assert_eq!(imported.seal.count(), rows.len() as u64);
        let out = written_out(&home).await;
        let sorted = |rows: &[Line]| {
            let mut rows: Vec<String> = rows.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
            rows.sort();
            rows
        };
        assert_eq!(sorted(&out), sorted(&rows));
        let keys: Vec<&str> = out.iter().filter_map(|line| line.row.get("source_key")?.as_str()).collect();
        assert!(keys.is_sorted() && keys.len() == 3, "by their bytes: {keys:?}");
    }
}

/// What is numbered goes on after the last number that was read in.
#[tokio::test]
async fn new_rows_do_not_take_the_numbers_of_those_that_were_read_in() {
    struct Page;
    impl crate::store::Decision for Page {
        type Answer = i64;
        async fn decide(&self, tx: &mut Tx) -> Stored<i64> {
            let body = json!({});
            let post = crate::store::posts::NewPost {
                channel: "a",
                is_page: true,
                incident: None,
                body: &body,
                expires_at: None,
            };
            crate::store::posts::add(tx, &post, NOW).await
        }
    }
    let home = Home::new().await;
    read_in(&home, &file(&any_rows(), migrations::newest())).await.unwrap();
    let store = Store::open(home.address()).await.unwrap();
    assert_eq!(store.decide(Page).await.unwrap(), 4);
}

/// Two stores that run into each other are worse than one that is lost.
#[tokio::test]
async fn only_an_empty_store_is_read_into() {
    let home = Home::new().await;
    let text = file(&any_rows(), migrations::newest());
    read_in(&home, &text).await.unwrap();
    let before = written_out(&home).await;
    let refused = read_in(&home, &text).await.unwrap_err().to_string();
    assert!(refused.contains("the store is not empty: there are rows in `archives`"), "{refused}");
    assert_eq!(written_out(&home).await, before);
}

/// A file that is wrong anywhere leaves nothing behind, and the next one can be read in.
#[tokio::test]
async fn a_file_that_is_refused_leaves_the_store_empty() {
    let home = Home::new().await;
    let rows = any_rows();
    let good = file(&rows, migrations::newest());
    let text = String::from_utf8(good.clone()).unwrap();
    let last_row = text.lines().count() as u64 - 1;
    let cut = text.lines().take(20).collect::<Vec<_>>().join("\n") + "\n";
    let with = |table: &str, column: &str, value: Value| {
        let mut rows = rows.clone();
        let line = rows.iter_mut().find(|line| line.table == table).unwrap();
        line.row.insert(column.to_owned(), value);
        file(&rows, migrations::newest())
    };
    for (text, what) in [
        (cut.into_bytes(), "line 21: the file ends before its last line".to_owned()),
        (text.replace("größe", "GRÖSSE").into_bytes(), format!("line {}: the SHA-256", last_row + 1)),
        (with("posts", "lane", json!("one")), "`lane` is not what the column holds".to_owned()),
        (with("posts", "of_the_future", json!(1)), "`posts` has no column `of_the_future`".to_owned()),
        (with("incidents", "severity", json!(9)), "are not taken: ".to_owned()),
        (with("incidents", "merged_into", json!(77)), "its rows do not fit together: ".to_owned()),
        (file(&rows, 999), "a newer version wrote it".to_owned()),
    ] {
        let refused = read_in(&home, &text).await.unwrap_err().to_string();
        assert!(refused.contains(&what), "{what}: {refused}");
    }
    read_in(&home, &good).await.unwrap();
}

/// What a file of an older version lacks is what the schema gives.
#[tokio::test]
async fn a_file_of_an_older_version_is_read() {
    let home = Home::new().await;
    let mut rows = any_rows();
    for line in rows.iter_mut().filter(|line| line.table == "cards") {
        line.row.remove("lost").unwrap();
    }
    read_in(&home, &file(&rows, 1)).await.unwrap();
    let cards = written_out(&home).await.into_iter().filter(|line| line.table == "cards");
    assert_eq!(cards.map(|line| line.row["lost"].clone()).collect::<Vec<_>>(), [0, 0, 0]);
}

/// A timeline that was edited in the store is told of by every copy of it.
#[tokio::test]
async fn an_edited_timeline_is_told_of() {
    let flaws = |change: fn(&mut Line)| {
        let mut rows = any_rows();
        rows.iter_mut().filter(|line| line.table == "timeline" && line.row["seq"] == 2).for_each(change);
        let text = file(&rows, migrations::newest());
        check(&mut Reading::begin(text.as_slice()).unwrap()).unwrap()
    };
    let ends = ["a timeline does not end where it was written to"];
    assert_eq!(flaws(|_| {}), ends, "two chains have an end and no entry");
    let broken = "timeline entry INC-1#2 is not what was written: its hash does not fit";
    assert_eq!(flaws(|line| drop(line.row.insert("text".to_owned(), json!("x")))), [broken]);
}

/// The system's timeline begins where the last archive of it ends, and nowhere else.
#[tokio::test]
async fn a_shortened_timeline_has_to_begin_where_its_archive_ends() {
    let flaws = |base: (i64, &str)| {
        let draft = Draft {
            actor: crate::domain::people::Actor::Bot,
            source_at: None,
            kind: "noted".to_owned(),
            body: "{}".to_owned(),
            text: "x".to_owned(),
        };
        let reference = EntryRef { chain: Chain::System, seq: 8 };
        let hash = chained("abc", reference, NOW, &draft);
        let rows = [
            ("archives", json!({ "name": "SYSTEM#3", "chain": 0, "seq": 3, "hash": "first" })),
            ("archives", json!({ "name": "SYSTEM#x", "chain": 0, "seq": base.0, "hash": base.1 })),
            ("archives", json!({ "name": "INC-9", "chain": 9, "seq": 90, "hash": "other" })),
            ("chains", json!({ "chain": 0, "seq": 8, "hash": hash })),
            (
                "timeline",
                json!({ "chain": 0, "seq": 8, "at": 0, "source_at": null, "actor": "\"bot\"", "kind": "noted",
                        "body": "{}", "text": "x", "hash": hash }),
            ),
        ];
        let rows = rows.map(|(table, row)| Line { table: table.to_owned(), row: row.as_object().unwrap().clone() });
        check(&mut Reading::begin(file(&rows, migrations::newest()).as_slice()).unwrap()).unwrap()
    };
    assert_eq!(flaws((7, "abc")), [""; 0]);
    let broken = "timeline entry SYSTEM#8 is not what was written: its hash does not fit";
    for base in [(7, "abd"), (6, "abc"), (2, "abc")] {
        assert_eq!(flaws(base), [broken], "{base:?}");
    }
}

/// Nothing of a restored store can be taken for something of the one that it was copied from.
#[tokio::test]
async fn a_restored_store_is_another_one_until_it_was_dealt_with() {
    let home = Home::new().await;
    let restored = Restored { made_at: Some(NOW), from: "a".to_owned(), by: "ana".to_owned(), at: NOW };
    let text = file(&any_rows(), migrations::newest());
    let mut reading = Reading::begin(text.as_slice()).unwrap();
    import(home.address(), &mut reading, &Kept::Nothing(restored.clone())).await.unwrap();
    let store = Store::open(home.address()).await.unwrap();
    let mut reader = store.read().await.unwrap();
    assert_eq!(restores::unseen(&mut reader).await.unwrap(), Some(restored));
    assert!(!runs::instance(&mut reader).await.unwrap().starts_with("id"));
    assert_eq!(restores::revisions_from(&mut reader).await.unwrap(), NOW.millis(), "no button of before fits");
}

/// Every statement that is made of the list means something to the database that is tried.
#[tokio::test]
async fn the_statements_of_every_table_can_be_prepared() {
    let home = Home::new().await;
    let store = Store::open(home.address()).await.unwrap();
    let mut reader = store.read().await.unwrap();
    for table in TABLES {
        let made = table.statements();
        let always = [made.all, made.any, table.insert(table.columns)];
        let shares = [Kind::Incident, Kind::Runs, Kind::Entries].map(|kind| made.share(kind));
        for sql in
            always.into_iter().chain(shares.into_iter().flat_map(|share| share.rows.into_iter().chain(share.delete)))
        {
            reader.prepare(sql).await.unwrap_or_else(|fault| panic!("{fault}"));
        }
    }
}
