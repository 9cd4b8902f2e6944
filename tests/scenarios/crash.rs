//! Killed anywhere, nothing that was promised is lost and nothing happens twice.
//!
//! For every shipped runbook the same small story is told again and again, each time with the bot killed at another
//! place: at each outgoing request, before it is carried out and after it but before the answer, and at each commit,
//! when it is durable and nobody has been told, or a server has not been asked for it. The sweep ends when a story was
//! told without a kill.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use firewarden::{
    domain::{runs::StepState, timeline},
    store,
};
use futures::{StreamExt, stream};

use crate::world::{
    Fault, Moment, Shipped, Which, World, alert, github::Trouble, is_installed, left_out, store::is_on_postgres,
};

/// Where the bot is killed.
#[derive(Debug, Clone, Copy)]
enum Kill {
    Request(usize, Moment),
    /// At a commit to a file.
    Sync(usize),
    /// At a commit to a server.
    Commit(usize, Moment),
}

/// How many stories are told at the same time.
const AT_ONCE: usize = 3;
/// A sweep that is longer than this does not end.
const LONGEST: usize = 150;
/// How long a story may take on the real clock.
const PATIENCE: Duration = Duration::from_mins(4);

/// Nothing acknowledged is lost and nothing happens twice, wherever a request is cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_any_request_every_effect_happens_once() {
    for case in Shipped::all().iter().filter(|case| !is_on_postgres() || case.changes == 1) {
        for moment in [Moment::Before, Moment::After] {
            sweep(case, |place| Kill::Request(place, moment)).await;
        }
    }
}

/// Nothing acknowledged is lost and nothing happens twice, whichever commit was the last thing that the bot did.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_any_commit_every_effect_happens_once() {
    let is_on_postgres = is_on_postgres();
    if !is_on_postgres && !is_installed("strace") {
        left_out("killing the bot at every commit", "`strace`");
        return;
    }
    // On a server people are asked about what may be repeated, and one who looks cannot tell several changes apart.
    let told = Shipped::all().into_iter().filter(|case| !is_on_postgres || case.changes == 1);
    for (number, case) in told.collect::<Vec<_>>().iter().enumerate() {
        if is_on_postgres {
            // Every other commit, before one and after the next: which ones changes from runbook to runbook.
            let kill = |nth: usize| {
                let moment = if (nth + number / 2).is_multiple_of(2) { Moment::Before } else { Moment::After };
                Kill::Commit(2 * nth - number % 2, moment)
            };
            sweep(case, kill).await;
        } else {
            sweep(case, Kill::Sync).await;
        }
    }
}

/// Tells the story with each kill until one does not strike any more.
async fn sweep(case: &Shipped, kill: impl Fn(usize) -> Kill) {
    let begun = Instant::now();
    let mut told = stream::iter((1..=LONGEST).map(&kill)).map(|kill| survives(case, kill)).buffered(AT_ONCE);
    let mut kills = 0;
    while let Some(was_killed) = told.next().await {
        if !was_killed {
            println!("{}: survived {kills} kills in {:.0?}: {:?}", case.plan.name, begun.elapsed(), kill(1));
            assert!(kills > 0, "nothing was killed");
            return;
        }
        kills += 1;
    }
    panic!("{}: {LONGEST} kills and no end", case.plan.name);
}

/// Tells the story of one run with one kill; whether it struck.
async fn survives(case: &Shipped, kill: Kill) -> bool {
    let config = if let Kill::Commit(..) = kill { case.config().wired() } else { case.config() };
    let world = World::prepare_at_noon(config).await;
    world.note(&format!("{}: {kill:?}", case.plan.name));
    // Killed processes leave no time to log what they were about to.
    world.announce("");
    case.trouble(&world).await;
    let bot = world.bot.clone();
    let strike = Arc::new(move || bot.kill());
    let under = match kill {
        Kill::Request(number, moment) => {
            // A runbook speaks to one of them.
            if let Some(github) = &world.code_host {
                github.plan_numbered(number, moment, Trouble::Strike(strike.clone()));
            }
            let strike = Fault::Strike(strike);
            world.service.plan(Which::Number(number), moment, strike.clone());
            world.cluster.plan(Which::Number(number), moment, strike);
            Vec::new()
        }
        Kill::Commit(number, moment) => {
            world.wire().at_commit(number, moment, strike);
            Vec::new()
        }
        Kill::Sync(number) => ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("inject=fsync,fdatasync:signal=SIGKILL:when={number}")])
            .collect(),
    };
    world.bot.launch(&under);
    world.bot.came_up().await;
    let was_killed = Telling::of(&world, case).tell().await;
    if world.bot.is_alive() {
        world.bot.stop().await.unwrap_or_else(|| panic!("the bot does not end"));
    }
    assert!(!world.bot.log().contains("panicked at"), "{}", world.bot.log());
    holds(&world, case).await;
    was_killed
}

