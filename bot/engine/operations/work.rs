//! Watches the bot itself: whether it can write, whether its pages arrive, and tells somebody outside.
//!
//! Whether something can be written is measured by the process's own clock, which runs whatever time it is said to be.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::emergency::{Alarm, Trouble, UNDELIVERED};
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
                self.alarm.heard(cry, now);
            } else {
                self.alarm.unheard(now);
            }
        }
        let is_late = trouble.pages.iter().any(|(_, since, _)| now.since(*since) >= UNDELIVERED);
        if !is_late && trouble.unwritten.is_none() && trouble.unread.is_none() && now >= self.next_heartbeat {
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

/// The pages that wait too long, those first that wait longest.
async fn late(engine: &Engine) -> store::Result<Vec<(String, Time, String)>> {
    let now = engine.now();
    let rules = engine.rules();
    let mut reader = engine.read().await?;
    let mut pages = Vec::new();
    for post in posts::pages_waiting(&mut reader, now - UNDELIVERED, PAGES).await? {
        let is_expired = post.expires_at.is_some_and(|at| at <= now);
        if !is_expired {
            let message = serde_json::from_value::<Message>(post.body.clone()).unwrap_or_default();
            pages.push((format!("post-{}", post.id), post.created_at, words(&message)));
        }
    }
    for card in cards::next(&mut reader, true, PAGES).await? {
        let Ok(subject) = card.subject.parse::<Subject>() else { continue };
        if now.since(card.changed_at) < UNDELIVERED {
            continue;
        }
        let mut view = View { reader: &mut reader, now, rules: &rules };
        if let Some(drawn) = features::card(&mut view, &subject).await? {
            pages.push((format!("card-{}", card.subject), card.changed_at, drawn.title.plain()));
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
}
