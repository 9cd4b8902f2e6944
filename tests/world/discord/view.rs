//! What people see: a message, its buttons, a modal, the choices of an autocompletion.

use serde_json::Value;

use super::{
    limits::items,
    state::{Body, Message, Snowflake, State, Upload},
};

/// A button as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Button {
    pub(crate) label: String,
    pub(crate) custom_id: Option<String>,
    pub(crate) is_disabled: bool,
    pub(crate) url: Option<String>,
}

/// A message at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) id: Snowflake,
    /// The channel's or thread's name.
    pub(crate) place: String,
    pub(crate) content: String,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) files: Vec<Upload>,
    pub(crate) is_ephemeral: bool,
    pub(crate) is_deleted: bool,
    /// Names of the people and roles whom it notified, and `everyone`.
    pub(crate) pings: Vec<String>,
    /// What earlier versions said, oldest first.
    pub(crate) history: Vec<String>,
}

impl Shown {
    pub(crate) fn of(state: &State, message: &Message) -> Shown {
        let role = |id: &Snowflake| state.roles.iter().find(|role| role.id == *id).map(|role| role.name.clone());
        let people = message.pinged_people.iter().map(|id| state.name_of(*id));
        let roles = message.pinged_roles.iter().filter_map(role);
        let everyone = message.pinged_everyone.then(|| "everyone".to_owned());
        Shown {
            id: message.id,
            place: state.channel(message.channel).map(|channel| channel.name.clone()).unwrap_or_default(),
            content: message.body.content.clone(),
            embeds: message.body.embeds.clone(),
            components: message.body.components.clone(),
            files: message.body.files.clone(),
            is_ephemeral: message.only_for.is_some(),
            is_deleted: message.deleted,
            pings: people.chain(roles).chain(everyone).collect(),
            history: message.history.iter().map(body_text).collect(),
        }
    }

    /// Everything a reader sees, a line for each part; buttons as `[Approve]`, disabled ones as `[Approve, off]`.
    pub(crate) fn text(&self) -> String {
        text_of(&self.content, &self.embeds, &self.components, &self.files)
    }

    /// Its buttons, in reading order.
    pub(crate) fn buttons(&self) -> Vec<Button> {
        buttons_of(&self.components)
    }

    /// The button with this label.
    pub(crate) fn button(&self, label: &str) -> Option<Button> {
        self.buttons().into_iter().find(|button| button.label == label)
    }

    /// The title of its first embed.
    pub(crate) fn title(&self) -> Option<&str> {
        self.embeds.first()?["title"].as_str()
    }

    /// The value of the field with this name, in any embed.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.embeds.iter().flat_map(|embed| items(&embed["fields"]));
        fields.find(|field| field["name"] == name)?["value"].as_str()
    }

    /// The uploaded file with this name, as text.
    pub(crate) fn file(&self, name: &str) -> Option<String> {
        let file = self.files.iter().find(|file| file.name == name)?;
        Some(String::from_utf8_lossy(&file.bytes).into_owned())
    }
}

/// What a version of a message says.
pub(crate) fn body_text(body: &Body) -> String {
    text_of(&body.content, &body.embeds, &body.components, &body.files)
}

fn text_of(content: &str, embeds: &[Value], components: &[Value], files: &[Upload]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut push = |text: &Value| {
        if let Some(text) = text.as_str().filter(|text| !text.is_empty()) {
            lines.push(text.to_owned());
        }
    };
    push(&Value::from(content));
    for embed in embeds {
        push(&embed["author"]["name"]);
        push(&embed["title"]);
        push(&embed["description"]);
        for field in items(&embed["fields"]) {
            let name = field["name"].as_str().unwrap_or("");
            push(&Value::from(format!("{name}: {}", field["value"].as_str().unwrap_or(""))));
        }
        push(&embed["footer"]["text"]);
    }
    for row in components {
        let shown: Vec<String> = items(&row["components"]).iter().map(control).collect();
        lines.push(shown.join(" "));
    }
    lines.extend(files.iter().map(|file| format!("({})", file.name)));
    lines.join("\n")
}

fn control(component: &Value) -> String {
    let label = component["label"].as_str().or(component["placeholder"].as_str()).unwrap_or("select");
    if component["disabled"] == true { format!("[{label}, off]") } else { format!("[{label}]") }
}

fn buttons_of(components: &[Value]) -> Vec<Button> {
    let held = components.iter().flat_map(|row| items(&row["components"])).filter(|one| one["type"] == 2);
    held.map(|button| Button {
        label: button["label"].as_str().unwrap_or("").to_owned(),
        custom_id: button["custom_id"].as_str().map(str::to_owned),
        is_disabled: button["disabled"] == true,
        url: button["url"].as_str().map(str::to_owned),
    })
    .collect()
}

/// A field of a modal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) label: String,
    pub(crate) custom_id: String,
    pub(crate) value: String,
    pub(crate) is_required: bool,
    pub(crate) longest: usize,
}

/// A form that the bot opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Modal {
    pub(crate) title: String,
    pub(crate) custom_id: String,
    pub(crate) inputs: Vec<Input>,
}

impl Modal {
    pub(crate) fn of(data: &Value) -> Modal {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let inputs = items(&data["components"]).iter().flat_map(|row| items(&row["components"]));
        Modal {
            title: text(&data["title"]),
            custom_id: text(&data["custom_id"]),
            inputs: inputs
                .map(|input| Input {
                    label: text(&input["label"]),
                    custom_id: text(&input["custom_id"]),
                    value: text(&input["value"]),
                    is_required: input["required"] != false,
                    longest: input["max_length"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(4_000),
                })
                .collect(),
        }
    }
}

/// What the bot answered to an interaction.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The message, when it answered with one or changed the one that was clicked.
    pub(crate) message: Option<Shown>,
    pub(crate) modal: Option<Modal>,
    /// The names of the choices that it offers.
    pub(crate) choices: Vec<String>,
    /// Whether it first said only that an answer will come.
    pub(crate) was_deferred: bool,
}

impl Answer {
    /// Everything a reader sees of it.
    pub(crate) fn text(&self) -> String {
        match (&self.message, &self.modal) {
            (Some(message), _) => message.text(),
            (None, Some(modal)) => modal.title.clone(),
            (None, None) => self.choices.join("\n"),
        }
    }

    /// Whether only the person who asked sees it.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.is_ephemeral)
    }
}
