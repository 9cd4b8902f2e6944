//! What delivery promises, with a chat that does what the test wants.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;

use super::*;
use crate::{
    domain::{ids::IncidentId, people::Capability},
    engine::{
        Context, Rules,
        chat::{Card, Message, outbox},
        ports::Place,
        trial::Trial,
    },
    store::{Decision, Tx, posts, trial::Home},
};

/// A chat that remembers what it took and answers as it is told.
struct Scripted {
    took: Mutex<Vec<String>>,
    /// What it answers to the next that come.
    answers: Mutex<VecDeque<Undelivered>>,
    /// What it answers whenever these words are in what it gets.
    always: Mutex<Vec<(&'static str, Undelivered)>>,
    is_up: AtomicBool,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scripted {
    fn answer(&self, took: String) -> Result<String, Undelivered> {
        if let Some(trouble) = held(&self.answers).pop_front() {
            return Err(trouble);
        }
        if let Some((_, trouble)) = held(&self.always).iter().find(|(words, _)| took.contains(words)) {
            return Err(trouble.clone());
        }
        let mut all = held(&self.took);
        all.push(took);
        Ok(format!("m{}", all.len()))
    }

    fn took(&self) -> Vec<String> {
        std::mem::take(&mut *held(&self.took))
    }

    fn will(&self, answers: impl IntoIterator<Item = Undelivered>) {
        held(&self.answers).extend(answers);
    }

    fn always(&self, words: &'static str, trouble: Undelivered) {
        held(&self.always).push((words, trouble));
    }

    fn heals(&self) {
        held(&self.always).clear();
    }
}

#[async_trait]
impl Chat for Scripted {
    async fn send(&self, place: &Place, message: &Message, _: &str) -> Result<String, Undelivered> {
        let title = message.card.iter().map(|card| card.title.plain());
        let words: Vec<String> = message.lines.iter().map(crate::engine::chat::Line::plain).chain(title).collect();
        let place = place.thread.as_ref().unwrap_or(&place.channel);
        self.answer(format!("{place}: {}", words.join(" / "))).map(|name| format!("{place}/{name}"))
    }

    async fn edit(&self, message: &str, card: &Card) -> Result<(), Undelivered> {
        self.answer(format!("edit of {message}: {}", card.title.plain())).map(drop)
    }

    async fn open_thread(&self, _: &str, title: &str) -> Result<String, Undelivered> {
        self.answer(format!("thread {title}")).map(|_| format!("thread-{title}"))
    }

    async fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }
}

/// Wants a message said.
struct Say {
    text: &'static str,
    channel: &'static str,
    incident: Option<IncidentId>,
    is_page: bool,
    expires_at: Option<Time>,
    now: Time,
    rules: Arc<Rules>,
}

impl Decision for Say {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
        let mut context = Context { tx, now: self.now, rules: &self.rules, told: None };
        let post = outbox::Post {
            channel: self.channel.to_owned(),
            incident: self.incident,
            message: Message::line(self.text),
            is_page: self.is_page,
            expires_at: self.expires_at,
        };
        outbox::post(&mut context, post).await
    }
}

/// Wants a statement of SQL carried out.
struct Sql(&'static str);

impl Decision for Sql {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
        tx.execute(self.0, &[]).await.map(drop)
    }
}

struct Desk {
    trial: Trial,
    chat: Arc<Scripted>,
    lane: Lane,
}

impl Desk {
    async fn new() -> Self {
        Self::of(false).await
    }

    async fn of(is_page: bool) -> Self {
        Self::at(Home::new().await, is_page).await
    }

    async fn at(home: Home, is_page: bool) -> Self {
        let mut rules = Rules { default_channel: "incidents".to_owned(), ..Rules::default() };
        rules.people.everyone = Some(Capability::Administer);
        let trial = Trial::at(home, rules).await;
        let chat = Arc::new(Scripted {
            took: Mutex::default(),
            answers: Mutex::default(),
            always: Mutex::default(),
            is_up: AtomicBool::new(true),
        });
        let lane = Lane::new(Arc::clone(&trial.engine), Arc::clone(&chat) as Arc<dyn Chat>, is_page);
        Self { trial, chat, lane }
    }

