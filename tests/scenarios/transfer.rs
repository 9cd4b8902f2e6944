//! Moving a store: everything goes along, to the other database and back, and a damaged file is never taken.

use std::{
    fs,
    io::{Read, Write},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use crate::world::{Config, World, alert, left_out, postgres};

/// The rows of an export, and its counts.
fn rows(world: &World, file: &str) -> Vec<String> {
    let bytes = fs::read(world.folder().join(file)).unwrap();
    let mut text = String::new();
    GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(lines.remove(0).contains("\"firewarden\":\"export\""));
    let seal: serde_json::Value = serde_json::from_str(&lines.pop().unwrap()).unwrap();
    lines.push(seal["rows"].to_string());
    lines
}

async fn does(world: &World, arguments: &[&str]) -> String {
    let (is_done, said) = world.program("ana", arguments).await;
    assert!(is_done, "{arguments:?}: {said}");
    said
}

async fn is_refused(world: &World, arguments: &[&str]) -> String {
    let (is_done, said) = world.program("ana", arguments).await;
    assert!(!is_done, "{arguments:?}: {said}");
    said
}

/// A bot that has worked: an incident with a run that waits for people.
async fn at_work() -> World {
    let world = World::at_noon_with(Config::default().on_file()).await;
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", std::time::Duration::from_mins(1)).await;
    world.does("ana", "/incident note text:\"größe, \\\"quoted\\\" 💥\" incident:INC-1").await;
    world
}

/// Another configuration in the same folder, with another store.
fn configure(world: &World, file: &str, store: &str) {
    let text = fs::read_to_string(world.folder().join("firewarden.toml")).unwrap();
    fs::write(world.folder().join(file), format!("{text}\n[store]\n{store}\n")).unwrap();
}

/// Whoever outgrows one machine takes everything along, and may change their mind.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_to_the_other_database_and_back_and_the_bot_goes_on() {
    let world = at_work().await;
    let said = does(&world, &["export", "early.jsonl.gz"]).await;
    assert!(said.contains("A bot is at work"), "{said}");
    let refused = is_refused(&world, &["import", "early.jsonl.gz"]).await;
    assert!(refused.contains("what it has done since would be done again"), "{refused}");
    assert!(world.bot.stop().await.unwrap().0.success());

    does(&world, &["export", "first.jsonl.gz"]).await;
    let first = rows(&world, "first.jsonl.gz");
    assert!(first.iter().any(|row| row.contains("größe")));
    let mut last = "first.jsonl.gz";
    if let Some(database) = postgres::database().await {
        fs::write(world.folder().join("secrets/elsewhere"), &*database).unwrap();
        configure(&world, "server.toml", "url = { file = \"secrets/elsewhere\" }");
        does(&world, &["--config", "server.toml", "import", "first.jsonl.gz"]).await;
        does(&world, &["--config", "server.toml", "verify"]).await;
        let refused = is_refused(&world, &["--config", "server.toml", "import", "first.jsonl.gz"]).await;
        assert!(refused.contains("the store is not empty"), "{refused}");
        does(&world, &["--config", "server.toml", "export", "second.jsonl.gz"]).await;
        assert_eq!(rows(&world, "second.jsonl.gz"), first, "PostgreSQL has it as the file had it");
        last = "second.jsonl.gz";
    } else {
        left_out("a store that moves to PostgreSQL and back", "`FIREWARDEN_TEST_POSTGRES`");
    }

    fs::rename(world.folder().join("firewarden.db"), world.folder().join("old.db")).unwrap();
    does(&world, &["import", last]).await;
    does(&world, &["export", "third.jsonl.gz"]).await;
    assert_eq!(rows(&world, "third.jsonl.gz"), first);
    let refused = is_refused(&world, &["export", "third.jsonl.gz"]).await;
    assert!(refused.contains("nothing is written over"), "{refused}");

    world.bot.start().await;
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", std::time::Duration::from_mins(20)).await;
    assert_eq!(world.service.calls_of("POST", "/deployments"), 1);
    let entries = world.finish().await.timeline(1).await;
    firewarden::domain::timeline::verify(&entries).unwrap();
}

/// A file that was cut off on its way is known for it before anything is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_or_altered_file_is_refused_and_the_line_is_named() {
    let world = at_work().await;
    assert!(world.bot.stop().await.unwrap().0.success());
    does(&world, &["export", "whole.jsonl.gz"]).await;
    configure(&world, "other.toml", "path = \"other.db\"");
    let file = |name: &str| world.folder().join(name);
    let bytes = fs::read(file("whole.jsonl.gz")).unwrap();
    fs::write(file("cut.jsonl.gz"), &bytes[..bytes.len() / 2]).unwrap();

    let mut text = String::new();
    GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len();
    fs::write(file("short.jsonl"), format!("{}\n", lines[..last - 1].join("\n"))).unwrap();
    let mut altered = GzEncoder::new(Vec::new(), Compression::fast());
    altered.write_all(text.replace("größe", "GRÖSSE").as_bytes()).unwrap();
    fs::write(file("altered.jsonl.gz"), altered.finish().unwrap()).unwrap();
    fs::write(file("no.jsonl"), "something else\n").unwrap();

    let end = format!("line {last}: the file ends before its last line");
    let sum = format!("line {last}: the SHA-256 of the lines before is another one");
    for (name, what) in [
        ("cut.jsonl.gz", "it was cut off"),
        ("short.jsonl", &end),
        ("altered.jsonl.gz", &sum),
        ("no.jsonl", "line 1: it is no file of `firewarden`"),
        ("missing.jsonl", "it cannot be read"),
    ] {
        for verb in ["import", "restore"] {
            let refused = is_refused(&world, &["--config", "other.toml", verb, name]).await;
            assert!(refused.contains(&format!("Cannot {verb} `{name}`")), "{refused}");
            assert!(refused.contains(what) && refused.contains("hint: "), "{name}: {refused}");
        }
    }
    does(&world, &["--config", "other.toml", "import", "whole.jsonl.gz"]).await;
}
