//! What runs change: it remembers everything that was done to it, fails, is late, and lies.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::dice::Dice;
use crate::{
    domain::time::Time,
    engine::ports::{
        Clock, Http, HttpAnswer, HttpOutcome, HttpRequest, Metrics, Program, ProgramOutcome, Programs, Sample, Secrets,
    },
};

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done and answered.
    Done,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It never arrives, and nobody knows.
    Lost,
    /// No answer comes, and it is done this much later.
    Later(Duration),
    /// It is refused with this status, and not done.
    Refused(u16),
    /// It cannot be sent.
    NotSent,
    /// It is done, and a status tells of an error inside.
    Broken,
    /// It is answered as done, and is not.
    LiesDone,
    /// It is answered as refused, and is done.
    LiesRefused,
}

impl Fate {
    /// What becomes of a request that something happens to.
    pub(super) fn draw(dice: &mut Dice, changes: bool) -> Self {
        if !changes {
            return *dice.pick(&[Fate::Done, Fate::Lost, Fate::NotSent, Fate::Broken]);
        }
        match dice.below(10) {
            0 | 1 => Fate::AnswerLost,
            2 => Fate::Lost,
            3 => Fate::Later(dice.millis(500, 4_000)),
            4 => Fate::Refused(409),
            5 => Fate::Refused(429),
            6 => Fate::NotSent,
            7 => Fate::Broken,
            8 => Fate::LiesDone,
            _ => Fate::LiesRefused,
        }
    }
}

/// Something that was done.
#[derive(Debug, Clone)]
pub(super) struct Landing {
    /// The idempotency key.
    pub(super) key: String,
    /// When.
    pub(super) at: Time,
}

/// What there is of the target.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What becomes of the next request.
    pub(super) fate: Option<Fate>,
    /// What is drawn for those that nobody speaks of: to so many of a hundred something happens.
    pub(super) faults: Option<(Dice, usize)>,
    /// Everything that was done, in order.
    pub(super) landings: Vec<Landing>,
    /// What is on its way: when it arrives, its key, and whether its key is heeded.
    pub(super) coming: Vec<(Time, String, bool)>,
    /// The keys of which nothing can be told by the answers: the target lied, or the effect came when nobody waited.
    pub(super) excused: BTreeSet<String>,
    /// Whether it is as it should be.
    pub(super) is_good: bool,
    /// How long it takes until what was done is seen.
    pub(super) unseen_for: Duration,
    /// Whether the halt file is there.
    pub(super) is_halt_file_there: bool,
    /// Requests to change something that were sent although the halt file was there.
    pub(super) sent_while_halted: Vec<String>,
}

/// The target, and everything else that ports lead to.
pub(super) struct Target {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

impl Target {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Mutex::new(State { is_good: true, ..State::default() }), clock }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets arrive what was on its way until this moment.
    pub(super) fn arrive(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        let (due, coming): (Vec<_>, Vec<_>) = std::mem::take(&mut state.coming).into_iter().partition(|it| it.0 <= now);
        state.coming = coming;
        for (at, key, is_heeded) in due {
            state.land(&key, is_heeded, at);
        }
    }
}

impl State {
    fn land(&mut self, key: &str, is_heeded: bool, at: Time) {
        if !(is_heeded && self.has(key)) {
            self.landings.push(Landing { key: key.to_owned(), at });
        }
    }

    /// Whether this effect was made.
    pub(super) fn has(&self, key: &str) -> bool {
        self.landings.iter().any(|landing| landing.key == key)
    }

    /// How often it was made.
    pub(super) fn times(&self, key: &str) -> usize {
        self.landings.iter().filter(|landing| landing.key == key).count()
    }

    fn fate(&mut self, changes: bool) -> Fate {
        let drawn = |(dice, percent): &mut (Dice, usize)| dice.chance(*percent).then(|| Fate::draw(dice, changes));
        self.fate.take().or_else(|| self.faults.as_mut().and_then(drawn)).unwrap_or(Fate::Done)
    }

    fn change(&mut self, key: &str, is_heeded: bool, now: Time) -> HttpOutcome {
        if self.is_halt_file_there {
            self.sent_while_halted.push(key.to_owned());
        }
        let lost = || HttpOutcome::Unknown("the connection was reset".to_owned());
        let fate = self.fate(true);
        if matches!(fate, Fate::Done | Fate::AnswerLost | Fate::Broken | Fate::LiesRefused) {
            self.land(key, is_heeded, now);
        }
        match fate {
            Fate::Done => answered(200, &json!({ "ok": true })),
            Fate::AnswerLost | Fate::Lost => lost(),
            Fate::Later(after) => {
                self.coming.push((now + after, key.to_owned(), is_heeded));
                lost()
            }
            Fate::Refused(status) => answered(status, &json!({ "error": "refused" })),
            Fate::NotSent => HttpOutcome::NotSent("nobody listens".to_owned()),
            Fate::Broken => answered(502, &json!({ "error": "broken" })),
            Fate::LiesDone => {
                self.excused.insert(key.to_owned());
                answered(200, &json!({ "ok": true }))
            }
            Fate::LiesRefused => {
                self.excused.insert(key.to_owned());
                answered(422, &json!({ "error": "refused" }))
            }
        }
    }

    fn look(&mut self, path: &str, now: Time) -> HttpOutcome {
        match self.fate(false) {
            Fate::Done | Fate::Later(_) | Fate::LiesDone | Fate::LiesRefused => {}
            Fate::AnswerLost | Fate::Lost => return HttpOutcome::Unknown("the connection was reset".to_owned()),
            Fate::NotSent => return HttpOutcome::NotSent("nobody listens".to_owned()),
            Fate::Refused(_) | Fate::Broken => return answered(503, &json!({ "error": "broken" })),
        }
        match path {
            "state" => answered(200, &json!({ "good": self.is_good })),
            "made" => {
                let seen = self.landings.iter().filter(|landing| landing.at + self.unseen_for <= now);
                answered(200, &json!({ "made": seen.map(|landing| landing.key.clone()).collect::<Vec<_>>() }))
            }
            other => panic!("nobody answers `{other}`"),
        }
    }
}

fn answered(status: u16, body: &Value) -> HttpOutcome {
    let body = body.to_string().into_bytes();
    HttpOutcome::Answered(HttpAnswer { status, headers: BTreeMap::new(), body, is_cut: false })
}

#[async_trait]
impl Http for Target {
    async fn send(&self, request: HttpRequest) -> HttpOutcome {
        let now = self.clock.now();
        let path = request.url.strip_prefix("http://target/").expect("only the target is spoken to");
        if request.method == "GET" {
            return self.state().look(path, now);
        }
        let key = request.headers.iter().find(|(name, _)| name == "idempotency-key");
        let key = key.map(|(_, value)| value.expose_secret().to_owned()).expect("a change has a key");
        self.state().change(&key, path.starts_with("safe/"), now)
    }
}

#[async_trait]
impl Programs for Target {
    async fn run(&self, program: Program) -> ProgramOutcome {
        panic!("nobody runs {:?}", program.argv)
    }

    async fn end(&self, _key: &str) {}
}

#[async_trait]
impl Metrics for Target {
    async fn query(&self, _: Option<&str>, query: &str, _: Duration) -> Result<Vec<Sample>, String> {
        panic!("nobody measures {query}")
    }
}

impl Secrets for Target {
    fn find(&self, name: &str) -> Result<SecretString, String> {
        Err(format!("there is no secret `{name}`"))
    }

    fn known(&self) -> Vec<SecretString> {
        Vec::new()
    }
}
