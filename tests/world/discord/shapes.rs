//! The emulator's state as Discord's API writes it.

use serde_json::{Map, Value, json};

use super::{
    clock::written,
    limits::items,
    state::{Channel, Member, Message, Role, Snowflake, State},
};

/// Every permission that a bot of this kind is invited with.
const PERMISSIONS: &str = "2251799813685247";

/// A snowflake as JSON: always a string.
pub(crate) fn id(snowflake: Snowflake) -> Value {
    json!(snowflake.to_string())
}

/// A user object; the bot itself when `name` is the bot's.
fn user(number: Snowflake, name: &str, bot: bool) -> Value {
    let mut user = json!({
        "id": id(number), "username": name, "discriminator": "0", "global_name": name, "avatar": null,
        "public_flags": 0, "flags": 0, "primary_guild": null,
    });
    if bot {
        user["bot"] = json!(true);
    }
    user
}

impl State {
    /// The bot as a user.
    pub(crate) fn bot_json(&self) -> Value {
        user(self.application, "firewarden", true)
    }

    /// The bot as it sees itself.
    pub(crate) fn me_json(&self) -> Value {
        let mut me = self.bot_json();
        me["mfa_enabled"] = json!(false);
        me["locale"] = json!("en-US");
        me["verified"] = json!(true);
        me["email"] = Value::Null;
        me
    }

    /// A person as a user.
    pub(crate) fn user_json(member: &Member) -> Value {
        user(member.id, &member.name, false)
    }

    /// A person as a member of the guild.
    pub(crate) fn member_json(member: &Member) -> Value {
        json!({
            "user": State::user_json(member), "roles": member.roles.iter().map(|role| id(*role)).collect::<Vec<_>>(),
            "nick": null, "avatar": null, "banner": null, "communication_disabled_until": null, "flags": 0,
            "joined_at": "2024-01-01T00:00:00Z", "pending": false, "premium_since": null, "mute": false, "deaf": false,
        })
    }

    /// A member as an interaction carries it, with their permissions.
    pub(crate) fn acting_member_json(member: &Member) -> Value {
        let mut json = State::member_json(member);
        json["permissions"] = json!(PERMISSIONS);
        json
    }

    pub(crate) fn role_json(role: &Role) -> Value {
        json!({
            "id": id(role.id), "name": role.name, "permissions": "0", "position": 1, "color": 0,
            "colors": { "primary_color": 0, "secondary_color": null, "tertiary_color": null },
            "hoist": false, "managed": false, "mentionable": true, "icon": null, "unicode_emoji": null, "flags": 0,
        })
    }

    /// The roles of the guild, with the one that everybody has.
    pub(crate) fn roles_json(&self) -> Value {
        let everyone = Role { id: self.guild, name: "@everyone".to_owned() };
        std::iter::once(&everyone).chain(&self.roles).map(State::role_json).collect()
    }

    pub(crate) fn channel_json(&self, channel: &Channel) -> Value {
        let last = self.messages.iter().rev().find(|message| message.channel == channel.id && !message.deleted);
        let mut json = json!({
            "id": id(channel.id), "type": channel.kind, "flags": 0, "guild_id": id(self.guild), "name": channel.name,
            "parent_id": channel.parent.map(id), "rate_limit_per_user": 0, "last_message_id": last.map(|m| id(m.id)),
        });
        if channel.kind == 0 {
            json["position"] = json!(0);
            json["permission_overwrites"] = json!([]);
            json["nsfw"] = json!(false);
            json["topic"] = Value::Null;
            return json;
        }
        let count = self.messages.iter().filter(|message| message.channel == channel.id && !message.deleted).count();
        json["owner_id"] = id(self.application);
        json["thread_metadata"] = json!({
            "archived": channel.archived, "locked": channel.locked, "archive_timestamp": written(channel.created),
            "create_timestamp": written(channel.created), "auto_archive_duration": channel.auto_archive_minutes,
        });
        json["message_count"] = json!(count);
        json["total_message_sent"] = json!(count);
        json["member_count"] = json!(channel.members.len().min(50));
        json
    }

    /// The channel as an interaction carries it.
    pub(crate) fn place_json(&self, channel: &Channel) -> Value {
        let mut json = self.channel_json(channel);
        json["permissions"] = json!(PERMISSIONS);
        json
    }

