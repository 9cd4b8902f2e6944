//! The command line, through the real program: what it prints and what its exit code says.

use std::{fs, time::Duration};

use firewarden::{
    domain::runbooks,
    store::{self, Decision, Tx},
};
use serde_json::Value;

use crate::world::{
    Config, Fault, Moment, Which, World, alert, config,
    shell::{Shell, run_in},
    until,
};

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

    shell.write("firewarden.toml", "[store]\nurl = { env = \"NOWHERE\" }\n[web]\nlisten = \"127.0.0.1:1\"\n");
    let shared = shell.runs(&["halt"]);
    assert_eq!(shared.code, 0, "{shared:?}");
    assert!(shell.folder().join("firewarden.halt").exists(), "beside the configuration: {}", shared.out);
    assert!(shared.err.contains("does not look for this file"), "{}", shared.err);
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

const PEOPLE: &str = "[roles.on-call]\nmay = \"operate\"\n[people.ana]\nroles = [\"on-call\"]\n";

/// A folder with a configuration in order, all shipped runbooks, and a template.
fn in_order() -> Shell {
    let shell = Shell::new();
    let routes = "[[routes]]\nname = \"checkout\"\nmatch = ['alertname=~\"Checkout.+\"']\nservice = \"checkout\"\n\
                  runbooks = [\"rollback-service\"]\npage = [\"role:on-call\"]\n[reviews]\ntemplates = \"mine\"\n";
    shell.write("firewarden.toml", &format!("{PEOPLE}{routes}"));
    shell.write("mine/lessons.hbs", "## Lessons\n\n> What did it teach?\n");
    for file in fs::read_dir(config::shipped_runbooks()).unwrap() {
        let file = file.unwrap();
        let name = format!("runbooks/{}", file.file_name().to_string_lossy());
        shell.write(&name, &fs::read_to_string(file.path()).unwrap());
    }
    shell
}

/// Whoever mends one problem only to be told of the next gives up before the last.
#[test]
fn check_says_every_problem_of_every_file_with_its_place_and_a_hint() {
    let shell = in_order();
    let good = shell.runs(&["check"]);
    assert_eq!((good.code, good.err.as_str()), (0, ""), "{good:?}");
    let names = fs::read_dir(config::shipped_runbooks()).unwrap().map(|it| it.unwrap().file_name());
    let shipped = names.filter(|name| runbooks::tested(name.as_ref()).is_none()).count();
    let told = format!("firewarden.toml is in order: people 1, sources 0, routes 1, runbooks {shipped},");
    assert!(good.out.contains(&told), "{}", good.out);
    assert!(good.out.contains("note: there is no `[discord]`"), "that nobody is woken is said: {}", good.out);

    let config = fs::read_to_string(shell.folder().join("firewarden.toml")).unwrap();
    let config = config.replace("role:on-call", "role:on-cal").replace("rollback-service", "rollback-servise");
    shell.write("firewarden.toml", &config);
    let runbook = fs::read_to_string(shell.folder().join("runbooks/restart-service.yaml")).unwrap();
    shell.write("runbooks/restart-service.yaml", &runbook.replace("action: http", "action: htp"));
    shell.write("runbooks/scale-service.yaml", "name: [\n");
    shell.write("mine/header.hbs", "## Header\n\n- {{header.sevrity}}\n");
    shell.write("runbooks/cordon-node.test.yaml", "tests:\n  - name: a\n    expect: { outcome: don }\n");
    let bad = shell.runs(&["check"]);
    assert_eq!((bad.code, bad.out.as_str()), (1, ""), "{bad:?}");
    for (place, what, hint) in [
        ("firewarden.toml:10:9: ", "there is no role `on-cal`", "did you mean `on-call`?"),
        ("firewarden.toml:9:13: ", "there is no runbook `rollback-servise`", "did you mean `rollback-service`?"),
        ("runbooks/restart-service.yaml:25:13: ", "`htp`", "did you mean `http`?"),
        ("runbooks/scale-service.yaml:1:7: ", "unclosed bracket", "quote texts"),
        ("runbooks/cordon-node.test.yaml:3:24: ", "`don` cannot be the outcome", "did you mean `done`?"),
        ("mine/header.hbs:3:3: ", "a review has no `header.sevrity`", "did you mean `header.severity`?"),
    ] {
        let mut lines = bad.err.lines().skip_while(|line| !line.starts_with(place));
        let line = lines.next().unwrap_or_else(|| panic!("a problem at {place}:\n{}", bad.err));
        let next = lines.next().unwrap_or_default();
        assert!(line.contains(what) && next.starts_with("  hint: ") && next.contains(hint), "{line}\n{next}");
    }
    assert!(bad.err.contains(" problems"), "they are counted: {}", bad.err);
}

