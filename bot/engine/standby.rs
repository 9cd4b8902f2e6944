//! An input that nobody submits: it is decided on whenever others make its work due, in their commit.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Answer, Engine, Input, decide::Occurrence, traces::Followed};
use crate::{
    domain::time::Time,
    store::{self, Decision, Tx, Wake},
};

/// The answers to such an input, in the order of the commits. Each is there before anything is answered that a later
/// commit decided.
pub struct Standby {
    engine: Arc<Engine>,
    answers: mpsc::UnboundedReceiver<store::Result<Heard>>,
}

/// When it was decided, the answer, and what is to be noted of it.
type Heard = (Time, Answer, Option<Followed>);

/// An occurrence that others bring about: who hears of it knows it only by its answer.
struct Unasked {
    occurrence: Occurrence,
    followed: Option<Followed>,
}

impl Decision for Unasked {
    type Answer = Heard;

    async fn decide(&self, tx: &mut Tx) -> store::Result<Heard> {
        let answer = self.occurrence.decide(tx).await?;
        Ok((self.occurrence.now, answer, self.followed.clone()))
    }
}

impl Standby {
    /// Decides on this input in every commit that would wake this work, until it is ended. The input is made anew each time.
    pub fn of(engine: &Arc<Engine>, due: Wake, input: impl Fn() -> Input + Send + Sync + 'static) -> Self {
        let deciding = Arc::downgrade(engine);
        let answers = engine.store().stand_by(due, move || {
            let (occurrence, followed) = deciding.upgrade()?.occurrence(input(), Vec::new());
            Some(Unasked { occurrence, followed })
        });
        Self { engine: Arc::clone(engine), answers }
    }

    /// The next answer, with the moment at which it was decided; none once it was ended.
    pub async fn next(&mut self) -> Option<store::Result<(Time, Answer)>> {
        let heard = self.answers.recv().await?;
        Some(self.noted(heard))
    }

    /// The next answer, if there is one already.
    pub fn at_hand(&mut self) -> Option<store::Result<(Time, Answer)>> {
        let heard = self.answers.try_recv().ok()?;
        Some(self.noted(heard))
    }

    /// Ends it: in no transaction that begins from here on is the input decided on.
    pub fn end(&mut self) {
        self.answers.close();
    }

    fn noted(&self, heard: store::Result<Heard>) -> store::Result<(Time, Answer)> {
        let (at, answer, followed) = heard?;
        self.engine.note(followed);
        Ok((at, answer))
    }
}