/// What senders and people still have to get acknowledged, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    Alert,
    Note,
    Approval,
    Nothing,
}

/// How far a story is told.
struct Telling<'a> {
    world: &'a World,
    case: &'a Shipped,
    owed: Owed,
    was_killed: bool,
}

impl<'a> Telling<'a> {
    fn of(world: &'a World, case: &'a Shipped) -> Self {
        Self { world, case, owed: Owed::Alert, was_killed: false }
    }

    /// Does what senders and people do, again when they were not answered, until the run is over.
    async fn tell(mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "{} does not come to an end", self.case.plan.name);
            if !self.world.bot.is_alive() {
                assert!(!self.was_killed, "the bot died once more");
                self.was_killed = true;
                self.world.restart().await;
            }
            if self.goes_on().await {
                return self.was_killed;
            }
        }
    }

    /// Does the next thing; whether the run is over.
    async fn goes_on(&mut self) -> bool {
        let world = self.world;
        match self.owed {
            Owed::Alert => {
                let alertmanager = world.alertmanager();
                let body = alertmanager.body("firing", &[&alert(self.case.alert).service("checkout")]);
                if alertmanager.posts(&body).await == Some(202) {
                    self.owed = Owed::Note;
                }
                return false;
            }
            Owed::Note => {
                let line = "/incident note incident:INC-1 text:\"all hands\"";
                if world.console("ana").says_under(line, "note").await.is_done() {
                    self.owed = Owed::Approval;
                }
                return false;
            }
            Owed::Approval | Owed::Nothing => {}
        }
        let seen = world.console("ana").sees("/runbook show name:RUN-1").await;
        match state(&seen) {
            Some("waiting for people") if self.owed == Owed::Approval => {
                let line = "/runbook answer question:APR-1 answer:approve";
                if world.console("ben").says_under(line, "approval").await.is_done() {
                    self.owed = Owed::Nothing;
                }
            }
            Some("in doubt") => world.settles_doubt("ben", "RUN-1").await,
            Some("done") => return true,
            Some("running" | "waiting" | "waiting for people") => world.clock().step(Duration::from_secs(20)).await,
            Some(other) => panic!("the run is {other}:\n{seen}"),
            None => {}
        }
        false
    }
}

/// The state in the card of a run; `None` if there is none to see.
fn state(seen: &str) -> Option<&str> {
    seen.lines().find_map(|line| line.trim().strip_prefix("State")).map(str::trim)
}

/// What holds of the world and the journal once a story is over.
async fn holds(world: &World, case: &Shipped) {
    let (effects, written) = (world.service.checkout.effects(), world.cluster.written());
    let deployed = world.code_host.iter().map(|github| github.made().len()).sum::<usize>();
    let whole = effects.len() + written.len() + deployed;
    assert_eq!(whole, case.changes, "{} changes nothing more: {effects:?} {written:?}", case.plan.name);
    let store = world.store().await;
    let mut reader = store.read().await.unwrap();

    let runs = store::runs::newest(&mut reader, 10).await.unwrap();
    assert_eq!(runs.len(), 1, "there is one run");
    let journal = store::steps::journal(&mut reader, runs[0].id).await.unwrap();
    let open: Vec<_> = journal.0.iter().filter(|record| record.state == StepState::Intent).collect();
    assert!(open.is_empty(), "intents are left open: {open:?}");

    for chain in store::timeline::chains(&mut reader).await.unwrap() {
        let entries = store::timeline::entries(&mut reader, chain).await.unwrap();
        timeline::verify(&entries).unwrap();
        let notes = entries.iter().filter(|entry| entry.draft.text.contains("all hands")).count();
        assert_eq!(notes, usize::from(chain != timeline::Chain::System), "the note of {chain} stands once");
    }
    drop(reader);
    store.close().await;
}
