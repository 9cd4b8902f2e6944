//! The command line, through the real program: what it prints and what its exit code says.

use crate::world::shell::Shell;

/// Whoever types "halt" in the wrong folder must not walk away in the belief that production stands still.
#[test]
fn a_halt_is_never_written_where_no_bot_looks_for_it() {
    let shell = Shell::new();
    let lost = shell.runs(&["halt"]);
    assert_eq!((lost.code, lost.out.as_str()), (1, ""), "{lost:?}");
    for part in ["Not halted", "firewarden.toml", "--config", "--store"] {
        assert!(lost.err.contains(part), "it says `{part}`: {}", lost.err);
    }
    assert_eq!(std::fs::read_dir(shell.folder()).unwrap().count(), 0, "nothing was written");

    let file = shell.folder().join("bot.db.halt");
    let named = shell.runs(&["halt", "--store", "bot.db"]);
    assert_eq!(named.code, 0, "{named:?}");
    assert!(named.out.contains(file.to_str().unwrap()), "the whole path is said: {}", named.out);
    assert!(named.err.contains("There is no store at"), "{}", named.err);
    assert!(file.exists());

    shell.write("bot.db", "");
    shell.write("firewarden.toml", "[store]\npath = \"bot.db\"\n[web]\nlisten = \"127.0.0.1:1\"\nlissten = \"\n");
    let lifted = shell.runs(&["halt", "--lift", "it works again"]);
    assert_eq!(lifted.code, 0, "{lifted:?}");
    assert!(lifted.out.contains("is taken away") && !file.exists(), "a broken configuration still serves: {lifted:?}");
    assert!(!lifted.err.contains("There is no store at"), "{}", lifted.err);
}

/// "Give write access" sends somebody to change rights on a file that is not there.
#[test]
fn a_store_that_is_not_there_is_said_to_be_not_there() {
    let shell = Shell::new();
    shell.write("firewarden.toml", "");
    for arguments in [&["verify"][..], &["review", "INC-1"]] {
        let ended = shell.runs(arguments);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains("There is no store at `firewarden.db`"), "{}", ended.err);
        assert!(!ended.err.contains("write access"), "{}", ended.err);
    }
}