    async fn says(&self, channel: &'static str, text: &'static str, expires_in: Option<Duration>) {
        let expires_at = expires_in.map(|length| self.trial.engine.now() + length);
        self.posts(Say { text, channel, expires_at, ..self.say() }).await;
    }

    fn say(&self) -> Say {
        let (now, rules) = (self.trial.engine.now(), self.trial.engine.rules());
        Say { text: "", channel: "incidents", incident: None, is_page: self.lane.is_page, expires_at: None, now, rules }
    }

    async fn posts(&self, say: Say) {
        self.trial.engine.store().decide(say).await.unwrap();
    }

    async fn sql(&self, statement: &'static str) {
        self.trial.engine.store().decide(Sql(statement)).await.unwrap();
    }

    /// Declares an incident, whose card is then wanted in this lane.
    async fn declares(&self, title: &str) {
        self.trial.says("ana", &format!("/incident declare title:{title}")).await.unwrap();
        if self.lane.is_page {
            self.sql("update cards set lane = 0").await;
        }
    }

    /// What one pass delivers, and in how long it wants to look again.
    async fn pass(&mut self) -> (Vec<String>, Duration) {
        let until = self.lane.pass().await.unwrap();
        (self.chat.took(), until.since(self.trial.engine.now()))
    }

    async fn waits(&self) -> i64 {
        let mut reader = self.trial.engine.read().await.unwrap();
        posts::waiting(&mut reader).await.unwrap().count
    }
}

/// People read a story in its order.
#[tokio::test]
async fn posts_are_sent_once_and_in_order() {
    let mut desk = Desk::new().await;
    for text in ["one", "two", "three"] {
        desk.says("incidents", text, None).await;
    }
    assert_eq!(desk.pass().await.0, ["incidents: one", "incidents: two", "incidents: three"]);
    assert_eq!(desk.pass().await.0, Vec::<String>::new());
}

/// A channel that asks to wait holds up nothing but itself.
#[tokio::test]
async fn a_slow_channel_holds_up_nothing_but_itself() {
    let mut desk = Desk::new().await;
    desk.says("slow", "one", None).await;
    desk.chat.will([Undelivered::Wait(Duration::from_secs(5))]);
    assert_eq!(desk.pass().await, (vec![], Duration::from_secs(5)));
    desk.says("fast", "two", None).await;
    assert_eq!(desk.pass().await.0, ["fast: two"]);
    desk.trial.clock.pass(Duration::from_secs(5));
    assert_eq!(desk.pass().await.0, ["slow: one"]);
}

