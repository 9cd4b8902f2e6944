//! Freezes: people order times in which nobody changes a service, and lift them.

mod commands;

use futures::future::BoxFuture;

use crate::{
    domain::{
        freezes::{Event, covered},
        people::Actor,
        runbooks::plan::Target,
        timeline::Draft,
    },
    engine::{Context, View, chat::Message, chat::outbox, features::Feature},
    store::{self, freezes, timers},
};

/// The timer that is due when a freeze ends.
const END: &str = "freeze-end";

/// The feature `freezes`.
pub static FEATURE: Feature =
    Feature { name: "freezes", commands: commands::COMMANDS, timers: &[(END, ends)], cards: &[], names: &[] };

/// Why the target is frozen at this moment, if it is: by the configuration, or by somebody's order.
pub(in crate::engine) async fn frozen(view: &mut View<'_>, target: &Target) -> store::Result<Option<String>> {
    let (windows, now) = (view.rules.freezes.iter(), view.now);
    if let Some(window) = windows.into_iter().find(|window| window.freezes(target, now)) {
        return Ok(Some(window.told()));
    }
    let standing = freezes::standing(view.reader).await?;
    let freeze = standing.into_iter().find(|freeze| freeze.covers(&target.service, now));
    Ok(freeze.map(|freeze| format!("{}, by {}, until {}", freeze.reason, freeze.actor, freeze.until.long())))
}

/// The time of a freeze is over.
fn ends<'a>(context: &'a mut Context<'_>, due: &'a timers::Due) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let standing = freezes::standing(context.tx).await?;
        let over =
            |freeze: &&crate::domain::freezes::Freeze| freeze.service == due.subject && freeze.until <= context.now;
        if standing.iter().find(over).is_none() {
            return Ok(());
        }
        freezes::lift(context.tx, &due.subject).await?;
        let event = Event::FreezeEnded { service: due.subject.clone() };
        context.tell_of(None, Draft::new(Actor::Bot, &event)).await?;
        say(context, format!("The freeze of {} has ended", covered(&due.subject))).await
    })
}

/// Says something in the channel for what belongs to no route.
async fn say(context: &mut Context<'_>, words: String) -> store::Result<()> {
    let channel = context.rules.default_channel.clone();
    let message = Message::line(crate::engine::chat::Line::marked(&words));
    let post = outbox::Post { channel, incident: None, message, is_page: false, expires_at: None };
    outbox::post(context, post).await
}
