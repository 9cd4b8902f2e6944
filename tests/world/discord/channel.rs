//! A channel or thread as a story reads it.

use std::sync::Arc;

use super::{
    people::see,
    server::Shared,
    state::{Snowflake, State},
    view::Shown,
};

/// A channel or thread, found by its name or a part of it; it need not be there yet.
#[derive(Clone)]
pub(crate) struct Channel {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: String,
}

impl Channel {
    fn id(&self, state: &State) -> Option<Snowflake> {
        let exact = state.channels.iter().find(|channel| channel.name == self.name);
        let part = || state.channels.iter().rev().find(|channel| channel.name.contains(&self.name));
        exact.or_else(part).map(|channel| channel.id)
    }

    /// Whether it is there.
    pub(crate) fn exists(&self) -> bool {
        self.id(&self.shared.state()).is_some()
    }

    /// Whether it is a thread that was archived.
    pub(crate) fn is_archived(&self) -> bool {
        let state = self.shared.state();
        self.id(&state).and_then(|id| state.channel(id)).is_some_and(|channel| channel.archived)
    }

    /// Names of the people who were added to the thread.
    pub(crate) fn members(&self) -> Vec<String> {
        let state = self.shared.state();
        let found = self.id(&state).and_then(|id| state.channel(id));
        found.map(|channel| channel.members.iter().map(|id| state.name_of(*id)).collect()).unwrap_or_default()
    }

    /// The messages that everybody sees, oldest first, as they are; marks none as seen.
    pub(crate) fn messages(&self) -> Vec<Shown> {
        let state = self.shared.state();
        let id = self.id(&state);
        let found = state.messages.iter().filter(|m| Some(m.channel) == id && m.only_for.is_none() && !m.deleted);
        found.map(|message| Shown::of(&state, message)).collect()
    }

    /// The messages that everybody sees, oldest first, and marks all of them as seen.
    pub(crate) fn reads(&self) -> Vec<Shown> {
        let messages = self.messages();
        self.shared.change(|state| messages.iter().for_each(|message| drop(see(state, message.id))));
        messages
    }

    /// Waits for a message, or a new version of one, that was not seen yet and contains `text`; marks it as seen.
    ///
    /// # Panics
    /// With the transcript, when none comes.
    pub(crate) async fn expects(&self, text: &str) -> Shown {
        let what = format!("`{text}` in #{}", self.name);
        self.shared
            .wait(&what, |state| {
                let channel = self.id(state)?;
                let found = state.messages.iter().find(|message| {
                    message.channel == channel
                        && !message.deleted
                        && message.only_for.is_none()
                        && !message.is_loading()
                        && message.seen_versions < message.version()
                        && Shown::of(state, message).text().contains(text)
                })?;
                let found = found.id;
                see(state, found)
            })
            .await
    }

    /// Waits until exactly so many messages that everybody sees are there; marks none as seen.
    pub(crate) async fn counts(&self, wanted: usize) -> Vec<Shown> {
        self.shared
            .wait(&format!("{wanted} messages in #{}", self.name), |state| {
                let channel = self.id(state)?;
                let found = state
                    .messages
                    .iter()
                    .filter(|m| m.channel == channel && !m.deleted && m.only_for.is_none())
                    .map(|message| Shown::of(state, message));
                let found: Vec<Shown> = found.collect();
                (found.len() == wanted).then_some(found)
            })
            .await
    }

    /// The card whose first embed's title contains `about`; it need not be there yet.
    pub(crate) fn card(&self, about: &str) -> Card {
        Card { channel: self.clone(), about: about.to_owned() }
    }

    /// Discord archives the thread, as it does after a while in which nobody wrote.
    pub(crate) fn is_put_away(&self) {
        self.shared.change(|state| {
            let id = self.id(state);
            for channel in state.channels.iter_mut().filter(|channel| Some(channel.id) == id) {
                channel.archived = true;
            }
            state.note("a thread was archived");
        });
    }

    /// A person with the right to do so deletes the channel or thread with all that is in it.
    ///
    /// # Panics
    /// When it is not there.
    pub(crate) fn is_deleted(&self) {
        self.shared.change(|state| {
            let id = self.id(state).expect("a channel to delete");
            let gone = |channel: &Snowflake| *channel == id;
            state.channels.retain(|channel| channel.id != id && channel.parent != Some(id));
            for message in state.messages.iter_mut().filter(|message| gone(&message.channel)) {
                message.deleted = true;
            }
            state.note("a person deleted a channel");
        });
    }

    /// A person with the right to do so deletes the newest message that contains `text`.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn loses(&self, text: &str) {
        self.shared.change(|state| {
            let id = self.id(state);
            let found = state.messages.iter().rev().find(|message| {
                Some(message.channel) == id && !message.deleted && Shown::of(state, message).text().contains(text)
            });
            let found = found.map(|message| message.id).expect("a message to delete");
            if let Some(message) = state.message_mut(found) {
                message.deleted = true;
            }
            state.note("a person deleted a message");
        });
    }
}

/// One message that the bot keeps up to date.
pub(crate) struct Card {
    channel: Channel,
    about: String,
}

impl Card {
    /// How it looks, when it is there; marks it as seen.
    pub(crate) fn present(&self) -> Option<Shown> {
        self.channel.shared.change(|state| self.look(state, ""))
    }

    /// Waits until it shows `text`, and marks it as seen.
    ///
    /// # Panics
    /// With the transcript, when it does not come to show it.
    pub(crate) async fn shows(&self, text: &str) -> Shown {
        let what = format!("the card `{}` in #{} showing `{text}`", self.about, self.channel.name);
        self.channel.shared.wait(&what, |state| self.look(state, text)).await
    }

    fn look(&self, state: &mut State, text: &str) -> Option<Shown> {
        let channel = self.channel.id(state)?;
        let found = state.messages.iter().rev().find(|message| {
            message.channel == channel
                && !message.deleted
                && message.only_for.is_none()
                && Shown::of(state, message).title().is_some_and(|title| title.contains(&self.about))
        })?;
        let found = Shown::of(state, found).text().contains(text).then_some(found.id)?;
        see(state, found)
    }
}
