//! People who use the bot: they type commands, click buttons, choose, fill in forms, and read the answer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    commands::typed,
    limits::items,
    server::Shared,
    shapes::id,
    state::{Interaction, Message, Snowflake, State},
    view::{Answer, Modal, Shown},
};

/// A member of the guild, in a channel.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: String,
    /// The channel's name; the first channel when none is given.
    pub(crate) place: Option<String>,
}

/// The part of an interaction that differs by its kind.
struct Act {
    kind: u8,
    what: String,
    data: Value,
    channel: Snowflake,
    source: Option<Snowflake>,
}

impl Person {
    /// The same person in another channel or thread.
    pub(crate) fn in_channel(&self, name: &str) -> Person {
        Person { place: Some(name.to_owned()), ..self.clone() }
    }

    /// Sends a slash command: `/incident declare title:checkout is broken severity:SEV2`.
    ///
    /// # Panics
    /// When Discord's client would not send it: no such command, a missing option, a value that does not fit.
    pub(crate) fn runs(&self, line: &str) -> Pending {
        self.types(line, false)
    }

    /// Types a command and waits for suggestions for its last option: `/incident show incident:IN`.
    pub(crate) fn autocompletes(&self, line: &str) -> Pending {
        self.types(line, true)
    }

    fn types(&self, line: &str, completes: bool) -> Pending {
        self.acts(|state, _| {
            let data = typed(state, line, completes)?;
            let kind = if completes { 4 } else { 2 };
            let channel = self.channel(state)?;
            Ok(Act { kind, what: line.to_owned(), data, channel, source: None })
        })
    }

    /// Clicks the button with this label on the newest message that has it, in the person's channel.
    ///
    /// # Panics
    /// When no message shows such a button, or the newest one shows it disabled.
    pub(crate) fn clicks(&self, label: &str) -> Pending {
        self.clicks_on("", label)
    }

    /// Clicks a button on the newest message that contains `text`.
    pub(crate) fn clicks_on(&self, text: &str, label: &str) -> Pending {
        self.acts(|state, person| {
            let (message, button) = self
                .messages(state, person)
                .filter(|message| Shown::of(state, message).text().contains(text))
                .find_map(|message| Some((message, Shown::of(state, message).button(label)?)))
                .ok_or_else(|| format!("no message shows a button [{label}]"))?;
            if button.is_disabled {
                return Err(format!("the button [{label}] is disabled"));
            }
            let custom_id = button.custom_id.ok_or_else(|| format!("[{label}] is a link"))?;
            let data = json!({ "custom_id": custom_id, "component_type": 2 });
            Ok(Act { kind: 3, what: format!("[{label}]"), data, channel: message.channel, source: Some(message.id) })
        })
    }

    /// Chooses options, by their labels, in the newest select menu that offers the first of them.
    pub(crate) fn chooses(&self, labels: &[&str]) -> Pending {
        self.acts(|state, person| {
            let offered = |menu: &Value, label: &str| -> Option<Value> {
                Some(items(&menu["options"]).iter().find(|option| option["label"] == label)?["value"].clone())
            };
            let first = labels.first().copied().unwrap_or("");
            let (message, menu) = self
                .messages(state, person)
                .find_map(|message| {
                    let mut held = message.body.components.iter().flat_map(|row| items(&row["components"]));
                    Some((message, held.find(|menu| menu["type"] == 3 && offered(menu, first).is_some())?.clone()))
                })
                .ok_or_else(|| format!("no menu offers `{first}`"))?;
            let values: Vec<Value> = labels.iter().filter_map(|label| offered(&menu, label)).collect();
            let most = usize::try_from(menu["max_values"].as_u64().unwrap_or(1)).unwrap_or(1);
            if values.len() != labels.len() || values.len() > most || menu["disabled"] == true {
                return Err(format!("the menu does not take {labels:?}"));
            }
            let data = json!({ "custom_id": menu["custom_id"], "component_type": 3, "values": values });
            Ok(Act { kind: 3, what: format!("{labels:?}"), data, channel: message.channel, source: Some(message.id) })
        })
    }

    /// Fills in the form that the bot opened last for this person, by the labels of its fields, and sends it.
    ///
    /// # Panics
    /// When no form is open, a field is unknown, too long, or required and empty.
    pub(crate) fn submits_modal(&self, fields: &[(&str, &str)]) -> Pending {
        self.acts(|state, person| {
            let opened = state.interactions.iter().rev().find(|one| one.by == person && one.modal.is_some());
            let opened = opened.ok_or("no form is open")?;
            let modal = Modal::of(opened.modal.as_ref().unwrap_or(&Value::Null));
            if let Some((label, _)) = fields.iter().find(|(label, _)| !modal.inputs.iter().any(|i| i.label == *label)) {
                return Err(format!("the form `{}` has no field `{label}`", modal.title));
            }
            let mut rows = Vec::new();
            for input in &modal.inputs {
                let typed = fields.iter().find(|(label, _)| *label == input.label).map(|(_, text)| (*text).to_owned());
                let value = typed.unwrap_or_else(|| input.value.clone());
                if value.chars().count() > input.longest || (value.is_empty() && input.is_required) {
                    return Err(format!("the field `{}` does not take `{value}`", input.label));
                }
                let input = json!({ "type": 4, "id": 2, "custom_id": input.custom_id, "value": value });
                rows.push(json!({ "type": 1, "id": 1, "components": [input] }));
            }
            let data = json!({ "custom_id": modal.custom_id, "components": rows });
            let what = format!("form `{}`", modal.title);
            Ok(Act { kind: 5, what, data, channel: opened.channel, source: opened.source })
        })
    }

