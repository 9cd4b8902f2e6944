//! Locks on services: somebody keeps a service for themselves, hands it over, or lets go of it; a lock ends by itself.

mod commands;

use futures::future::BoxFuture;

use crate::{
    domain::{
        locks::{Event, ServiceLock},
        people::{Actor, PersonId},
        timeline::Draft,
    },
    engine::{
        Context, View,
        chat::{Line, Message, outbox},
        features::Feature,
    },
    store::{self, locks, timers},
};

/// The timer that is due when a lock ends.
const END: &str = "lock-end";

/// The feature `locks`.
pub static FEATURE: Feature =
    Feature { name: "locks", commands: commands::COMMANDS, timers: &[(END, ends)], cards: &[], names: &[] };

/// Who keeps this person's runs from the service, if anybody does. Nobody's are those that an alert started.
pub(in crate::engine) async fn keeper(
    view: &mut View<'_>,
    service: &str,
    requester: Option<&PersonId>,
) -> store::Result<Option<String>> {
    let lock = locks::of_service(view.reader, service).await?;
    let lock = lock.filter(|lock| lock.keeps_out(requester, view.now));
    Ok(lock.map(|lock| told(&lock)))
}

/// A lock in a few words.
fn told(lock: &ServiceLock) -> String {
    format!("{}, by {}, until {}", lock.reason, lock.owner, lock.until.long())
}

/// The time of a lock is over.
fn ends<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let lock = locks::of_service(context.tx, &due.subject).await?;
        let Some(lock) = lock.filter(|lock| lock.until <= context.now) else { return Ok(()) };
        locks::unlock_service(context.tx, &lock.service).await?;
        let event = Event::LockEnded { service: lock.service.clone(), owner: lock.owner.clone() };
        context.tell_of(None, Draft::new(Actor::Bot, &event)).await?;
        let line = Line::text("The lock of ").person(&lock.owner).and(" on ").code(&lock.service).and(" has ended");
        say(context, line).await
    })
}

/// Says something in the channel for what belongs to no route.
async fn say(context: &mut Context<'_>, line: Line) -> store::Result<()> {
    let channel = context.rules.default_channel.clone();
    let message = Message::line(line);
    let post = outbox::Post { channel, incident: None, message, is_page: false, expires_at: None };
    outbox::post(context, post).await
}
