//! What Discord remembers: one guild with its channels, roles and members, and everything that the bot did in it.

use std::time::Duration;

use serde_json::Value;

use super::{
    buckets::Buckets,
    clock::{Clock, Millis},
    faults::{Hook, Script},
    gateway::Gateway,
    transcript::Transcript,
};

/// The number of a thing, unique in Discord.
pub(crate) type Snowflake = u64;

/// Milliseconds between 1970 and the first second of 2015, from which snowflakes count.
/// <https://docs.discord.com/developers/reference#snowflakes>
const FIRST_SNOWFLAKE: Millis = 1_420_070_400_000;

/// A role of the guild.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) id: Snowflake,
    pub(crate) name: String,
}

/// A person in the guild.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Snowflake,
    pub(crate) name: String,
    pub(crate) roles: Vec<Snowflake>,
}

/// A text channel, or a thread when it has a parent.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) id: Snowflake,
    pub(crate) name: String,
    pub(crate) parent: Option<Snowflake>,
    /// 0 text, 11 public thread, 12 private thread.
    pub(crate) kind: u8,
    pub(crate) created: Millis,
    pub(crate) archived: bool,
    pub(crate) locked: bool,
    pub(crate) auto_archive_minutes: u64,
    pub(crate) members: Vec<Snowflake>,
    /// The bot may not see or write here.
    pub(crate) forbidden: bool,
}

/// A file that was uploaded.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) id: Snowflake,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// What a message says at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    pub(crate) content: String,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) files: Vec<Upload>,
}

/// A message with its history.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: Snowflake,
    pub(crate) channel: Snowflake,
    pub(crate) body: Body,
    pub(crate) flags: u64,
    pub(crate) nonce: Option<Value>,
    pub(crate) created: Millis,
    pub(crate) edited: Option<Millis>,
    /// Every earlier body, oldest first.
    pub(crate) history: Vec<Body>,
    /// People whom the message notified.
    pub(crate) pinged_people: Vec<Snowflake>,
    pub(crate) pinged_roles: Vec<Snowflake>,
    pub(crate) pinged_everyone: bool,
    /// The interaction that it answers.
    pub(crate) interaction: Option<Snowflake>,
    /// Only this person sees it.
    pub(crate) only_for: Option<Snowflake>,
    pub(crate) deleted: bool,
    /// How many of its versions the story has seen.
    pub(crate) seen_versions: usize,
    pub(crate) reference: Option<Snowflake>,
}

impl Message {
    /// The number of the present version, from 1.
    pub(crate) fn version(&self) -> usize {
        self.history.len() + 1
    }

    /// Whether it shows only `… is thinking`.
    pub(crate) fn is_loading(&self) -> bool {
        self.flags & LOADING != 0
    }
}

/// Seen only by the person who is answered.
/// <https://docs.discord.com/developers/resources/message#message-object-message-flags>
pub(crate) const EPHEMERAL: u64 = 1 << 6;
/// An answer that was deferred and not given yet.
pub(crate) const LOADING: u64 = 1 << 7;

/// Something a person did with the bot's commands or buttons.
#[derive(Debug, Clone)]
pub(crate) struct Interaction {
    pub(crate) id: Snowflake,
    pub(crate) token: String,
    /// 2 command, 3 component, 4 autocomplete, 5 modal.
    pub(crate) kind: u8,
    pub(crate) at: Millis,
    pub(crate) by: Snowflake,
    pub(crate) channel: Snowflake,
    /// The command's path, or the label that was clicked.
    pub(crate) what: String,
    /// The message whose component was used.
    pub(crate) source: Option<Snowflake>,
    /// The type of the first answer.
    pub(crate) answered: Option<u8>,
    pub(crate) answer_message: Option<Snowflake>,
    pub(crate) followups: Vec<Snowflake>,
    pub(crate) modal: Option<Value>,
    pub(crate) choices: Option<Vec<Value>>,
}

/// What the bot really changed, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) what: What,
    /// The channel's or thread's name; for an answer, the person's.
    pub(crate) place: String,
    /// Everything a reader sees.
    pub(crate) text: String,
    pub(crate) message: Option<Snowflake>,
}

