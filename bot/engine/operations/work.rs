//! Watches the bot itself: whether it can write, whether its pages arrive, and tells somebody outside.
//!
//! Of several processes each watches whether it can write; the one that leads watches the pages and keeps the heartbeat.
//! Whether something can be written is measured by the process's own clock, which runs whatever time it is said to be.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::emergency::{Alarm, Cry, Trouble, UNDELIVERED};
use crate::{
    domain::time::Time,
    engine::{
        Engine, View,
        chat::{Line, Message, Subject},
        features,
        ports::{Http, HttpOutcome, HttpRequest},
        signs::SLOW,
    },
    store::{self, Beat, cards, posts},
};

/// How often is looked.
const LOOK: Duration = Duration::from_secs(1);
/// How often a write is tried while all is well, and while it is not.
const BEAT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// The most pages that are looked at.
const PAGES: i64 = 50;
/// A page that no chat takes is not told of any more after this long.
const FORGOTTEN: Duration = Duration::from_hours(24);
/// How long somebody outside may take to answer.
const OUTSIDE: Duration = Duration::from_secs(10);

/// Who is told of the bot itself.
pub struct Outside {
    /// How they are reached.
    pub http: Arc<dyn Http>,
    /// What gets a plain POST in an emergency, with its token.
    pub emergency: Option<(String, Option<SecretString>)>,
    /// What is called while everything works, and how often.
    pub heartbeat: Option<(String, Duration)>,
}

