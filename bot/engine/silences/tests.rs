//! What silences hold back and what they do not, tried over a real file with a clock that is moved by hand.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Answer, Input};
use crate::{
    domain::{
        alerts::{AlertState, Batch, Labels, Matcher, Says, Signal},
        ids::IncidentId,
        incidents,
        people::{Actor, Capability, PersonId},
        routes::Route,
        silences::{Wanted, wanted::STANDING},
        time::Time,
        timeline::{Chain, Entry},
    },
    engine::{self, Rules, chat::Line, chat::Message, trial::Trial},
    store,
};

const MINUTE: Duration = Duration::from_mins(1);
const FIRING: Says = Says::Firing { ends_at: None };

/// A bot with alerts, ada, and a clock.
struct World(Trial);

impl World {
    async fn new() -> Self {
        let mut rules =
            Rules { default_route: Route::fallback(), default_channel: "ops".to_owned(), ..Rules::default() };
        rules.people.known.insert(PersonId("ada".to_owned()), ["on-call".to_owned()].into());
        rules.people.known.insert(PersonId("guest".to_owned()), ["reader".to_owned()].into());
        rules.people.roles.insert("on-call".to_owned(), Capability::Respond);
        rules.people.roles.insert("reader".to_owned(), Capability::View);
        Self(Trial::new(rules).await)
    }

    async fn send(&self, names: &[&str], says: Says) {
        self.send_since(names, says, Some(self.0.engine.now())).await;
    }

    async fn send_since(&self, names: &[&str], says: Says, starts_at: Option<Time>) {
        let signals = names.iter().map(|name| Signal {
            source: "prom".to_owned(),
            labels: Labels::from_iter([("alertname", *name), ("env", "staging")]),
            annotations: BTreeMap::new(),
            says,
            starts_at,
            generator_url: None,
        });
        let batch = Batch { source: "prom".to_owned(), signals: signals.collect(), truncated: 0, source_key: None };
        self.0.engine.submit(engine::Input::Alerts(vec![Arc::new(batch)])).await.unwrap();
    }

    /// Says that an alert fires, since now.
    async fn fires(&self, name: &str) {
        self.send(&[name], FIRING).await;
    }

    /// Says that an alert goes on to fire.
    async fn goes_on(&self, name: &str) {
        self.send_since(&[name], FIRING, None).await;
    }

    async fn clears(&self, name: &str) {
        self.send(&[name], Says::Resolved { at: None }).await;
    }

    async fn does(&self, line: &str) -> String {
        self.0.says("ada", line).await.map(|reply| plain(&reply.message)).unwrap()
    }

    /// Lets time pass and fires every timer that is due then.
    async fn pass(&self, length: Duration) {
        let until = self.0.engine.now() + length;
        loop {
            let mut reader = self.0.engine.read().await.unwrap();
            let next = store::timers::earliest(&mut reader).await.unwrap().filter(|at| *at <= until);
            let Some(next) = next else { break };
            self.0.clock.pass(next.since(self.0.engine.now()));
            let due = store::timers::due(&mut reader, self.0.engine.now(), 10).await.unwrap();
            drop(reader);
            for due in due {
                self.0.engine.submit(engine::Input::Due(due)).await.unwrap();
            }
        }
        self.0.clock.pass(until.since(self.0.engine.now()));
    }

    async fn incidents(&self) -> usize {
        let mut reader = self.0.engine.read().await.unwrap();
        let filter = store::incidents::Filter { with_over: true, ..Default::default() };
        store::incidents::list(&mut reader, filter, 10_000).await.unwrap().len()
    }

    async fn entries(&self, chain: Chain) -> Vec<Entry> {
        let mut reader = self.0.engine.read().await.unwrap();
        store::timeline::entries(&mut reader, chain).await.unwrap()
    }

