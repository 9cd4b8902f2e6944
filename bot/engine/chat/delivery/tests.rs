//! What delivery promises, with a chat that does what the test wants.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

use super::*;
use crate::engine::{Context, Rules, chat::Card, chat::outbox, trial::Trial};

/// A chat that remembers what it took and answers as it is told.
#[derive(Default)]
struct Scripted {
    took: Mutex<Vec<String>>,
    answers: Mutex<VecDeque<Undelivered>>,
}

impl Scripted {
    fn answer(&self, took: String) -> Result<String, Undelivered> {
        if let Some(trouble) = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
            return Err(trouble);
        }
        let mut all = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(took);
        Ok(format!("m{}", all.len()))
    }

    fn took(&self) -> Vec<String> {
        std::mem::take(&mut *self.took.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn will(&self, answers: impl IntoIterator<Item = Undelivered>) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).extend(answers);
    }
}

#[async_trait]
impl Chat for Scripted {
    async fn send(&self, place: &Place, message: &Message, _: &str) -> Result<String, Undelivered> {
        let words: Vec<String> = message.lines.iter().map(crate::engine::chat::Line::plain).collect();
        self.answer(format!("{}: {}", place.channel, words.join(" / ")))
    }

    async fn edit(&self, place: &Place, message: &str, _: &Card) -> Result<(), Undelivered> {
        self.answer(format!("{}: edit of {message}", place.channel)).map(drop)
    }

    async fn open_thread(&self, place: &Place, message: &str, title: &str) -> Result<String, Undelivered> {
        self.answer(format!("{}: thread {title} under {message}", place.channel))
    }
}

/// Wants a message said.
struct Say {
    text: &'static str,
    channel: &'static str,
    expires_at: Option<Time>,
    now: Time,
    rules: Arc<Rules>,
}

impl Decision for Say {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
        let mut context = Context { tx, now: self.now, rules: &self.rules };
        let post = outbox::Post {
            channel: self.channel.to_owned(),
            incident: None,
            message: Message::line(self.text),
            is_page: false,
            expires_at: self.expires_at,
        };
        outbox::post(&mut context, post).await
    }
}

struct Desk {
    trial: Trial,
    chat: Arc<Scripted>,
    lane: Lane,
}

impl Desk {
    async fn new() -> Self {
        let trial = Trial::new(Rules::default()).await;
        let chat = Arc::new(Scripted::default());
        let lane = Lane {
            engine: Arc::clone(&trial.engine),
            chat: Arc::clone(&chat) as Arc<dyn Chat>,
            is_page: false,
            paused: HashMap::new(),
            failures: 0,
        };
        Self { trial, chat, lane }
    }

    async fn says(&self, channel: &'static str, text: &'static str, expires_in: Option<Duration>) {
        let now = self.trial.engine.now();
        let expires_at = expires_in.map(|length| now + length);
        let say = Say { text, channel, expires_at, now, rules: self.trial.engine.rules() };
        self.trial.engine.store().decide(say).await.unwrap();
    }

    /// What one pass delivers, and in how long it wants to look again.
    async fn pass(&mut self) -> (Vec<String>, Duration) {
        let until = self.lane.pass().await.unwrap();
        (self.chat.took(), until.since(self.trial.engine.now()))
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
    let mut reader = desk.trial.engine.read().await.unwrap();
    assert_eq!(posts::waiting(&mut reader).await.unwrap().count, 0);
}
