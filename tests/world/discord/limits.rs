//! What Discord refuses, in the words and the shape that it refuses it with.
//!
//! Lengths are counted in characters. Sources: the pages of the message, embed, component, interaction and command
//! objects under <https://docs.discord.com/developers>.

use serde_json::{Map, Value, json};

use super::rest::Reply;

const CONTENT: usize = 2_000;
const EMBEDS: usize = 10;
const EMBED_TITLE: usize = 256;
const EMBED_DESCRIPTION: usize = 4_096;
const EMBED_FIELDS: usize = 25;
const EMBED_FIELD_NAME: usize = 256;
const EMBED_FIELD_VALUE: usize = 1_024;
const EMBED_FOOTER: usize = 2_048;
const EMBED_AUTHOR: usize = 256;
const EMBED_TOTAL: usize = 6_000;
const ROWS: usize = 5;
const BUTTONS: usize = 5;
const CUSTOM_ID: usize = 100;
const LABEL: usize = 80;
const SELECT_OPTIONS: usize = 25;
const MODAL_TITLE: usize = 45;
const INPUT_VALUE: usize = 4_000;
const NONCE: usize = 25;
const MENTIONS: usize = 100;
const FILES: usize = 10;
/// Messages whose layout is made of components only; the emulator does not know them.
const COMPONENTS_V2: u64 = 1 << 15;

/// The complaints about one body, gathered as the tree that Discord answers.
#[derive(Default)]
pub(crate) struct Complaints {
    tree: Map<String, Value>,
}

impl Complaints {
    /// Adds a complaint about the value at `path` (`embeds.0.title`).
    pub(crate) fn add(&mut self, path: &str, code: &str, message: &str) {
        let mut place = &mut self.tree;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let next = place.entry(part).or_insert_with(|| json!({}));
            let Value::Object(map) = next else { return };
            place = map;
        }
        let said = place.entry("_errors").or_insert_with(|| json!([]));
        if let Value::Array(said) = said {
            said.push(json!({ "code": code, "message": message }));
        }
    }

    fn too_long(&mut self, path: &str, limit: usize) {
        self.add(path, "BASE_TYPE_MAX_LENGTH", &format!("Must be {limit} or fewer in length."));
    }

    fn required(&mut self, path: &str) {
        self.add(path, "BASE_TYPE_REQUIRED", "This field is required");
    }

    /// Checks the length of an optional text.
    fn text(&mut self, path: &str, value: &Value, limit: usize) {
        if value.is_null() {
            return;
        }
        match value.as_str() {
            Some(text) if text.chars().count() > limit => self.too_long(path, limit),
            Some(_) => {}
            None => self.add(path, "STRING_TYPE_CONVERT", "Could not interpret \"value\" as string."),
        }
    }

    /// Checks a text that must be there and not be empty.
    fn full_text(&mut self, path: &str, value: &Value, limit: usize) {
        match value.as_str() {
            None | Some("") => self.required(path),
            Some(text) if text.chars().count() > limit => {
                self.add(path, "BASE_TYPE_BAD_LENGTH", &format!("Must be between 1 and {limit} in length."));
            }
            Some(_) => {}
        }
    }

    fn count(&mut self, path: &str, value: &Value, limit: usize) {
        if value.as_array().is_some_and(|list| list.len() > limit) {
            self.too_long(path, limit);
        }
    }

    /// Nothing, or the refusal that Discord answers.
    pub(crate) fn verdict(self) -> Result<(), Reply> {
        if self.tree.is_empty() { Ok(()) } else { Err(Reply::invalid(&Value::Object(self.tree))) }
    }
}