    pub(crate) fn message_json(&self, message: &Message) -> Value {
        let mut json = json!({
            "id": id(message.id), "type": if message.interaction.is_some() { 20 } else { 0 },
            "channel_id": id(message.channel), "author": self.bot_json(), "content": message.body.content,
            "timestamp": written(message.created), "edited_timestamp": message.edited.map(written),
            "tts": false, "mention_everyone": message.pinged_everyone, "pinned": false, "flags": message.flags,
            "mentions": message.pinged_people.iter().filter_map(|p| self.member(*p)).map(State::user_json).collect::<Vec<_>>(),
            "mention_roles": message.pinged_roles.iter().map(|role| id(*role)).collect::<Vec<_>>(),
            "embeds": message.body.embeds.iter().map(embed_json).collect::<Vec<_>>(),
            "components": components_json(&message.body.components),
            "attachments": message.body.files.iter().map(|file| {
                let url = format!("{}/attachments/{}/{}/{}", self.origin, message.channel, file.id, file.name);
                let mut json = json!({
                    "id": id(file.id), "filename": file.name, "size": file.bytes.len(), "url": url, "proxy_url": url,
                });
                if let Some(said) = &file.description {
                    json["description"] = json!(said);
                }
                if let Some(kind) = &file.content_type {
                    json["content_type"] = json!(kind);
                }
                json
            }).collect::<Vec<_>>(),
        });
        if let Some(nonce) = &message.nonce {
            json["nonce"] = nonce.clone();
        }
        if let Some(reference) = message.reference {
            let channel = id(message.channel);
            json["message_reference"] =
                json!({ "type": 0, "channel_id": channel, "message_id": id(reference), "guild_id": id(self.guild) });
        }
        if message.interaction.is_some() {
            json["webhook_id"] = id(self.application);
            json["application_id"] = id(self.application);
        }
        if let Some(thread) = self.channels.iter().find(|channel| channel.id == message.id) {
            json["thread"] = self.channel_json(thread);
        }
        json
    }

    pub(crate) fn application_json(&self) -> Value {
        json!({
            "id": id(self.application), "name": "firewarden", "icon": null, "description": "", "type": null,
            "verify_key": "0".repeat(64), "flags": 0, "flags_new": "0", "redirect_uris": [],
            "interactions_endpoint_url": null, "role_connections_verification_url": null,
            "owner": user(900_000_000_000_000_003, "owner", false), "approximate_guild_count": 1,
            "approximate_user_install_count": 0, "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0, "team": null, "eligible_oauth2_scopes": [], "bot": self.bot_json(),
            "bot_public": false, "bot_require_code_grant": false,
        })
    }

    /// The guild as the gateway announces it.
    pub(crate) fn guild_json(&self) -> Value {
        let channels = self.channels.iter().filter(|c| c.kind == 0).map(|channel| self.channel_json(channel));
        let threads = self.channels.iter().filter(|c| c.kind != 0).map(|channel| self.channel_json(channel));
        let mut guild = json!({
            "id": id(self.guild), "name": "acme", "icon": null, "splash": null, "discovery_splash": null,
            "owner_id": "900000000000000003", "afk_channel_id": null, "afk_timeout": 300, "verification_level": 0,
            "default_message_notifications": 0, "explicit_content_filter": 0, "emojis": [], "features": [],
            "mfa_level": 0, "application_id": null, "system_channel_id": null, "system_channel_flags": 0,
            "rules_channel_id": null, "vanity_url_code": null, "description": null, "banner": null, "premium_tier": 0,
        });
        let more = json!({
            "preferred_locale": "en-US", "public_updates_channel_id": null, "nsfw_level": 0, "stickers": [],
            "premium_progress_bar_enabled": false, "safety_alerts_channel_id": null, "incidents_data": null,
            "joined_at": "2024-01-01T00:00:00Z", "large": false, "unavailable": false, "voice_states": [],
            "presences": [], "stage_instances": [], "guild_scheduled_events": [], "soundboard_sounds": [],
        });
        if let (Some(guild), Value::Object(more)) = (guild.as_object_mut(), more) {
            guild.extend(more);
        }
        guild["member_count"] = json!(self.members.len() + 1);
        guild["roles"] = self.roles_json();
        guild["members"] = self.members.iter().map(State::member_json).collect();
        guild["channels"] = channels.collect();
        guild["threads"] = threads.collect();
        guild
    }
}

/// An embed as it is stored: of type `rich`, without what was null.
fn embed_json(embed: &Value) -> Value {
    let mut shown: Map<String, Value> = embed.as_object().cloned().unwrap_or_default();
    shown.retain(|_, value| !value.is_null());
    shown.insert("type".to_owned(), json!("rich"));
    if let Some(fields) = shown.get_mut("fields").and_then(Value::as_array_mut) {
        for field in fields {
            field["inline"] = json!(field["inline"] == true);
        }
    }
    Value::Object(shown)
}

/// Components with the numbers that Discord gives them, in reading order from 1.
fn components_json(rows: &[Value]) -> Value {
    let mut next = 0;
    let mut numbered = |component: &Value| {
        next += 1;
        let mut component: Map<String, Value> = component.as_object().cloned().unwrap_or_default();
        component.retain(|_, value| !value.is_null());
        component.insert("id".to_owned(), json!(next));
        if component.get("type") == Some(&json!(3)) {
            component.entry("min_values").or_insert(json!(1));
            component.entry("max_values").or_insert(json!(1));
        }
        component
    };
    rows.iter()
        .map(|row| {
            let mut shown = numbered(row);
            let held = items(&row["components"]).iter().map(|held| Value::Object(numbered(held))).collect();
            shown.insert("components".to_owned(), held);
            Value::Object(shown)
        })
        .collect()
}