/// A runbook is checked where it is written, before it is anywhere near a bot.
#[test]
fn a_runbook_is_checked_by_itself() {
    let shell = in_order();
    let good = shell.runs(&["runbook", "check", "runbooks/rollback-service.yaml", "runbooks/scale-service.yaml"]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(
        good.out.contains("runbooks/rollback-service.yaml is in order: `rollback-service`, steps 6"),
        "{}",
        good.out
    );
    shell.write("bad.yaml", "name: bad\nstep: []\n");
    let bad = shell.runs(&["runbook", "check", "bad.yaml", "runbooks/scale-service.yaml", "missing.yaml"]);
    assert_eq!(bad.code, 1, "{bad:?}");
    for part in ["bad.yaml:2:1: ", "did you mean `steps`?", "missing.yaml: it cannot be read"] {
        assert!(bad.err.contains(part), "it says `{part}`: {}", bad.err);
    }
}

/// "Would this have woken me?" is answered before it happens.
#[test]
fn what_an_alert_would_mean_is_shown_with_the_reason() {
    let shell = in_order();
    let ended = shell.runs(&["route", "test", "alertname=CheckoutErrorRate", "env=production"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    for part in [
        "Reason: `matched`",
        "route        `checkout`",
        "runbooks     `rollback-service`",
        "pages        `role:on-call`",
    ] {
        assert!(ended.out.contains(part), "it says `{part}`: {}", ended.out);
    }
    let other = shell.runs(&["route", "test", "alertname=Other"]);
    assert!(other.out.contains("Reason: `no_route`"), "{other:?}");
    let refused = shell.runs(&["route", "test", "Other"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("`Other` is not a label"), "{refused:?}");
}

/// Scripts rely on the code alone.
#[test]
fn the_exit_code_says_what_went_wrong() {
    let shell = in_order();
    assert_eq!(shell.runs(&["--version"]).code, 0);
    assert_eq!(shell.runs(&["nonsense"]).code, 2, "the command line is wrong");
    let say = ["say", "/incident list"];
    let nobody = shell.runs(&say);
    assert_eq!(nobody.code, 1, "{nobody:?}");
    for part in ["No personal token is given", "FIREWARDEN_TOKEN", "[people.ana]", "--token-file"] {
        assert!(nobody.err.contains(part), "it says `{part}`: {}", nobody.err);
    }
    let bot = [("FIREWARDEN_TOKEN", "a-token-of-somebody"), ("FIREWARDEN_URL", "http://127.0.0.1:1")];
    let unreachable = shell.runs_with(&bot, &say);
    assert_eq!(unreachable.code, 3, "{unreachable:?}");
    assert!(unreachable.err.contains("Cannot reach the bot at `http://127.0.0.1:1`"), "{}", unreachable.err);
}

/// Changes one entry of the log, as somebody with the file can.
struct Forge;

impl Decision for Forge {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
        tx.execute("update timeline set text = 'nothing happened' where chain = 1 and seq = 2", &[]).await.map(drop)
    }
}

/// A log that can be changed afterwards without a trace proves nothing to anybody.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_read_without_a_bot_and_shows_when_it_was_changed() {
    let json = "[log]\nformat = \"json\"\n";
    let world = World::start_with(Config::default().with(json)).await;
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    world.sees("/incident list", "INC-1").await;
    let world = world.finish().await;

    let log = world.bot.log();
    assert!(log.lines().count() > 2, "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(), "{line}");
    }

    let review = run_in(world.folder(), &["review", "INC-1", "--out", "INC-1.md"], &[]);
    assert_eq!(review.code, 0, "{review:?}");
    let review = fs::read_to_string(world.folder().join("INC-1.md")).unwrap();
    assert!(review.starts_with("# Review of INC-1: CheckoutLatency"), "{review}");
    let missing = run_in(world.folder(), &["review", "INC-7"], &[]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("INC-7"), "{missing:?}");

    let good = run_in(world.folder(), &["verify"], &[]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.out.contains(&format!("{} is as it was written", world.shown_address())), "{}", good.out);
    let store = world.store().await;
    store.decide(Forge).await.unwrap();
    store.close().await;
    let forged = run_in(world.folder(), &["verify"], &[]);
    assert_eq!((forged.code, forged.out.as_str()), (1, ""), "{forged:?}");
    assert!(forged.err.contains("INC-1#2") && forged.err.contains("hint: "), "{}", forged.err);
}

/// A deployment of the bot itself must not wait for a target that hangs.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_ends_at_once_although_a_step_hangs() {
    let world = World::start_with(Config::default().edit("mode: ask", "mode: auto")).await;
    world.service.plan(Which::Every("GET", "/version"), Moment::Before, Fault::Hang);
    world.does("ana", "/runbook run runbook:restart-service").await;
    assert!(until(10, async || world.service.calls() == 1).await, "a step is in flight");
    let begun = std::time::Instant::now();
    let (status, _) = world.bot.stop().await.unwrap();
    assert!(status.success() && begun.elapsed() < Duration::from_secs(5), "{status} after {:?}", begun.elapsed());
    world.errors_were_announced();
}
