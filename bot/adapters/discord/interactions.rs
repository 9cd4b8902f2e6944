//! What people do in Discord, as commands: slash commands, buttons, modals and what is typed for completion.
//!
//! Commit first, then answer in the callback itself. Only when no commit came within 1.5 s the answer is deferred, which
//! promises nothing. The interaction's own number makes a replay after a reconnect harmless.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "serenity's enums grow with Discord; what is unknown is left alone"
)]

use std::sync::Arc;

use serenity::model::{
    application::{
        ActionRowComponent, CommandDataOption, CommandDataOptionValue, CommandInteraction, ComponentInteraction,
        Interaction, ModalInteraction,
    },
    guild::Member,
    id::{ChannelId, InteractionId},
    user::User,
};

use super::{
    Discord,
    callbacks::{Asked, Callback},
    deferred::Deferred,
    limits,
};
use crate::{
    domain::people::Person,
    engine::{
        Refusal, View,
        chat::{Call, Command, Kind, Line, Message, Reply, Shortcut, Subject},
        features,
    },
    store,
};

/// Where an interaction is answered.
#[derive(Clone)]
struct Desk {
    id: InteractionId,
    token: String,
    channel: ChannelId,
    caller: Person,
}

/// Answers an interaction. What cannot be answered is logged: nobody else would learn of it.
pub(super) async fn answer(discord: Arc<Discord>, interaction: Interaction) {
    let guild = guild_of(&interaction);
    if guild.is_some_and(|guild| guild != discord.settings.guild) {
        return tracing::warn!(guild, "an interaction of another server was left alone");
    }
    match interaction {
        Interaction::Command(command) => {
            let desk =
                discord.desk(command.id, &command.token, command.channel_id, &command.user, command.member.as_deref());
            discord.slash(desk, &command).await;
        }
        Interaction::Autocomplete(command) => {
            let desk =
                discord.desk(command.id, &command.token, command.channel_id, &command.user, command.member.as_deref());
            discord.complete(&desk, &command).await;
        }
        Interaction::Component(press) => {
            let desk = discord.desk(press.id, &press.token, press.channel_id, &press.user, press.member.as_ref());
            discord.press(desk, &press).await;
        }
        Interaction::Modal(modal) => {
            let desk = discord.desk(modal.id, &modal.token, modal.channel_id, &modal.user, modal.member.as_ref());
            discord.submit(desk, &modal).await;
        }
        other => tracing::warn!(kind = ?other.kind(), "an interaction of an unknown kind was left alone"),
    }
}

impl Discord {
    fn desk(&self, id: InteractionId, token: &str, channel: ChannelId, user: &User, member: Option<&Member>) -> Desk {
        let roles: Vec<String> =
            member.into_iter().flat_map(|member| &member.roles).map(|role| format!("discord:{role}")).collect();
        let caller =
            self.engine.rules().people.behind(&format!("discord:{}", user.id), roles.iter().map(String::as_str));
        Desk { id, token: token.to_owned(), channel, caller }
    }

    async fn slash(&self, desk: Desk, interaction: &CommandInteraction) {
        let (path, options) = path_of(&interaction.data.name, &interaction.data.options);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some(command) = features::command(&path) else {
            let refusal = Refusal::new(format!("There is no command `/{}` any more", path.join(" ")))
                .hint("Discord shows the new commands after a restart of its client");
            return self.callback(&desk, &Callback::Say(Reply::private(told(&refusal)))).await;
        };
        let given = options.iter().filter_map(|option| {
            let value = value_of(&option.value)?;
            let is_person = command.options.iter().any(|known| known.name == option.name && known.kind == Kind::Person);
            let value = if is_person { self.person(&value) } else { value };
            Some((option.name.clone(), value))
        });
        self.carry_out(desk, command, given.collect()).await;
    }

    async fn press(&self, desk: Desk, press: &ComponentInteraction) {
        let Some((shortcut, command)) = shortcut(&press.data.custom_id) else {
            let refusal = Refusal::new("This button is not known any more").hint("use the command, see `/help`");
            return self.callback(&desk, &Callback::Say(Reply::private(told(&refusal)))).await;
        };
        let given = shortcut.given();
        let missing: Vec<_> = command
            .options
            .iter()
            .filter(|option| option.is_required && !given.iter().any(|(name, _)| name == option.name))
            .collect();
        if missing.is_empty() {
            return self.carry_out(desk, command, given).await;
        }
        let asked = Asked { title: command.help, custom_id: press.data.custom_id.clone(), options: missing };
        self.callback(&desk, &Callback::Ask(asked)).await;
    }

    async fn submit(&self, desk: Desk, modal: &ModalInteraction) {
        let Some((shortcut, command)) = shortcut(&modal.data.custom_id) else {
            let refusal = Refusal::new("This form is not known any more").hint("use the command, see `/help`");
            return self.callback(&desk, &Callback::Say(Reply::private(told(&refusal)))).await;
        };
        let typed =
            modal.data.components.iter().flat_map(|row| &row.components).filter_map(|component| match component {
                ActionRowComponent::InputText(input) => Some((input.custom_id.clone(), input.value.clone()?)),
                _ => None,
            });
        let given = shortcut.given().into_iter().chain(typed).collect();
        self.carry_out(desk, command, given).await;
    }

    /// Runs the command and answers, deferred if the commit takes long.
    async fn carry_out(&self, desk: Desk, command: &'static Command, given: Vec<(String, String)>) {
        let running = self.run(&desk, command, given);
        tokio::pin!(running);
        let first = tokio::time::timeout(limits::DEFER_AFTER, &mut running).await;
        if let Ok(reply) = first {
            return self.callback(&desk, &Callback::Say(reply)).await;
        }
        let until = self.engine.now() + limits::TOKEN_LIFE;
        self.callback(&desk, &Callback::Defer).await;
        let reply = running.await;
        Deferred { discord: self, token: &desk.token, until }.give(&reply).await;
    }