/// The kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Posted,
    Edited,
    Deleted,
    OpenedThread,
    ChangedChannel,
    AddedToThread,
    Answered,
    FollowedUp,
    RegisteredCommands,
}

/// The whole of the emulated Discord.
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) origin: String,
    pub(crate) guild: Snowflake,
    pub(crate) application: Snowflake,
    pub(crate) roles: Vec<Role>,
    pub(crate) members: Vec<Member>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) messages: Vec<Message>,
    /// Registered commands as Discord answers them, guild commands with a `guild_id`.
    pub(crate) commands: Vec<Value>,
    pub(crate) interactions: Vec<Interaction>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) gateway: Gateway,
    pub(crate) buckets: Buckets,
    pub(crate) scripts: Vec<Script>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) transcript: Transcript,
    next: u64,
}

impl State {
    /// An empty guild named `acme`.
    pub(crate) fn new(origin: String) -> State {
        State {
            clock: Clock::wall(),
            origin,
            guild: 900_000_000_000_000_001,
            application: 900_000_000_000_000_002,
            roles: Vec::new(),
            members: Vec::new(),
            channels: Vec::new(),
            messages: Vec::new(),
            commands: Vec::new(),
            interactions: Vec::new(),
            effects: Vec::new(),
            gateway: Gateway::default(),
            buckets: Buckets::default(),
            scripts: Vec::new(),
            hooks: Vec::new(),
            transcript: Transcript::default(),
            next: 0,
        }
    }

    /// A new snowflake: the moment, and a counter that never repeats.
    pub(crate) fn snowflake(&mut self) -> Snowflake {
        self.next += 1;
        let since = u64::try_from(self.clock.now() - FIRST_SNOWFLAKE).unwrap_or(0);
        (since << 22) | (self.next & 0x3f_ffff)
    }

    /// A snowflake for what a story sets up, the same in every run: 900000000000001001, …
    pub(crate) fn standing_id(&self) -> Snowflake {
        let standing = self.roles.len() + self.members.len() + self.channels.iter().filter(|c| c.kind == 0).count();
        900_000_000_000_001_001 + standing as u64
    }

    pub(crate) fn channel(&self, id: Snowflake) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.id == id)
    }

    /// The name of a channel, or its number.
    pub(crate) fn place(&self, id: Snowflake) -> String {
        self.channel(id).map_or_else(|| id.to_string(), |channel| format!("#{}", channel.name))
    }

    pub(crate) fn member(&self, id: Snowflake) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    pub(crate) fn name_of(&self, id: Snowflake) -> String {
        self.member(id).map_or_else(|| id.to_string(), |member| member.name.clone())
    }

    pub(crate) fn message(&self, id: Snowflake) -> Option<&Message> {
        self.messages.iter().find(|message| message.id == id && !message.deleted)
    }

    pub(crate) fn message_mut(&mut self, id: Snowflake) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.id == id && !message.deleted)
    }

    pub(crate) fn interaction(&self, id: Snowflake) -> Option<&Interaction> {
        self.interactions.iter().find(|interaction| interaction.id == id)
    }

    pub(crate) fn interaction_mut(&mut self, id: Snowflake) -> Option<&mut Interaction> {
        self.interactions.iter_mut().find(|interaction| interaction.id == id)
    }

    /// The interaction that a webhook token belongs to.
    pub(crate) fn interaction_by_token(&self, token: &str) -> Option<&Interaction> {
        self.interactions.iter().find(|interaction| interaction.token == token)
    }

    /// How old something is by the emulator's clock.
    pub(crate) fn age(&self, at: Millis) -> Duration {
        Duration::from_millis(u64::try_from(self.clock.now() - at).unwrap_or(0))
    }

    /// Adds a line to the transcript, with the time.
    pub(crate) fn note(&mut self, line: &str) {
        let now = self.clock.now();
        self.transcript.note(now, line);
    }

    /// Notes what the bot really changed.
    pub(crate) fn effect(&mut self, effect: Effect) {
        let line = format!("bot {:?} {}: {}", effect.what, effect.place, effect.text);
        self.note(&line);
        self.effects.push(effect);
    }
}
