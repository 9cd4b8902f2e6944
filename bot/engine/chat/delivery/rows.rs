//! One row: drawn as it stands at this moment, sent or changed where it belongs, and written down.

use super::{
    Lane, Tried,
    load::{Item, Row},
    settle::Settled,
    threads::Stands,
};
use crate::{
    engine::{
        View,
        chat::{Message, Subject},
        features,
        ports::{Place, Undelivered},
        traces::Delivery,
    },
    store::{
        self,
        cards::{self, Shown},
        posts::Post,
    },
};

impl Lane {
    /// Tries to deliver a row.
    pub(super) async fn attempt(&self, item: Item<'_>) -> Tried {
        let tried = match item {
            Item::Post(post) => self.say(post).await,
            Item::Card(card) => self.show(card).await,
        };
        if matches!(tried, Ok(Tried::Done)) {
            self.threads.forget(&item.name());
        }
        tried.unwrap_or_else(Tried::Fault)
    }

    async fn show(&self, card: &Shown) -> store::Result<Tried> {
        let Ok(subject) = card.subject.parse::<Subject>() else {
            // A newer version that is at work beside this one may know it, once it delivers.
            return Err(store::Fault::defect(format!("no feature knows the subject `{}` of a card", card.subject)));
        };
        let rules = self.engine.rules();
        let mut reader = self.engine.read().await?;
        let Some(current) = cards::about(&mut reader, &card.subject).await? else { return Ok(Tried::Done) };
        let mut view = View { reader: &mut reader, now: self.engine.now(), rules: &rules };
        let drawn = features::card(&mut view, &subject).await?;
        drop(reader);
        let Some(drawn) = drawn.filter(|drawn| current.message.is_some() || !drawn.is_too_late) else {
            return Ok(self.done(Settled::NothingToShow(current.subject, current.wanted)).await);
        };
        let delivery = self.engine.traces().map(|_| of_card(&current, subject));
        let sent = if let Some(message) = &current.message {
            self.chat.edit(message, &drawn).await.map(|()| message.clone())
        } else {
            let Some(place) = self.place_of(&current).await? else { return Ok(Tried::Later) };
            self.send(place, current.incident, &Message::card(drawn), &current.nonce).await
        };
        let settled = match sent {
            Ok(message) => {
                metrics::histogram!("firewarden_delivery_delay_seconds", "kind" => "card")
                    .record(self.engine.now().since(current.changed_at).as_secs_f64());
                let (subject, wanted) = (current.subject.clone(), current.wanted);
                if is_own(&current) && current.thread.is_none() {
                    self.thread_under(&Shown { message: Some(message.clone()), ..current }).await;
                }
                Settled::CardShown(subject, wanted, message)
            }
            Err(Undelivered::Gone) if current.message.is_some() => Settled::CardGone(current.subject),
            Err(Undelivered::Refused(why)) => {
                tracing::error!(subject = current.subject, why, "the chat does not take a card");
                Settled::CardRefused(current.subject, current.wanted, why)
            }
            Err(trouble) => return Ok(Tried::Trouble(trouble)),
        };
        Ok(self.settled(settled, delivery).await)
    }