    /// What happened to alerts in the first incident.
    async fn told(&self) -> Vec<&'static str> {
        let entries = self.entries(Chain::Incident(IncidentId(1))).await;
        let words = entries.iter().filter_map(|entry| match entry.draft.kind.as_str() {
            "alert_fired" => Some("fired"),
            "alert_heard_again" => Some("heard again"),
            "alert_cleared" => Some("cleared"),
            "alert_silent" => Some("silent"),
            _ => None,
        });
        words.collect()
    }

    /// What was said since, and how many pages are among it.
    async fn said(&self) -> String {
        let mut reader = self.0.engine.read().await.unwrap();
        let posts = store::posts::newest(&mut reader, 1_000).await.unwrap();
        let texts = posts.iter().map(|post| plain(&serde_json::from_value(post.body.clone()).unwrap()));
        texts.collect::<Vec<_>>().join("\n--\n")
    }

    /// How the alerts stand, how many are held back, and how often news of some were.
    async fn kept(&self) -> (Vec<AlertState>, i64, i64) {
        let mut reader = self.0.engine.read().await.unwrap();
        let rows = reader.rows("select state from alerts order by key", &[]).await.unwrap();
        let states = rows.iter().map(|row| AlertState::named(row.str("state").unwrap()).unwrap()).collect();
        let count = async |reader: &mut store::Reader, sql| {
            reader.row(sql, &[]).await.unwrap().unwrap().opt_int("n").unwrap().unwrap_or(0)
        };
        let held = count(&mut reader, "select count(*) as n from silenced").await;
        let sql = "select cast(sum(count) as bigint) as n from suppressions where reason = 'silenced'";
        let ignored = count(&mut reader, sql).await;
        (states, held, ignored)
    }

    async fn asks(&self, input: Input) -> Answer {
        let answer = self.0.engine.submit(engine::Input::Silences(input)).await.unwrap();
        let engine::Answer::Silences(answer) = answer else { panic!("{answer:?}") };
        answer
    }

    fn wanted(&self, matcher: &str, length: Duration) -> Wanted {
        Wanted {
            matchers: vec![Matcher::parse(matcher).unwrap()],
            starts_at: self.0.engine.now(),
            ends_at: self.0.engine.now() + length,
            author: "a tool".to_owned(),
            comment: "why".to_owned(),
            annotations: BTreeMap::new(),
        }
    }
}

fn plain(message: &Message) -> String {
    let card = message.card.iter().flat_map(|card| {
        let facts = card.facts.iter().map(|(name, value)| format!("{name}: {}", value.plain()));
        std::iter::once(card.title.plain()).chain(facts).collect::<Vec<_>>()
    });
    message.lines.iter().map(Line::plain).chain(card).collect::<Vec<_>>().join("\n")
}

use AlertState::{Firing, Stale};