    async fn run(&self, desk: &Desk, command: &'static Command, given: Vec<(String, String)>) -> Reply {
        let args = match command.check(given) {
            Ok(args) => args,
            Err(refusal) => return Reply::private(told(&refusal)),
        };
        let outcome = match self.incident_of(desk.channel).await {
            Ok(about) => {
                let source_key = Some(format!("discord:{}", desk.id));
                self.engine.command(command, Call { caller: desk.caller.clone(), args, about, source_key }).await
            }
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(Ok(reply)) => reply,
            Ok(Err(refusal)) => Reply::private(told(&refusal)),
            Err(fault) => {
                tracing::error!(%fault, command = command.name(), "a command could not be carried out");
                let refusal = Refusal::new(format!("Cannot run `{}`: the store cannot be used", command.name()))
                    .hint("nothing was changed; `/bot health` and the log of the bot say more");
                Reply::private(told(&refusal))
            }
        }
    }

    /// The incident whose thread this is.
    async fn incident_of(&self, channel: ChannelId) -> store::Result<Option<crate::domain::ids::IncidentId>> {
        let mut reader = self.engine.read().await?;
        let subject = store::cards::of_thread(&mut reader, &channel.to_string()).await?;
        Ok(subject.and_then(|subject| subject.parse().ok()).and_then(|subject| match subject {
            Subject::Incident(incident) => Some(incident),
            Subject::Run(_) | Subject::Approval(_) => None,
        }))
    }

    /// Completes what somebody types; for who may not give the command there is nothing.
    async fn complete(&self, desk: &Desk, interaction: &CommandInteraction) {
        let (path, options) = path_of(&interaction.data.name, &interaction.data.options);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let typed = options.iter().find_map(|option| match &option.value {
            CommandDataOptionValue::Autocomplete { value, .. } => Some((option.name.as_str(), value.as_str())),
            _ => None,
        });
        let command =
            features::command(&path).filter(|command| command.permits(&desk.caller, &self.engine.rules()).is_ok());
        let names = match (command, typed) {
            (Some(command), Some((name, typed))) => self.names(command, name, typed).await.unwrap_or_else(|fault| {
                tracing::warn!(%fault, "names cannot be completed");
                Vec::new()
            }),
            _ => Vec::new(),
        };
        self.callback(desk, &Callback::Complete(names)).await;
    }

    async fn names(&self, command: &Command, option: &str, typed: &str) -> store::Result<Vec<(String, String)>> {
        let kind = command.options.iter().find(|known| known.name == option).map(|known| known.kind);
        let Some(Kind::Name(lookup)) = kind else { return Ok(Vec::new()) };
        let rules = self.engine.rules();
        let mut reader = self.engine.read().await?;
        let mut view = View { reader: &mut reader, now: self.engine.now(), rules: &rules };
        features::complete(&mut view, lookup, typed).await
    }

    /// The name in the configuration of the person with this number.
    fn person(&self, number: &str) -> String {
        self.engine.rules().people.behind(&format!("discord:{number}"), []).id.0
    }

    async fn callback(&self, desk: &Desk, callback: &Callback<'_>) {
        let rules = self.engine.rules();
        if let Err(trouble) = callback.send(&self.rest, &rules.people, desk.id, &desk.token).await {
            tracing::warn!(?trouble, "Discord did not take the answer to an interaction; what was decided stands");
        }
    }
}

/// The server that an interaction comes from.
fn guild_of(interaction: &Interaction) -> Option<u64> {
    let guild = match interaction {
        Interaction::Command(command) | Interaction::Autocomplete(command) => command.guild_id,
        Interaction::Component(press) => press.guild_id,
        Interaction::Modal(modal) => modal.guild_id,
        _ => None,
    };
    guild.map(Into::into)
}

fn shortcut(custom_id: &str) -> Option<(Shortcut, &'static Command)> {
    let shortcut: Shortcut = custom_id.parse().ok()?;
    let command = features::command(shortcut.path())?;
    Some((shortcut, command))
}

fn told(refusal: &Refusal) -> Message {
    let message = Message::line(Line::marked(&refusal.what));
    match &refusal.hint {
        Some(hint) => message.and(Line::marked(&format!("hint: {hint}"))),
        None => message,
    }
}

/// The words of the command and the options that were given for it.
fn path_of<'a>(name: &str, options: &'a [CommandDataOption]) -> (Vec<String>, &'a [CommandDataOption]) {
    let mut path = vec![name.to_owned()];
    let mut given = options;
    while let [inner] = given {
        match &inner.value {
            CommandDataOptionValue::SubCommand(options) | CommandDataOptionValue::SubCommandGroup(options) => {
                path.push(inner.name.clone());
                given = options;
            }
            _ => break,
        }
    }
    (path, given)
}

fn value_of(value: &CommandDataOptionValue) -> Option<String> {
    match value {
        CommandDataOptionValue::String(text) => Some(text.clone()),
        CommandDataOptionValue::Integer(number) => Some(number.to_string()),
        CommandDataOptionValue::Number(number) => Some(number.to_string()),
        CommandDataOptionValue::Boolean(is) => Some(is.to_string()),
        CommandDataOptionValue::User(user) => Some(user.to_string()),
        CommandDataOptionValue::Autocomplete { value, .. } => Some(value.clone()),
        _ => None,
    }
}