    /// The newest messages first, in the person's channel, as far as the person sees them.
    fn messages<'a>(&self, state: &'a State, person: Snowflake) -> impl Iterator<Item = &'a Message> {
        let channel = self.channel(state).ok();
        state.messages.iter().rev().filter(move |message| {
            !message.deleted
                && Some(message.channel) == channel
                && message.only_for.is_none_or(|reader| reader == person)
        })
    }

    fn channel(&self, state: &State) -> Result<Snowflake, String> {
        let found = match &self.place {
            Some(name) => state.channels.iter().rev().find(|channel| channel.name.contains(name.as_str())),
            None => state.channels.first(),
        };
        found.map(|channel| channel.id).ok_or_else(|| format!("there is no channel {:?}", self.place))
    }

    fn acts(&self, act: impl FnOnce(&State, Snowflake) -> Result<Act, String>) -> Pending {
        let interaction = self.shared.change(|state| {
            let member = state.members.iter().find(|member| member.name == self.name).cloned();
            let member = member.ok_or_else(|| format!("nobody is named {}", self.name))?;
            let act = act(state, member.id)?;
            let payload = dispatch(state, &member, &act)?;
            Ok::<Snowflake, String>(payload)
        });
        match interaction {
            Ok(interaction) => Pending { shared: self.shared.clone(), interaction },
            Err(why) => panic!("{}: {why}\n--- Discord ---\n{}", self.name, self.shared.state().transcript.text()),
        }
    }
}

/// Keeps an interaction and sends it through the gateway.
fn dispatch(state: &mut State, member: &super::state::Member, act: &Act) -> Result<Snowflake, String> {
    let number = state.snowflake();
    let token = format!("aW50ZXJhY3Rpb24{number}");
    let channel = state.channel(act.channel).ok_or("the channel is gone")?;
    let mut payload = json!({
        "id": id(number), "application_id": id(state.application), "type": act.kind, "data": act.data, "token": token,
        "guild_id": id(state.guild), "guild": { "id": id(state.guild), "locale": "en-US", "features": [] },
        "channel_id": id(act.channel), "channel": state.place_json(channel), "version": 1,
        "member": State::acting_member_json(member), "app_permissions": "2251799813685247", "locale": "en-US",
        "guild_locale": "en-US", "entitlements": [], "authorizing_integration_owners": { "0": id(state.guild) },
        "context": 0, "attachment_size_limit": 10_485_760,
    });
    if let Some(message) = act.source.and_then(|source| state.message(source)) {
        payload["message"] = state.message_json(message);
    }
    state.interactions.push(Interaction {
        id: number,
        token,
        kind: act.kind,
        at: state.clock.now(),
        by: member.id,
        channel: act.channel,
        what: act.what.clone(),
        source: act.source,
        answered: None,
        answer_message: None,
        followups: Vec::new(),
        modal: None,
        choices: None,
    });
    let line = format!("{} in {}: {}", member.name, state.place(act.channel), act.what);
    state.note(&line);
    state.gateway.dispatch("INTERACTION_CREATE", &payload);
    Ok(number)
}

/// Something that a person did and the bot has to answer.
pub(crate) struct Pending {
    shared: Arc<Shared>,
    interaction: Snowflake,
}

impl Pending {
    /// The bot's answer; a deferred one when it is given. Marks it as seen.
    ///
    /// # Panics
    /// With the transcript, when no answer comes.
    pub(crate) async fn answer(&self) -> Answer {
        let what = self.what();
        self.shared.wait(&format!("an answer to {what}"), |state| self.look(state)).await
    }

    /// The messages that were added to the answer so far.
    pub(crate) fn followups(&self) -> Vec<Shown> {
        self.shared.change(|state| {
            let followups = state.interaction(self.interaction).map(|one| one.followups.clone()).unwrap_or_default();
            followups.into_iter().filter_map(|message| see(state, message)).collect()
        })
    }

    /// The interaction's number and token, for a call that a story makes itself.
    pub(crate) fn address(&self) -> (Snowflake, String) {
        let state = self.shared.state();
        let token = state.interaction(self.interaction).map(|found| found.token.clone()).unwrap_or_default();
        (self.interaction, token)
    }

    /// Whether the bot has answered or deferred.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.shared.state().interaction(self.interaction).is_some_and(|found| found.answered.is_some())
    }

    /// Whether the bot has said that an answer will come, to whoever asked alone.
    pub(crate) fn is_deferred_for_caller(&self) -> bool {
        let state = self.shared.state();
        let message = state.interaction(self.interaction).and_then(|found| state.message(found.answer_message?));
        message.is_some_and(|message| message.is_loading() && message.only_for.is_some())
    }

    fn what(&self) -> String {
        let state = self.shared.state();
        let found = state.interaction(self.interaction);
        found.map(|found| format!("{}'s {}", state.name_of(found.by), found.what)).unwrap_or_default()
    }

    fn look(&self, state: &mut State) -> Option<Answer> {
        let asked = state.interaction(self.interaction)?.clone();
        let kind = asked.answered?;
        let message = match kind {
            6 | 7 => asked.source,
            _ => asked.answer_message,
        };
        if message.and_then(|message| state.message(message)).is_some_and(Message::is_loading) {
            return None;
        }
        Some(Answer {
            message: message.and_then(|message| see(state, message)),
            modal: asked.modal.as_ref().map(Modal::of),
            choices: asked.choices.iter().flatten().filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect(),
            was_deferred: matches!(kind, 5 | 6),
        })
    }
}

/// A message as it stands, marked as seen.
pub(crate) fn see(state: &mut State, message: Snowflake) -> Option<Shown> {
    let found = state.message_mut(message)?;
    found.seen_versions = found.version();
    let found = found.clone();
    Some(Shown::of(state, &found))
}