/// Hours of an outage lose nothing, and the chat is not flooded with tries meanwhile.
#[tokio::test]
async fn an_outage_loses_nothing_and_is_tried_ever_more_seldom() {
    let mut desk = Desk::new().await;
    desk.says("incidents", "one", None).await;
    desk.says("incidents", "two", None).await;
    let mut pauses = Vec::new();
    desk.chat.is_up.store(false, Ordering::Relaxed);
    for _ in 0..7 {
        desk.chat.will([Undelivered::Unreachable("down".to_owned())]);
        let (took, pause) = desk.pass().await;
        assert_eq!(took, Vec::<String>::new());
        pauses.push(pause.as_secs());
        desk.trial.clock.pass(pause);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(desk.pass().await.0, ["incidents: one", "incidents: two"]);
}

/// Nobody is asked a question whose time is over.
#[tokio::test]
async fn what_has_expired_is_never_sent() {
    let mut desk = Desk::new().await;
    desk.says("incidents", "too late", Some(Duration::from_mins(1))).await;
    desk.says("incidents", "still true", None).await;
    desk.trial.clock.pass(Duration::from_mins(1));
    assert_eq!(desk.pass().await.0, ["incidents: still true"]);
}

/// A message that the chat will never take does not block those after it.
#[tokio::test]
async fn a_refused_message_does_not_block_the_rest() {
    let mut desk = Desk::new().await;
    desk.says("incidents", "refused", None).await;
    desk.says("incidents", "taken", None).await;
    desk.chat.will([Undelivered::Refused("not like this".to_owned())]);
    assert_eq!(desk.pass().await.0, ["incidents: taken"]);
    assert_eq!(desk.waits().await, 0);
}

/// What cannot be read is set aside, and so is what the chat cannot bear: the rest goes on, pages at once.
#[tokio::test]
async fn one_bad_row_holds_up_no_other() {
    let mut desk = Desk::of(true).await;
    desk.says("incidents", "unreadable", None).await;
    desk.sql("update posts set body = '{'").await;
    desk.says("incidents", "poison", None).await;
    desk.says("incidents", "the database is on fire", None).await;
    desk.says("other", "and the shop is closed", None).await;
    desk.chat.always("poison", Undelivered::Unreachable("500".to_owned()));
    let (mut took, pause) = desk.pass().await;
    took.sort();
    assert_eq!(took, ["incidents: the database is on fire", "other: and the shop is closed"]);
    assert_eq!((pause, desk.waits().await), (Duration::from_secs(1), 1));
    desk.chat.heals();
    desk.trial.clock.pass(pause);
    assert_eq!(desk.pass().await.0, ["incidents: poison"]);
}

/// Elsewhere people read a story in its order, for a while even where the chat cannot bear its beginning.
#[tokio::test]
async fn what_comes_later_waits_a_while_for_what_is_put_off() {
    let mut desk = Desk::new().await;
    desk.says("incidents", "poison", None).await;
    desk.says("incidents", "later", None).await;
    desk.chat.always("poison", Undelivered::Unreachable("500".to_owned()));
    let mut took = Vec::new();
    for _ in 0..10 {
        let (more, pause) = desk.pass().await;
        took.extend(more);
        desk.trial.clock.pass(pause);
        if took.is_empty() {
            continue;
        }
        break;
    }
    assert_eq!(took, ["incidents: later"]);
    assert!(desk.trial.engine.now() >= "2026-11-23T03:01:00Z".parse().unwrap(), "only after a minute");
}

/// However many cards wait in a channel where the bot may not write, other channels do not notice.
#[tokio::test]
async fn a_forbidden_channel_holds_up_nothing_but_itself() {
    let mut desk = Desk::new().await;
    for _ in 0..60 {
        desk.declares("quiet").await;
    }
    desk.sql("update cards set channel = 'forbidden'").await;
    desk.declares("loud").await;
    desk.chat.always("forbidden: ", Undelivered::Forbidden("50001".to_owned()));
    assert_eq!(desk.pass().await.0, ["incidents: INC-61 SEV3 loud", "thread INC-61"]);
}

/// Somebody has to be woken: that goes before everything that has been waiting longer.
#[tokio::test]
async fn a_page_goes_before_cards() {
    let mut desk = Desk::of(true).await;
    for title in ["one", "two", "three", "four", "five"] {
        desk.declares(title).await;
    }
    desk.says("incidents", "wake up", None).await;
    desk.chat.always("INC-", Undelivered::Wait(Duration::from_secs(5)));
    assert_eq!(desk.pass().await.0, ["incidents: wake up"]);
    desk.chat.heals();
    desk.trial.clock.pass(Duration::from_secs(5));
    desk.says("incidents", "wake up, please", None).await;
    assert_eq!(desk.pass().await.0[0], "incidents: wake up, please");
}

/// Posts get their turn however many cards change, and nobody edits who is told to wait.
#[tokio::test]
async fn changes_of_cards_do_not_keep_posts_waiting() {
    let mut desk = Desk::new().await;
    for title in ["one", "two", "three", "four", "five"] {
        desk.declares(title).await;
    }
    desk.pass().await;
    desk.sql("update cards set wanted = wanted + 1").await;
    desk.says("incidents", "news", None).await;
    desk.chat.always("edit of", Undelivered::Wait(Duration::from_secs(5)));
    assert_eq!(desk.pass().await.0, ["incidents: news"]);
}

/// Where the bot may open no threads, everything is said in the channel, and no card holds up another.
#[tokio::test]
async fn trouble_with_threads_stops_nothing() {
    let mut desk = Desk::new().await;
    desk.declares("one").await;
    desk.declares("two").await;
    desk.chat.always("thread INC", Undelivered::Forbidden("50013".to_owned()));
    desk.posts(Say { text: "news", incident: Some(IncidentId(1)), ..desk.say() }).await;
    assert_eq!(desk.pass().await.0, ["incidents: INC-1 SEV3 one", "incidents: INC-2 SEV3 two", "incidents: news"]);
    desk.chat.heals();
    desk.trial.clock.pass(Duration::from_mins(10));
    let mut took = desk.pass().await.0;
    took.sort();
    assert_eq!(took, ["thread INC-1", "thread INC-2"], "threads are tried again by themselves");
}

/// A thread that is slow to open is waited for a little; then what belongs in it stands in the channel.
#[tokio::test]
async fn a_thread_is_waited_for_but_not_for_long() {
    let mut desk = Desk::new().await;
    desk.declares("one").await;
    desk.chat.always("thread INC", Undelivered::Wait(Duration::from_secs(20)));
    desk.posts(Say { text: "news", incident: Some(IncidentId(1)), ..desk.say() }).await;
    assert_eq!(desk.pass().await.0, ["incidents: INC-1 SEV3 one"]);
    desk.trial.clock.pass(Duration::from_secs(20));
    assert_eq!(desk.pass().await.0, Vec::<String>::new());
    desk.chat.heals();
    desk.trial.clock.pass(Duration::from_secs(20));
    assert_eq!(desk.pass().await.0, ["thread INC-1", "thread-INC-1: news"]);
    desk.sql("update cards set thread = null").await;
    desk.chat.always("thread INC", Undelivered::Wait(Duration::from_secs(20)));
    desk.posts(Say { text: "more", incident: Some(IncidentId(1)), ..desk.say() }).await;
    assert_eq!(desk.pass().await.0, Vec::<String>::new());
    desk.trial.clock.pass(Duration::from_mins(1));
    assert_eq!(desk.pass().await.0, ["incidents: more"]);
}

/// A thread that somebody deleted is forgotten, and a channel that is not there has another in its place.
#[tokio::test]
async fn what_belongs_in_a_place_that_is_gone_is_said_all_the_same() {
    let mut desk = Desk::new().await;
    desk.declares("one").await;
    desk.pass().await;
    desk.chat.always("thread-INC-1: ", Undelivered::Gone);
    for text in ["news", "more"] {
        desk.posts(Say { text, incident: Some(IncidentId(1)), ..desk.say() }).await;
    }
    assert_eq!(desk.pass().await.0, ["incidents: news", "incidents: more"]);
    desk.chat.always("nowhere: ", Undelivered::Gone);
    desk.says("nowhere", "to whom it may concern", None).await;
    assert_eq!(desk.pass().await.0, ["incidents: to whom it may concern"]);
    desk.chat.always("incidents: ", Undelivered::Gone);
    desk.says("nowhere", "is anybody there", None).await;
    assert_eq!(desk.pass().await.0, Vec::<String>::new());
    assert_eq!(desk.waits().await, 1, "it waits until there is a place for it");
}

/// While nothing can be written, the chat gets each message once, and pages go on.
#[tokio::test]
async fn a_full_store_doubles_nothing() {
    let mut desk = Desk::at(Home::file(), true).await;
    desk.sql("create trigger full before update of state on posts begin select raise(abort, 'full'); end").await;
    desk.says("incidents", "one", None).await;
    desk.says("incidents", "two", None).await;
    assert_eq!(desk.pass().await, (vec!["incidents: one".to_owned(), "incidents: two".to_owned()], PAUSES.0));
    desk.trial.clock.pass(PAUSES.0);
    assert_eq!(desk.pass().await, (vec![], PAUSES.0));
    assert_eq!(desk.waits().await, 2);
    desk.sql("drop trigger full").await;
    desk.trial.clock.pass(PAUSES.0);
    assert_eq!(desk.pass().await, (vec![], AT_LEAST));
    assert_eq!(desk.waits().await, 0);
}