/// The items of a list, or none.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Checks a message body; `prefix` is where it stands in the request (`data` in an answer to an interaction).
pub(crate) fn message(body: &Value, files: usize, prefix: &str) -> Result<(), Reply> {
    let mut complaints = Complaints::default();
    let at = |path: &str| if prefix.is_empty() { path.to_owned() } else { format!("{prefix}.{path}") };
    complaints.text(&at("content"), &body["content"], CONTENT);
    complaints.count(&at("embeds"), &body["embeds"], EMBEDS);
    let mut total = 0;
    for (number, one) in items(&body["embeds"]).iter().enumerate() {
        embed(&mut complaints, &at(&format!("embeds.{number}")), one);
        total += embed_length(one);
    }
    if total > EMBED_TOTAL {
        let path = at("embeds");
        complaints.add(&path, "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000");
    }
    components(&mut complaints, &at("components"), &body["components"]);
    allowed_mentions(&mut complaints, &at("allowed_mentions"), &body["allowed_mentions"]);
    if let Some(nonce) = body["nonce"].as_str()
        && nonce.chars().count() > NONCE
    {
        complaints.add(&at("nonce"), "NONCE_TYPE_TOO_LONG", "Nonce must be 25 or fewer characters in length.");
    }
    if files > FILES {
        complaints.too_long(&at("attachments"), FILES);
    }
    if body["flags"].as_u64().unwrap_or(0) & COMPONENTS_V2 != 0 {
        complaints.add(&at("flags"), "EMULATOR_LIMIT", "This emulator does not know components v2.");
    }
    complaints.verdict()
}

fn embed(complaints: &mut Complaints, path: &str, embed: &Value) {
    complaints.text(&format!("{path}.title"), &embed["title"], EMBED_TITLE);
    complaints.text(&format!("{path}.description"), &embed["description"], EMBED_DESCRIPTION);
    complaints.text(&format!("{path}.footer.text"), &embed["footer"]["text"], EMBED_FOOTER);
    complaints.text(&format!("{path}.author.name"), &embed["author"]["name"], EMBED_AUTHOR);
    complaints.count(&format!("{path}.fields"), &embed["fields"], EMBED_FIELDS);
    for (number, field) in items(&embed["fields"]).iter().enumerate() {
        complaints.full_text(&format!("{path}.fields.{number}.name"), &field["name"], EMBED_FIELD_NAME);
        complaints.full_text(&format!("{path}.fields.{number}.value"), &field["value"], EMBED_FIELD_VALUE);
    }
    if embed["color"].as_u64().is_some_and(|color| color > 0xff_ffff) {
        let said = "int value should be less than or equal to 16777215.";
        complaints.add(&format!("{path}.color"), "NUMBER_TYPE_MAX", said);
    }
}

/// The characters of an embed that count towards the limit on all embeds.
fn embed_length(embed: &Value) -> usize {
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let fields: usize = items(&embed["fields"]).iter().map(|f| length(&f["name"]) + length(&f["value"])).sum();
    length(&embed["title"])
        + length(&embed["description"])
        + length(&embed["footer"]["text"])
        + length(&embed["author"]["name"])
        + fields
}