    async fn say(&self, post: &Post) -> store::Result<Tried> {
        if post.expires_at.is_some_and(|at| at <= self.engine.now()) {
            return Ok(self.done(Settled::PostExpired(post.id)).await);
        }
        let message = match serde_json::from_value::<Message>(post.body.clone()) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(post = post.id, %error, "a message cannot be read");
                return Ok(self.done(Settled::PostRefused(post.id, format!("it cannot be read: {error}"))).await);
            }
        };
        let mut place = Place { channel: post.channel.clone(), thread: None };
        // A page stands in the channel itself, where everybody sees it.
        if let Some(incident) = post.incident.filter(|_| !post.is_page) {
            match self.stands(&Row::Post(post.id), incident).await? {
                Stands::In(thread) => place.thread = Some(thread),
                Stands::InChannel => {}
                Stands::NotYet => return Ok(Tried::Later),
            }
        }
        let delivery = self.engine.traces().map(|_| of_post(post));
        let settled = match self.send(place, post.incident, &message, &post.nonce).await {
            Ok(name) => {
                let kind = if post.is_page { "page" } else { "post" };
                metrics::histogram!("firewarden_delivery_delay_seconds", "kind" => kind)
                    .record(self.engine.now().since(post.created_at).as_secs_f64());
                Settled::PostSent(post.id, name)
            }
            Err(Undelivered::Refused(why)) => {
                tracing::error!(channel = post.channel, post = post.id, why, "the chat does not take a message");
                Settled::PostRefused(post.id, why)
            }
            Err(trouble) => return Ok(Tried::Trouble(trouble)),
        };
        Ok(self.settled(settled, delivery).await)
    }

    /// Writes what became of a message that was sent, and notes it where somebody looks at traces.
    async fn settled(&self, settled: Settled, delivery: Option<Delivery>) -> Tried {
        let is_taken = match settled {
            Settled::PostSent(..) | Settled::CardShown(..) => Some(true),
            Settled::PostRefused(..) | Settled::CardRefused(..) => Some(false),
            Settled::PostExpired(_)
            | Settled::NothingToShow(..)
            | Settled::CardGone(_)
            | Settled::Threaded(..)
            | Settled::ThreadGone(..) => None,
        };
        let tried = self.done(settled).await;
        if let (Some(traces), Some(delivery), Some(is_taken)) = (self.engine.traces(), delivery, is_taken) {
            traces.delivered(delivery, is_taken, self.engine.now());
        }
        tried
    }

    async fn done(&self, settled: Settled) -> Tried {
        self.ledger.settle(&self.engine, settled).await;
        Tried::Done
    }

    /// Where a card is sent; `None` while the thread is on its way that it belongs in.
    async fn place_of(&self, card: &Shown) -> store::Result<Option<Place>> {
        let mut place = Place { channel: card.channel.clone(), thread: None };
        if let Some(incident) = card.incident.filter(|_| !is_own(card) && !card.is_page) {
            match self.stands(&Row::Card(card.subject.clone()), incident).await? {
                Stands::In(thread) => place.thread = Some(thread),
                Stands::InChannel => {}
                Stands::NotYet => return Ok(None),
            }
        }
        Ok(Some(place))
    }

    /// Sends a message to its place; into the channel if its thread is gone, and into the channel for what belongs
    /// nowhere else if its own is not there. A page goes there also where the bot may not write.
    async fn send(
        &self,
        place: Place,
        incident: Option<crate::domain::ids::IncidentId>,
        message: &Message,
        nonce: &str,
    ) -> Result<String, Undelivered> {
        let Place { channel, thread } = place;
        if let Some(thread) = thread {
            let within = Place { channel: channel.clone(), thread: Some(thread.clone()) };
            match (self.chat.send(&within, message, nonce).await, incident) {
                (Err(Undelivered::Gone), Some(incident)) => self.thread_is_gone(incident, &thread).await,
                (Err(Undelivered::Gone | Undelivered::Forbidden(_)), _) => {}
                (sent, _) => return sent,
            }
        }
        let sent = self.chat.send(&Place { channel: channel.clone(), thread: None }, message, nonce).await;
        let fallback = self.engine.rules().default_channel.clone();
        let is_lost = match &sent {
            Err(Undelivered::Gone) => true,
            Err(Undelivered::Forbidden(_)) => self.is_page,
            Ok(_) | Err(Undelivered::Wait(_) | Undelivered::Unreachable(_) | Undelivered::Refused(_)) => false,
        };
        if !is_lost || fallback == channel {
            return sent;
        }
        tracing::warn!(channel, fallback, "the bot cannot write in a channel; its message goes into another");
        self.chat.send(&Place { channel: fallback, thread: None }, message, nonce).await
    }
}

fn of_card(card: &Shown, subject: Subject) -> Delivery {
    Delivery {
        kind: "card",
        name: format!("{subject} {}", card.wanted),
        channel: card.channel.clone(),
        incident: card.incident,
        run: if let Subject::Run(run) = subject { Some(run) } else { None },
        since: card.changed_at,
    }
}

fn of_post(post: &Post) -> Delivery {
    Delivery {
        kind: if post.is_page { "page" } else { "post" },
        name: post.id.to_string(),
        channel: post.channel.clone(),
        incident: post.incident,
        run: None,
        since: post.created_at,
    }
}

/// Whether it is an incident's own card, under which its thread is opened.
fn is_own(card: &Shown) -> bool {
    card.incident.is_some_and(|incident| Subject::Incident(incident).to_string() == card.subject)
}