/// Watches until it is told to stop.
pub async fn work(engine: Arc<Engine>, outside: Outside, stop: CancellationToken) {
    let next_heartbeat = engine.now();
    let mut watch = Watch { engine, outside, alarm: Alarm::default(), tried: None, unread: None, next_heartbeat };
    loop {
        tokio::select! {
            () = watch.look() => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

struct Watch {
    engine: Arc<Engine>,
    outside: Outside,
    alarm: Alarm,
    /// When a write was tried last.
    tried: Option<Instant>,
    /// Since when the outbox cannot be read.
    unread: Option<Instant>,
    next_heartbeat: Time,
}

impl Watch {
    async fn look(&mut self) {
        self.beat().await;
        let trouble = self.trouble().await;
        let now = self.engine.now();
        if let Some(cry) = self.alarm.cry(&trouble, now) {
            tracing::warn!(text = cry.text, "an emergency");
            if self.tell(&cry.text).await {
                self.told(&cry, now).await;
                self.alarm.heard(cry, now);
            } else {
                self.alarm.unheard(now);
            }
        }
        let is_late = trouble.pages.iter().any(|(_, since, _)| now.since(*since) >= UNDELIVERED);
        let is_well = !is_late && trouble.unwritten.is_none() && trouble.unread.is_none();
        if is_well && self.engine.store().lead().is_ours() && now >= self.next_heartbeat {
            self.call_heartbeat(now).await;
        }
    }

    /// Tries whether something can be written, if it is time for it.
    async fn beat(&mut self) {
        let signs = self.engine.signs();
        let pause = if signs.unwritten().is_none() { BEAT.0 } else { BEAT.1 };
        if self.tried.is_some_and(|tried| tried.elapsed() < pause) {
            return;
        }
        self.tried = Some(Instant::now());
        signs.write_begins();
        let beat = self.engine.store().decide(Beat(self.engine.now()));
        signs.write_ended(match tokio::time::timeout(SLOW, beat).await {
            Ok(outcome) => outcome.map_err(|fault| first_line(&fault)),
            Err(_) => Err(format!("a write did not end within {} s", SLOW.as_secs())),
        });
    }

    async fn trouble(&mut self) -> Trouble {
        let unwritten = self.engine.signs().unwritten();
        let read = tokio::time::timeout(SLOW, late(&self.engine)).await;
        let read = read.map_or_else(
            |_| Err(format!("a read did not end within {} s", SLOW.as_secs())),
            |read| read.map_err(|fault| first_line(&fault)),
        );
        match read {
            Ok(pages) => {
                self.unread = None;
                // Of several processes the one that delivers tells of what waits.
                let pages = if self.engine.store().lead().is_ours() { pages } else { Vec::new() };
                Trouble { unwritten, unread: None, pages }
            }
            Err(why) => {
                // Nobody knows which pages wait: that is no reason to say that none does.
                if self.unread.is_none() {
                    tracing::warn!(why, "the outbox cannot be read");
                }
                let since = *self.unread.get_or_insert_with(Instant::now);
                Trouble { unwritten, unread: Some((since.elapsed(), why)), pages: Vec::new() }
            }
        }
    }

    /// Cries for help; whether somebody took it.
    async fn tell(&self, text: &str) -> bool {
        let Some((url, token)) = &self.outside.emergency else { return true };
        let mut headers: Vec<(String, SecretString)> = [
            ("content-type", "text/plain; charset=utf-8"),
            // What ntfy reads; others pass over it. https://docs.ntfy.sh/publish/
            ("title", "Firewarden"),
            ("priority", "urgent"),
        ]
        .map(|(name, value)| (name.to_owned(), SecretString::from(value)))
        .into();
        if let Some(token) = token {
            let value = format!("Bearer {}", secrecy::ExposeSecret::expose_secret(token));
            headers.push(("authorization".to_owned(), SecretString::from(value)));
        }
        let outcome = self.send("POST", url, headers, Some(text.as_bytes().to_vec())).await;
        let what = if outcome.is_ok() { "sent" } else { "failed" };
        metrics::counter!("firewarden_emergency_pages_total", "outcome" => what).increment(1);
        outcome.inspect_err(|why| tracing::error!(why, "the emergency page does not go out")).is_ok()
    }

    /// What no chat takes is done with once somebody outside has heard of it.
    async fn told(&self, cry: &Cry, now: Time) {
        if self.outside.emergency.is_some()
            && let Err(fault) = self.engine.store().decide(Told { pages: cry.pages(), now }).await
        {
            tracing::debug!(%fault, "what was told outside cannot be written down");
        }
    }

    async fn call_heartbeat(&mut self, now: Time) {
        let Some((url, every)) = self.outside.heartbeat.clone() else { return };
        self.next_heartbeat = now + every;
        if let Err(why) = self.send("GET", &url, Vec::new(), None).await {
            tracing::warn!(why, "the heartbeat does not go out");
        }
    }

    async fn send(
        &self,
        method: &str,
        url: &str,
        headers: Vec<(String, SecretString)>,
        body: Option<Vec<u8>>,
    ) -> Result<(), String> {
        let (method, url) = (method.to_owned(), url.to_owned());
        let request = HttpRequest { method, url, headers, body, timeout: OUTSIDE, limit: 1024 };
        match self.outside.http.send(request).await {
            HttpOutcome::Answered(answer) if (200..300).contains(&answer.status) => Ok(()),
            HttpOutcome::Answered(answer) => Err(format!("it was answered with {}", answer.status)),
            HttpOutcome::NotSent(why) | HttpOutcome::Unknown(why) => Err(why),
        }
    }
}

/// What is wrong, without its hint.
fn first_line(fault: &store::Fault) -> String {
    fault.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Somebody outside was told of these pages.
struct Told {
    pages: Vec<String>,
    now: Time,
}

impl store::Decision for Told {
    type Answer = ();

    async fn decide(&self, tx: &mut store::Tx) -> store::Result<()> {
        for page in &self.pages {
            match (page.strip_prefix("post-").and_then(|id| id.parse().ok()), page.strip_prefix("card-")) {
                (Some(id), _) => posts::told(tx, id, self.now).await?,
                (None, Some(subject)) => cards::told(tx, subject, self.now).await?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// The pages that wait too long, those first that wait longest.
async fn late(engine: &Engine) -> store::Result<Vec<(String, Time, String)>> {
    let now = engine.now();
    let rules = engine.rules();
    let mut reader = engine.read().await?;
    let mut pages = Vec::new();
    for post in posts::pages_waiting(&mut reader, now - UNDELIVERED, PAGES).await? {
        let is_expired = post.expires_at.is_some_and(|at| at <= now);
        let is_forgotten = post.trouble.is_some() && now.since(post.created_at) >= FORGOTTEN;
        if !is_expired && !is_forgotten {
            let message = serde_json::from_value::<Message>(post.body.clone()).unwrap_or_default();
            pages.push((format!("post-{}", post.id), post.created_at, words(&message)));
        }
    }
    // A card that has been seen wakes nobody by changing.
    for card in cards::unseen_pages(&mut reader, now - UNDELIVERED, PAGES).await? {
        let key = format!("card-{}", card.subject);
        let mut view = View { reader: &mut reader, now, rules: &rules };
        let drawn = match card.subject.parse::<Subject>() {
            Ok(subject) => features::card(&mut view, &subject).await,
            Err(_) => Ok(None),
        };
        match drawn {
            Ok(Some(drawn)) if drawn.is_too_late => {}
            Ok(Some(drawn)) => pages.push((key, card.changed_at, drawn.title.plain())),
            Ok(None) => {}
            // What cannot be drawn waits all the same.
            Err(_) => pages.push((key, card.changed_at, card.subject)),
        }
    }
    pages.sort_by_key(|(_, since, _)| *since);
    Ok(pages)
}

/// A message in one line.
fn words(message: &Message) -> String {
    let title = message.card.iter().map(|card| card.title.plain());
    let lines: Vec<String> = message.lines.iter().map(Line::plain).chain(title).collect();
    lines.join(" · ")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::engine::{Rules, ports::HttpAnswer, trial::Trial};

    /// Takes everything and remembers it.
    #[derive(Default)]
    struct Ear(Mutex<Vec<String>>);

    #[async_trait]
    impl Http for Ear {
        async fn send(&self, request: HttpRequest) -> HttpOutcome {
            let body = String::from_utf8(request.body.unwrap_or_default()).unwrap();
            self.0.lock().unwrap().push(format!("{} {} {body}", request.method, request.url));
            HttpOutcome::Answered(HttpAnswer { status: 200, headers: [].into(), body: Vec::new(), is_cut: false })
        }
    }

    fn watch(trial: &Trial, ear: &Arc<Ear>) -> Watch {
        let outside = Outside {
            http: Arc::clone(ear) as Arc<dyn Http>,
            emergency: Some(("http://help/".to_owned(), None)),
            heartbeat: Some(("http://alive/".to_owned(), Duration::from_mins(1))),
        };
        Watch {
            engine: Arc::clone(&trial.engine),
            outside,
            alarm: Alarm::default(),
            tried: None,
            unread: None,
            next_heartbeat: trial.engine.now(),
        }
    }

    /// A page that was wanted at this time.
    struct Page(Time);

    impl store::Decision for Page {
        type Answer = ();
        async fn decide(&self, tx: &mut store::Tx) -> store::Result<()> {
            let body = serde_json::to_value(Message::line("INC-1 burns")).unwrap();
            let post = posts::NewPost { channel: "a", is_page: true, incident: None, body: &body, expires_at: None };
            posts::add(tx, &post, self.0).await.map(drop)
        }
    }

    #[tokio::test]
    async fn the_heartbeat_beats_only_while_pages_arrive() {
        let trial = Trial::new(Rules::default()).await;
        let ear = Arc::<Ear>::default();
        let mut watch = watch(&trial, &ear);
        watch.look().await;
        watch.look().await;
        assert_eq!(*ear.0.lock().unwrap(), ["GET http://alive/ "]);

        trial.engine.store().decide(Page(trial.engine.now())).await.unwrap();
        trial.clock.pass(Duration::from_secs(61));
        watch.look().await;
        watch.look().await;
        assert_eq!(
            ear.0.lock().unwrap()[1..],
            ["POST http://help/ A page waits for 1 min 1 s and the chat takes none:\nINC-1 burns"]
        );
    }

    #[tokio::test]
    async fn no_heartbeat_beats_while_a_write_hangs_or_nothing_can_be_read() {
        let trial = Trial::new(Rules::default()).await;
        let ear = Arc::<Ear>::default();
        let mut watch = watch(&trial, &ear);
        trial.engine.signs().write_begins();
        trial.engine.signs().age(SLOW);
        watch.tried = Some(Instant::now());
        watch.look().await;
        assert!(ear.0.lock().unwrap().is_empty());

        trial.engine.signs().write_ended(Ok(()));
        trial.engine.store().close().await;
        watch.look().await;
        assert!(watch.unread.is_some() && ear.0.lock().unwrap().is_empty(), "what cannot be read is not well");
    }

    /// Does this to the page of the test.
    struct With(&'static str);

    impl store::Decision for With {
        type Answer = ();
        async fn decide(&self, tx: &mut store::Tx) -> store::Result<()> {
            match self.0 {
                "refuse" => posts::refused(tx, 1, "not like this").await,
                "show" => cards::shown(tx, "INC-1", 1, "m1").await,
                _ => cards::want(tx, "INC-1", "a", (None, true), Time::EPOCH).await,
            }
        }
    }

    /// A page that the chat refuses reaches somebody another way, once.
    #[tokio::test]
    async fn a_refused_page_is_cried_once() {
        let trial = Trial::new(Rules::default()).await;
        let ear = Arc::<Ear>::default();
        let mut watch = watch(&trial, &ear);
        trial.engine.store().decide(Page(trial.engine.now())).await.unwrap();
        trial.engine.store().decide(With("refuse")).await.unwrap();
        for minutes in [1, 16, 16] {
            trial.clock.pass(Duration::from_mins(minutes));
            watch.look().await;
        }
        let cries: Vec<String> = ear.0.lock().unwrap().iter().filter(|cry| cry.starts_with("POST")).cloned().collect();
        assert_eq!(cries.len(), 1, "{cries:?}");
        assert!(cries[0].contains("INC-1 burns"), "{cries:?}");
    }

    /// Nobody is woken because a card that was seen long ago has changed.
    #[tokio::test]
    async fn a_change_of_a_card_is_no_emergency() {
        let mut rules = Rules::default();
        rules.people.everyone = Some(crate::domain::people::Capability::Administer);
        let trial = Trial::new(rules).await;
        trial.engine.store().decide(With("want")).await.unwrap();
        trial.says("ana", "/incident declare title:fire").await.unwrap();
        trial.clock.pass(Duration::from_mins(2));
        assert_eq!(late(&trial.engine).await.unwrap().len(), 1, "nobody has seen it");
        trial.engine.store().decide(With("show")).await.unwrap();
        assert_eq!(late(&trial.engine).await.unwrap(), []);
    }
}