fn components(complaints: &mut Complaints, path: &str, rows: &Value) {
    complaints.count(path, rows, ROWS);
    let mut seen: Vec<&str> = Vec::new();
    for (row_number, row) in items(rows).iter().enumerate() {
        let path = format!("{path}.{row_number}");
        if row["type"] != 1 {
            complaints.add(&format!("{path}.type"), "BASE_TYPE_CHOICES", "Value must be one of {1}.");
            continue;
        }
        let held = items(&row["components"]);
        if held.is_empty() || held.len() > BUTTONS {
            let said = format!("Must be between 1 and {BUTTONS} in length.");
            complaints.add(&format!("{path}.components"), "BASE_TYPE_BAD_LENGTH", &said);
        }
        for (number, component) in held.iter().enumerate() {
            let path = format!("{path}.components.{number}");
            match component["type"].as_u64() {
                Some(2) => button(complaints, &path, component),
                Some(3..=8) if held.len() == 1 => select(complaints, &path, component),
                Some(3..=8) => {
                    complaints.add(
                        &path,
                        "COMPONENT_LAYOUT_WIDTH_EXCEEDED",
                        "The specified component exceeds the maximum width",
                    );
                }
                Some(_) | None => {
                    complaints.add(
                        &format!("{path}.type"),
                        "BASE_TYPE_CHOICES",
                        "Value must be one of {2, 3, 5, 6, 7, 8}.",
                    );
                }
            }
            if let Some(id) = component["custom_id"].as_str() {
                if seen.contains(&id) {
                    let said = "Component custom id cannot be duplicated";
                    complaints.add(&format!("{path}.custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED", said);
                }
                seen.push(id);
            }
        }
    }
}

fn button(complaints: &mut Complaints, path: &str, button: &Value) {
    complaints.text(&format!("{path}.label"), &button["label"], LABEL);
    let style = button["style"].as_u64().unwrap_or(0);
    match style {
        1..=4 => complaints.full_text(&format!("{path}.custom_id"), &button["custom_id"], CUSTOM_ID),
        5 => {
            complaints.full_text(&format!("{path}.url"), &button["url"], 512);
            if !button["custom_id"].is_null() {
                let said = "A custom id and url cannot both be specified";
                complaints.add(path, "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", said);
            }
        }
        _ => complaints.add(&format!("{path}.style"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4, 5, 6}."),
    }
    if button["label"].as_str().unwrap_or("").is_empty() && button["emoji"].is_null() {
        complaints.required(&format!("{path}.label"));
    }
}

fn select(complaints: &mut Complaints, path: &str, select: &Value) {
    complaints.full_text(&format!("{path}.custom_id"), &select["custom_id"], CUSTOM_ID);
    complaints.text(&format!("{path}.placeholder"), &select["placeholder"], 150);
    if select["type"] == 3 {
        let options = items(&select["options"]);
        if options.is_empty() || options.len() > SELECT_OPTIONS {
            let said = format!("Must be between 1 and {SELECT_OPTIONS} in length.");
            complaints.add(&format!("{path}.options"), "BASE_TYPE_BAD_LENGTH", &said);
        }
        for (number, option) in options.iter().enumerate() {
            let path = format!("{path}.options.{number}");
            complaints.full_text(&format!("{path}.label"), &option["label"], 100);
            complaints.full_text(&format!("{path}.value"), &option["value"], 100);
            complaints.text(&format!("{path}.description"), &option["description"], 100);
        }
    }
}

fn allowed_mentions(complaints: &mut Complaints, path: &str, allowed: &Value) {
    for kind in ["users", "roles"] {
        complaints.count(&format!("{path}.{kind}"), &allowed[kind], MENTIONS);
        if items(&allowed["parse"]).iter().any(|parsed| parsed == kind) && !items(&allowed[kind]).is_empty() {
            let said = format!("parse:[\"{kind}\"] and {kind}: [ids...] are mutually exclusive.");
            complaints.add(path, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", &said);
        }
    }
}

/// Checks a modal: title, one input in each row, at most five.
pub(crate) fn modal(data: &Value) -> Result<(), Reply> {
    let mut complaints = Complaints::default();
    complaints.full_text("data.custom_id", &data["custom_id"], CUSTOM_ID);
    complaints.full_text("data.title", &data["title"], MODAL_TITLE);
    let rows = items(&data["components"]);
    if rows.is_empty() || rows.len() > ROWS {
        complaints.add("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.");
    }
    for (number, row) in rows.iter().enumerate() {
        let path = format!("data.components.{number}.components.0");
        let input = &row["components"][0];
        if row["type"] != 1 || input["type"] != 4 {
            let said = "This emulator knows text inputs in action rows only.";
            complaints.add(&format!("data.components.{number}.type"), "EMULATOR_LIMIT", said);
            continue;
        }
        complaints.full_text(&format!("{path}.custom_id"), &input["custom_id"], CUSTOM_ID);
        complaints.full_text(&format!("{path}.label"), &input["label"], 45);
        complaints.text(&format!("{path}.placeholder"), &input["placeholder"], 100);
        complaints.text(&format!("{path}.value"), &input["value"], INPUT_VALUE);
        if !matches!(input["style"].as_u64(), Some(1 | 2)) {
            complaints.add(&format!("{path}.style"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2}.");
        }
    }
    complaints.verdict()
}

/// Checks the choices of an autocompletion.
pub(crate) fn choices(data: &Value) -> Result<(), Reply> {
    let mut complaints = Complaints::default();
    complaints.count("data.choices", &data["choices"], 25);
    for (number, choice) in items(&data["choices"]).iter().enumerate() {
        complaints.full_text(&format!("data.choices.{number}.name"), &choice["name"], 100);
        complaints.text(
            &format!("data.choices.{number}.value"),
            if choice["value"].is_number() { &Value::Null } else { &choice["value"] },
            100,
        );
    }
    complaints.verdict()
}

/// Checks the name of a thread.
pub(crate) fn thread(body: &Value) -> Result<(), Reply> {
    let mut complaints = Complaints::default();
    complaints.full_text("name", &body["name"], 100);
    let kept = &body["auto_archive_duration"];
    if !kept.is_null() && !matches!(kept.as_u64(), Some(60 | 1440 | 4320 | 10080)) {
        complaints.add("auto_archive_duration", "BASE_TYPE_CHOICES", "Value must be one of {60, 1440, 4320, 10080}.");
    }
    complaints.verdict()
}

/// Checks the commands of a registration: counts, names, and the size of each.
pub(crate) fn commands(all: &Value) -> Result<(), Reply> {
    let mut complaints = Complaints::default();
    complaints.count("", all, 100);
    let mut names: Vec<(&Value, &Value)> = Vec::new();
    for (number, command) in items(all).iter().enumerate() {
        let path = number.to_string();
        let kind = &command["type"];
        if names.contains(&(&command["name"], kind)) {
            let said = "Application command names must be unique";
            complaints.add(&path, "APPLICATION_COMMANDS_DUPLICATE_NAME", said);
        }
        names.push((&command["name"], kind));
        if kind.is_null() || kind == 1 {
            named(&mut complaints, &path, command);
            options(&mut complaints, &path, command);
        } else {
            complaints.full_text(&format!("{path}.name"), &command["name"], 32);
        }
        if command_size(command) > 8_000 {
            complaints.add(&path, "APPLICATION_COMMAND_TOO_LARGE", "Command exceeds maximum size (8000)");
        }
    }
    complaints.verdict()
}

fn named(complaints: &mut Complaints, path: &str, command: &Value) {
    let name = command["name"].as_str().unwrap_or("");
    let fits = |c: char| c == '-' || c == '_' || c == '\'' || c.is_alphanumeric();
    let right = (1..=32).contains(&name.chars().count()) && name.chars().all(fits) && name == name.to_lowercase();
    if !right {
        complaints.add(&format!("{path}.name"), "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid");
    }
    complaints.full_text(&format!("{path}.description"), &command["description"], 100);
}

/// The largest number that an option may name as its bound: 2^53 - 1.
/// <https://docs.discord.com/developers/interactions/application-commands#application-command-object-application-command-option-type>
const LARGEST: f64 = 9_007_199_254_740_991.0;

fn options(complaints: &mut Complaints, path: &str, holder: &Value) {
    complaints.count(&format!("{path}.options"), &holder["options"], 25);
    let mut optional_before = false;
    let mut names: Vec<&Value> = Vec::new();
    for (number, option) in items(&holder["options"]).iter().enumerate() {
        let path = format!("{path}.options.{number}");
        named(complaints, &path, option);
        if names.contains(&&option["name"]) {
            let said = "Option names must be unique";
            complaints.add(&path, "APPLICATION_COMMAND_OPTIONS_NAMES_NOT_UNIQUE", said);
        }
        names.push(&option["name"]);
        let is_required = option["required"] == true;
        if is_required && optional_before {
            let said = "Required options must be placed before non-required options";
            complaints.add(&path, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", said);
        }
        let is_subcommand = matches!(option["type"].as_u64(), Some(1 | 2));
        optional_before |= !is_required && !is_subcommand;
        complaints.count(&format!("{path}.choices"), &option["choices"], 25);
        for (number, choice) in items(&option["choices"]).iter().enumerate() {
            complaints.full_text(&format!("{path}.choices.{number}.name"), &choice["name"], 100);
        }
        for bound in ["min_value", "max_value"] {
            if option[bound].as_f64().is_some_and(|value| value.abs() > LARGEST) {
                complaints.add(&format!("{path}.{bound}"), "NUMBER_TYPE_MAX", "Number is not exact as a double");
            }
        }
        if option["autocomplete"] == true && !items(&option["choices"]).is_empty() {
            let said = "Autocomplete and choices are mutually exclusive";
            complaints.add(&path, "APPLICATION_COMMAND_OPTION_AUTOCOMPLETE_CHOICES_EXCLUSIVE", said);
        }
        options(complaints, &path, option);
    }
}

/// Names, descriptions and values of a command and everything in it, in characters.
fn command_size(command: &Value) -> usize {
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let choices: usize = items(&command["choices"]).iter().map(|c| length(&c["name"]) + length(&c["value"])).sum();
    let inner: usize = items(&command["options"]).iter().map(command_size).sum();
    length(&command["name"]) + length(&command["description"]) + choices + inner
}
