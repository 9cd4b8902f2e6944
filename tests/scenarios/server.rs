//! A server that keeps the store: what is wrong with it is said with what to do, and nobody waits for it for ever.

use std::time::{Duration, Instant};

use crate::world::{World, left_out, postgres, shell::Shell};

/// Whoever mistyped a host must not be sent to look at the rights of a file, nor find a password in the log.
#[test]
fn a_server_that_does_not_answer_is_said_to_be_one() {
    let shell = shell("postgres://firewarden:hush-hush@127.0.0.1:1/firewarden");
    for arguments in [&["serve"][..], &["verify"], &["review", "INC-1"]] {
        let begun = Instant::now();
        let ended = shell.runs(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{ended:?}");
        let what = "Cannot use the store `postgres://firewarden@127.0.0.1:1/firewarden`: its server does not answer";
        assert!(ended.err.contains(what) && ended.err.contains("hint: start the server"), "{}", ended.err);
        assert!(!ended.err.contains("hush-hush"), "no password is shown: {}", ended.err);
        assert!(begun.elapsed() < Duration::from_secs(15), "{arguments:?} took {:?}", begun.elapsed());
    }
}

/// A database that is missing, another program's, or nobody's to read: each is told apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_the_bots_is_said_to_be_none() {
    let Some(database) = postgres::database().await else {
        return left_out("databases that are not the bot's", "`FIREWARDEN_TEST_POSTGRES`");
    };
    let missing = shell(&format!("{}_that_is_missing", database.split('?').next().unwrap()));
    for arguments in [&["serve"][..], &["verify"], &["review", "INC-1"]] {
        let ended = missing.runs(arguments);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(
            ended.err.contains("does not let the program in") && ended.err.contains("`store.url`"),
            "{}",
            ended.err
        );
    }
    let empty = shell(&database);
    for arguments in [&["verify"][..], &["review", "INC-1"]] {
        let ended = empty.runs(arguments);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains("it is no store of `firewarden`") && !ended.err.contains("-wal"), "{}", ended.err);
    }
}

/// A store that is shared is looked at while others work on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_looked_at_while_a_bot_is_at_work_on_it() {
    let world = World::at_noon().await;
    world.does("ana", "/incident declare title:\"the shop is closed\"").await;
    let (is_good, said) = world.program("ana", &["verify"]).await;
    assert!(is_good && said.contains(&format!("{} is as it was written", world.shown_address())), "{said}");
    let review = crate::world::shell::run_in(world.folder(), &["review", "INC-1"], &[]);
    assert!(review.code == 0 && review.out.contains("the shop is closed"), "{review:?}");
    world.finish().await;
}

/// A shell in a folder whose configuration names this store.
fn shell(url: &str) -> Shell {
    let shell = Shell::new();
    shell.write("url", url);
    shell.write("firewarden.toml", "[store]\nurl = { file = \"url\" }\n[web]\nlisten = \"127.0.0.1:0\"\n");
    shell
}
