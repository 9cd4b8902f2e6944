//! Answers that were deferred: tried until Discord takes them, or does not wait for them any more.
//!
//! A deferral is for whoever asked alone and cannot be made public afterwards, so what everybody should see is said once
//! more to everybody. <https://discord.com/developers/docs/interactions/receiving-and-responding#followup-messages>

use std::time::Duration;

use serenity::http::{LightMethod, Route};

use super::{Discord, render, rest::Call};
use crate::{
    domain::time::Time,
    engine::{chat::Reply, ports::Undelivered},
};

/// The first and the longest pause before it is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// An answer that is owed.
pub(super) struct Deferred<'a> {
    pub(super) discord: &'a Discord,
    pub(super) token: &'a str,
    /// When Discord stops waiting for it.
    pub(super) until: Time,
}

/// Where a reply is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Caller,
    Everybody,
}

impl Deferred<'_> {
    /// Gives the answer. What does not arrive is logged: nobody else would learn of it.
    pub(super) async fn give(&self, reply: &Reply) {
        if !self.persist(To::Caller, reply).await || reply.is_private {
            return;
        }
        if self.persist(To::Everybody, reply).await
            && let Err(trouble) = self.call(LightMethod::Delete, self.original(), None).await
        {
            tracing::debug!(?trouble, "an answer stands there twice");
        }
    }

    /// Tries until Discord takes it; whether it did.
    async fn persist(&self, to: To, reply: &Reply) -> bool {
        let engine = &self.discord.engine;
        let mut pause = PAUSES.0;
        loop {
            let sent = match to {
                To::Caller => self.call(LightMethod::Patch, self.original(), Some(reply)).await,
                To::Everybody => self.call(LightMethod::Post, self.follow_up(), Some(reply)).await,
            };
            let (trouble, again) = match sent {
                Ok(()) => return true,
                Err(Undelivered::Wait(asked)) => (Undelivered::Wait(asked), Some(asked)),
                // A message that got lost may have arrived: said twice would be worse than to whoever asked alone.
                Err(Undelivered::Unreachable(why)) => {
                    (Undelivered::Unreachable(why), Some(pause).filter(|_| to == To::Caller))
                }
                Err(trouble) => (trouble, None),
            };
            let now = engine.now();
            let Some(again) = again.filter(|again| now + *again < self.until) else {
                tracing::warn!(?trouble, "Discord did not take a deferred answer; what was decided stands");
                return false;
            };
            engine.clock().sleep_until(now + again).await;
            pause = pause.saturating_mul(2).min(PAUSES.1);
        }
    }

    fn original(&self) -> Route<'_> {
        let application_id = self.discord.settings.application.into();
        Route::WebhookOriginalInteractionResponse { application_id, token: self.token }
    }

    fn follow_up(&self) -> Route<'_> {
        let application_id = self.discord.settings.application.into();
        Route::WebhookFollowupMessages { application_id, token: self.token }
    }

    async fn call(&self, method: LightMethod, route: Route<'_>, reply: Option<&Reply>) -> Result<(), Undelivered> {
        let people = &self.discord.engine.rules().people;
        let drawn = reply.map(|reply| render::message(&reply.message, people));
        let (body, files) = drawn.map_or((None, Vec::new()), |drawn| (Some(drawn.body), drawn.files));
        self.discord.rest.call(Call { method, route, body, files: &files }).await?;
        Ok(())
    }
}
