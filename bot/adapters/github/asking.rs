//! Asks GitHub until there is an answer or the time is over, and never writes twice what may have been written.
//!
//! A read that a limit refuses, or that is not answered, is asked again after a pause. A write is tried once; it is said from
//! when on it may be tried again. What stands in the way is told to whoever looks at the bot's health.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};

use super::{
    client::{Answer, Client, GRAPHQL, Reply},
    limits,
};
use crate::{
    domain::time::Time,
    engine::ports::{Clock, Unwritten},
};

/// The pause after the first question that was not answered; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long after the last try it is told that GitHub cannot be asked.
const NEWS: Duration = Duration::from_mins(10);
/// How many GitHub lists at once, at most.
const PAGE: usize = 100;

/// Which allowance a question is counted against: that of REST and that of GraphQL are apart.
type Allowance = bool;

#[derive(Default)]
struct Standing {
    limited: BTreeMap<Allowance, Time>,
    /// How many writes in a row could not be sent.
    unsent: u32,
    /// What stands in the way, and until when that is worth telling if nobody asks again.
    trouble: Option<(String, Time)>,
}

/// GitHub, asked with patience.
pub(super) struct Asking {
    client: Client,
    clock: Arc<dyn Clock>,
    standing: Mutex<Standing>,
}

/// What a reply means for the question.
enum Meaning {
    Answered(Answer),
    /// It did not happen; it may be asked again from then on.
    Again(Time),
    /// There is no answer, in words; whether it arrived.
    Silence(String, bool),
}