/// Maintenance at night: what it breaks is known and wakes nobody, and once it is over nothing is left.
#[tokio::test]
async fn what_begins_and_ends_under_a_silence_is_known_and_told_to_nobody() {
    let world = World::new().await;
    let said =
        world.does(r#"/silence add matchers:"alertname=~\"Disk.*\" env=staging" for:2h comment:"new disks""#).await;
    assert!(
        said.starts_with(
            r#"`{alertname=~"Disk.*", env="staging"}` (SIL-1) active, until 2026-11-23 05:00:00 UTC by ada"#
        ),
        "{said}"
    );
    assert!(world.said().await.ends_with("Nothing that fires matches it"), "{}", world.said().await);
    world.fires("DiskFull").await;
    assert_eq!(world.kept().await, (vec![Firing], 1, 1));
    world.fires("Other").await;
    assert_eq!(world.incidents().await, 1, "what it does not match is told");
    world.clears("DiskFull").await;
    world.fires("DiskFull").await;
    world.pass(30 * MINUTE).await;
    world.clears("DiskFull").await;
    let (_, held, ignored) = world.kept().await;
    assert_eq!((world.incidents().await, held, ignored), (1, 0, 2));
    let before = world.entries(Chain::Incident(IncidentId(1))).await.len();
    world.pass(3 * 60 * MINUTE).await;
    assert_eq!(world.entries(Chain::Incident(IncidentId(1))).await.len(), before);
    assert!(world.said().await.ends_with(r#"The silence of `{alertname=~"Disk.*", env="staging"}` (SIL-1) has ended"#));
    let texts: Vec<String> = world.entries(Chain::System).await.into_iter().map(|entry| entry.draft.text).collect();
    assert_eq!(
        texts,
        [
            "silenced `{alertname=~\"Disk.*\", env=\"staging\"}` from `2026-11-23 03:00:00 UTC` to `2026-11-23 05:00:00 UTC` for `ada`, SIL-1: `new disks`",
            "began to hold back by SIL-1, with `0` alerts firing under it",
            "ended SIL-1 (`time_is_over`), with `0` alerts to tell of now",
        ]
    );
}

/// The maintenance is over and the disk is still full: now somebody has to know.
#[tokio::test]
async fn what_still_fires_when_a_silence_ends_is_told_then() {
    for by_hand in [false, true] {
        let world = World::new().await;
        world.does("/silence add matchers:\"A\" for:1h comment:x").await;
        world.send(&["A", "B"], FIRING).await;
        assert_eq!(world.incidents().await, 1);
        world.pass(50 * MINUTE + Duration::from_secs(1)).await;
        let said = world.said().await;
        assert!(
            said.contains("(SIL-1) ends in 10 min 0 s, at 2026-11-23 04:00:00 UTC\n1 alert fires under it, and"),
            "{said}"
        );
        if by_hand {
            world.does("/silence expire silence:SIL-1 reason:done").await;
        } else {
            world.pass(10 * MINUTE).await;
        }
        assert_eq!((world.incidents().await, world.kept().await.1), (2, 0));
        let said = world.said().await;
        assert!(said.contains("1 alert fires that it held back, and people are told now: `A`"), "{said}");
        world.clears("A").await;
        let entries = world.entries(Chain::Incident(IncidentId(2))).await;
        assert!(
            entries.iter().filter_map(Entry::event).any(|event| matches!(event, incidents::Event::AlertCleared { .. }))
        );
    }
}

#[tokio::test]
async fn what_people_were_told_of_they_are_told_the_end_of() {
    let world = World::new().await;
    world.send(&["A"], Says::Firing { ends_at: Some(world.0.engine.now() + 5 * MINUTE) }).await;
    let said = world.does("/silence add matchers:env=staging for:1h comment:x").await;
    assert!(said.contains("SIL-1"), "{said}");
    assert!(world.said().await.contains("1 alert fires under it: `A`"));
    world.pass(6 * MINUTE).await;
    world.goes_on("A").await;
    assert_eq!(world.told().await, ["fired", "silent", "heard again"], "it is the same fault, in an open incident");
    world.clears("A").await;
    assert_eq!(world.told().await, ["fired", "silent", "heard again", "cleared"]);
    world.pass(5 * MINUTE).await;
    world.fires("A").await;
    world.clears("A").await;
    assert_eq!(world.told().await.len(), 4, "that was another one, and it was silenced");
    assert_eq!(world.kept().await.2, 1);
}

/// Two people silence the same: the first end must not wake anybody.
#[tokio::test]
async fn an_alert_is_held_back_as_long_as_any_silence_matches_it() {
    let world = World::new().await;
    world.does("/silence add matchers:A for:1h comment:x").await;
    world.does("/silence add matchers:env=staging for:2h comment:y").await;
    world.fires("A").await;
    world.pass(90 * MINUTE).await;
    assert_eq!((world.incidents().await, world.kept().await.1), (0, 1));
    let shown = world.does("/silence show silence:SIL-2").await;
    assert!(shown.contains("Matches: 1 alert fires: `A`\nHeld back: 1 firing, 0 silent · `silenced`"), "{shown}");
    world.pass(60 * MINUTE).await;
    assert_eq!((world.incidents().await, world.kept().await.1), (1, 0));
}

/// Nobody knows whether it is over: nobody is woken for it, and it is not forgotten either.
#[tokio::test]
async fn what_fell_silent_under_a_silence_is_told_when_it_is_heard_again() {
    let world = World::new().await;
    world.does("/silence add matchers:A for:1h comment:x").await;
    world.send(&["A"], Says::Firing { ends_at: Some(world.0.engine.now() + 5 * MINUTE) }).await;
    world.pass(61 * MINUTE).await;
    let (states, held, _) = world.kept().await;
    assert_eq!((states, held, world.incidents().await), (vec![Stale], 1, 0));
    assert!(
        world.said().await.ends_with("1 alert that it held back fell silent: people are told when it is heard again")
    );
    world.pass(5 * MINUTE).await;
    world.goes_on("A").await;
    assert_eq!((world.incidents().await, world.kept().await.1), (1, 0));
}

#[tokio::test]
async fn a_silence_may_begin_later_and_be_taken_back_before() {
    let world = World::new().await;
    world.does("/silence add matchers:A for:1h comment:x starts:2026-11-23T04:00:00Z").await;
    world.does("/silence add matchers:B for:1h comment:x starts:2026-11-23T04:00:00Z").await;
    assert_eq!(world.said().await, "", "nothing holds yet");
    let listed = world.does("/silence list").await;
    assert!(listed.contains("pending, from 2026-11-23 04:00:00 UTC until 2026-11-23 05:00:00 UTC"), "{listed}");
    world.does("/silence expire silence:2").await;
    assert!(world.said().await.ends_with("ada took back, before it began, the silence of `{alertname=\"B\"}` (SIL-2)"));
    world.send(&["A"], FIRING).await;
    world.clears("A").await;
    assert_eq!(world.incidents().await, 1, "before it begins it holds nothing back");
    world.pass(61 * MINUTE).await;
    world.fires("A").await;
    assert_eq!(world.kept().await.1, 1);
    assert!(world.does("/silence list over:yes").await.contains("(SIL-2) expired"));
    let refused = world.0.says("ada", "/silence expire silence:SIL-2").await.unwrap_err();
    assert_eq!(refused.what, "Cannot end SIL-2: it has ended already");
    let refused = world.0.says("guest", "/silence expire silence:SIL-1").await.unwrap_err();
    assert!(refused.what.contains("none of their roles allows it"), "{refused}");
}

#[tokio::test]
async fn a_tool_changes_a_silence_or_puts_another_in_its_place() {
    let world = World::new().await;
    let actor = Actor::Source("tool".to_owned());
    let set = |replaces: Option<&str>, wanted| Input::Set {
        actor: actor.clone(),
        replaces: replaces.map(str::to_owned),
        wanted,
    };
    let base = world.wanted("alertname=A", 30 * MINUTE);
    let Answer::Set(first) = world.asks(set(None, base.clone())).await else { panic!() };
    world.fires("A").await;
    let longer = Wanted { ends_at: base.ends_at + 60 * MINUTE, ..base.clone() };
    assert_eq!(world.asks(set(Some(&first), longer.clone())).await, Answer::Set(first.clone()));
    world.pass(40 * MINUTE).await;
    assert_eq!(world.incidents().await, 0, "its end was moved");

    let wider = Wanted { matchers: vec![Matcher::parse("env=staging").unwrap()], ..longer.clone() };
    let Answer::Set(second) = world.asks(set(Some(&first), wider)).await else { panic!() };
    assert_ne!(first, second);
    assert_eq!(world.incidents().await, 0, "what both match is held back all the time");
    assert!(world.said().await.contains("source tool put another one in the place of the silence of"));
    assert_eq!(world.asks(set(Some("nonsense"), longer.clone())).await, Answer::Unknown);
    let past = Wanted { ends_at: base.starts_at + MINUTE, ..base };
    let Answer::Refused(refusal) = world.asks(set(None, past)).await else { panic!() };
    assert_eq!(refusal.what, "Cannot silence: its end has passed");

    for uuid in [&second, &second, &first] {
        assert_eq!(world.asks(Input::Expire { actor: actor.clone(), uuid: uuid.clone() }).await, Answer::Expired);
    }
    assert_eq!(world.incidents().await, 1);
    assert_eq!(world.asks(Input::Expire { actor, uuid: "nonsense".to_owned() }).await, Answer::Unknown);
}

/// The bot slept through a whole silence: what came after it is told, and the end of the silence too.
#[tokio::test]
async fn a_silence_ends_by_its_time_even_if_nobody_was_there() {
    let world = World::new().await;
    world.does("/silence add matchers:A for:30m comment:x").await;
    world.fires("A").await;
    world.0.clock.pass(40 * MINUTE);
    world.clears("A").await;
    world.0.clock.pass(MINUTE);
    world.fires("A").await;
    assert_eq!(world.incidents().await, 1, "by its time it holds nothing back, whether its timer was heard or not");
    world.pass(MINUTE).await;
    assert_eq!((world.incidents().await, world.kept().await.1), (1, 0), "and nothing is told twice");
    assert!(world.said().await.ends_with("(SIL-1) has ended"));
}

#[tokio::test]
async fn very_many_are_told_one_part_after_the_other() {
    let world = World::new().await;
    world.does("/silence add matchers:env=staging for:1h comment:x").await;
    let names: Vec<String> = (0..700).map(|number| format!("A{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.send(&names, FIRING).await;
    assert_eq!(world.kept().await.1, 700);
    world.does("/silence expire silence:SIL-1").await;
    assert_eq!(world.kept().await.1, 200);
    assert!(world.said().await.contains("700 alerts fire that it held back"));
    world.pass(Duration::from_secs(1)).await;
    assert_eq!((world.kept().await.1, world.incidents().await), (0, 700));
}

/// A tool that runs wild must not make every alert be held against whatever it leaves behind.
#[tokio::test]
async fn there_is_a_most_of_silences_at_a_time() {
    let world = World::new().await;
    let set = || {
        let wanted = world.wanted("alertname=A", 30 * MINUTE);
        world.asks(Input::Set { actor: Actor::Source("tool".to_owned()), replaces: None, wanted })
    };
    let answers = futures::future::join_all((0..STANDING + 3).map(|_| set())).await;
    let refused: Vec<_> = answers.iter().filter(|answer| matches!(answer, Answer::Refused(_))).collect();
    assert_eq!(refused.len(), 3, "{:?}", refused.first());
    world.0.clock.pass(31 * MINUTE);
    assert!(matches!(set().await, Answer::Set(_)), "those that are over do not count");
}