impl Asking {
    pub(super) fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { client, clock, standing: Mutex::default() }
    }

    /// What stands in the way, if something does.
    pub(super) fn trouble(&self) -> Option<String> {
        let now = self.clock.now();
        self.held().trouble.clone().filter(|(_, until)| *until > now).map(|(what, _)| what)
    }

    fn held(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads something.
    pub(super) async fn read(&self, path: &str, until: Time) -> Result<Value, String> {
        let mut failed = 0;
        loop {
            self.wait_for_allowance(path, until).await?;
            match self.meaning(path, self.client.ask(Method::GET, path, None, self.left(until)).await) {
                Meaning::Answered(answer) if (200..300).contains(&answer.status) => return Ok(answer.body),
                Meaning::Answered(answer) if !is_fault(answer.status) => return Err(answer.words()),
                Meaning::Answered(answer) => self.pause(answer.words(), &mut failed, until).await?,
                Meaning::Silence(why, _) => self.pause(why, &mut failed, until).await?,
                Meaning::Again(_) => {}
            }
        }
    }

    /// Reads a list, page by page, up to so many of its items. `items` finds them in a page.
    pub(super) async fn list(
        &self,
        path: &str,
        items: fn(&Value) -> &Value,
        most: usize,
        until: Time,
    ) -> Result<Vec<Value>, String> {
        let mut all = Vec::new();
        let and = if path.contains('?') { '&' } else { '?' };
        for page in 1_usize.. {
            let body = self.read(&format!("{path}{and}per_page={}&page={page}", PAGE.min(most)), until).await?;
            let found = items(&body).as_array().ok_or("GitHub answered with something else than a list")?;
            let is_last = found.len() < PAGE;
            all.extend(found.iter().cloned());
            if is_last || all.len() >= most {
                break;
            }
        }
        all.truncate(most);
        Ok(all)
    }

    /// Writes something, at most once; the status of the answer, and the answer.
    pub(super) async fn write(&self, path: &str, body: &Value, until: Time) -> Result<(u16, Value), Unwritten> {
        if let Some(limited) = self.limited(path) {
            return Err(not_before(limited));
        }
        if let Err(reply) = self.client.sign_in().await {
            // Only a token was asked for: the write itself was not sent.
            return Err(match self.meaning(path, reply) {
                Meaning::Answered(answer) if is_fault(answer.status) => self.unsent(&answer.words()),
                Meaning::Answered(answer) => Unwritten::Refused(answer.words()),
                Meaning::Silence(why, _) => self.unsent(&why),
                Meaning::Again(at) => not_before(at),
            });
        }
        match self.meaning(path, self.client.ask(Method::POST, path, Some(body), self.left(until)).await) {
            Meaning::Answered(answer) if (200..300).contains(&answer.status) => {
                self.held().unsent = 0;
                Ok((answer.status, answer.body))
            }
            Meaning::Answered(answer) if is_fault(answer.status) => Err(Unwritten::Unknown(answer.words())),
            Meaning::Answered(answer) => Err(Unwritten::Refused(answer.words())),
            Meaning::Silence(why, true) => Err(Unwritten::Unknown(format!("GitHub did not answer: {why}"))),
            Meaning::Silence(why, false) => Err(self.unsent(&why)),
            Meaning::Again(at) => Err(not_before(at)),
        }
    }

    /// A write that was not sent, and from when on it may be tried again.
    fn unsent(&self, why: &str) -> Unwritten {
        let mut standing = self.held();
        let at = self.clock.now() + pause_after(standing.unsent);
        standing.unsent += 1;
        tracing::warn!(why, failed = standing.unsent, "GitHub cannot be asked");
        let why = format!("GitHub cannot be asked: {why}");
        standing.trouble = Some((why.clone(), at + NEWS));
        Unwritten::NotYet { at, why }
    }

    /// Carries out a mutation of GraphQL, at most once; its data.
    pub(super) async fn mutate(&self, query: &str, input: &Value, until: Time) -> Result<Value, Unwritten> {
        let body = json!({ "query": query, "variables": { "input": input } });
        let (_, answer) = self.write(GRAPHQL, &body, until).await?;
        let errors = answer.get("errors").and_then(Value::as_array).filter(|errors| !errors.is_empty());
        let Some(errors) = errors else { return Ok(answer.get("data").cloned().unwrap_or_default()) };
        let said = |error: &Value| error.get("message").and_then(Value::as_str).unwrap_or("an error").to_owned();
        let words = format!("GitHub answered: {}", errors.iter().map(said).collect::<Vec<_>>().join(", "));
        // An error of a kind is a refusal; one without a kind is GitHub's own fault, after which nobody knows.
        let are_refusals = errors.iter().all(|error| error.get("type").is_some_and(Value::is_string));
        Err(if are_refusals { Unwritten::Refused(words) } else { Unwritten::Unknown(words) })
    }

    /// What is left of the time, for one answer.
    fn left(&self, until: Time) -> Duration {
        until.since(self.clock.now()).max(Duration::from_secs(1))
    }

    fn meaning(&self, path: &str, reply: Reply) -> Meaning {
        let answer = match reply {
            Reply::NotSent(why) => return Meaning::Silence(why, false),
            Reply::Unknown(why) => return Meaning::Silence(why, true),
            Reply::Answered(answer) => answer,
        };
        let now = self.clock.now();
        let refused = limits::refused_until(&answer, now);
        let mut standing = self.held();
        if let Some(until) = refused.or_else(|| limits::used_up_until(&answer)).filter(|until| *until > now) {
            standing.limited.insert(path == GRAPHQL, until);
            tracing::warn!(until = %until.clock(), is_refused = refused.is_some(), "GitHub's rate limit is used up");
            standing.trouble = Some((used_up(until), until));
        } else if !is_fault(answer.status) {
            standing.trouble = None;
        }
        match refused {
            Some(until) => Meaning::Again(until.max(now + FIRST_PAUSE)),
            None => Meaning::Answered(answer),
        }
    }

    /// Until when nothing may be asked, if that is so.
    fn limited(&self, path: &str) -> Option<Time> {
        let now = self.clock.now();
        self.held().limited.get(&(path == GRAPHQL)).copied().filter(|limited| *limited > now)
    }

    /// Waits until something may be asked, if that is soon enough.
    async fn wait_for_allowance(&self, path: &str, until: Time) -> Result<(), String> {
        while let Some(limited) = self.limited(path) {
            if limited >= until {
                return Err(format!("{}, which is longer than the step may take", used_up(limited)));
            }
            self.clock.sleep_until(limited).await;
        }
        Ok(())
    }

    /// Waits before something that was not answered is asked again, if there is time for it.
    async fn pause(&self, why: String, failed: &mut u32, until: Time) -> Result<(), String> {
        let pause = pause_after(*failed);
        *failed += 1;
        tracing::warn!(why, failed = *failed, "GitHub cannot be asked");
        let next = self.clock.now() + pause;
        self.held().trouble = Some((format!("GitHub cannot be asked: {why}"), next + NEWS));
        if next >= until {
            return Err(format!("GitHub cannot be asked, {failed} times in a row: {why}"));
        }
        self.clock.sleep_until(next).await;
        Ok(())
    }
}

fn pause_after(failed: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failed)).min(LONGEST_PAUSE)
}

fn used_up(until: Time) -> String {
    format!("GitHub's rate limit is used up until {}", until.clock())
}

fn not_before(at: Time) -> Unwritten {
    Unwritten::NotYet { at, why: used_up(at) }
}

/// Whether GitHub says that it does not know itself.
fn is_fault(status: u16) -> bool {
    status == 408 || status >= 500
}
