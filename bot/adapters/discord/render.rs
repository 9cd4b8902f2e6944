//! Draws lines and cards as Discord shows them, within its limits.
//!
//! Words from outside are escaped, so that they are never formatting, links or mentions; only people and roles whom the
//! engine named are notified, and only by the content of a message: Discord does not look for mentions in embeds.

use serde_json::{Value, json};

use super::{
    limits::{self, cut},
    mentions::{Mentions, accounts, called, roles},
};
use crate::engine::{
    chat::{Button, Card, File, Line, Message, Span, Style, Tone},
    rules::People,
};

/// Characters that a card's facts leave to what stands under them.
const KEPT: usize = 1_000;
/// Characters of the field that says how many facts are missing.
const MORE: usize = 100;

/// A message as Discord takes it.
pub(super) struct Drawn {
    /// The JSON of the message.
    pub(super) body: Value,
    /// Its files.
    pub(super) files: Vec<File>,
}

/// Draws a message. Lines that are too long for one are cut, and come whole as a file.
pub(super) fn message(message: &Message, people: &People) -> Drawn {
    let mut files = message.files.clone();
    let called = called(&message.notify, people);
    let lines = message.lines.iter().map(|words| line(words, people));
    let lines: Vec<String> =
        Some(called.clone()).filter(|called| !called.is_empty()).into_iter().chain(lines).collect();
    let mut content = lines.join("\n");
    if content.chars().count() > limits::CONTENT {
        let note = "\n*cut here; the whole text is in the file*";
        content = format!("{}{note}", cut(&content, limits::CONTENT - note.len()));
        let whole: Vec<String> = message.lines.iter().map(Line::plain).collect();
        files.push(File { name: "message.txt".to_owned(), text: whole.join("\n") });
    }
    let spans = message.notify.0.iter().chain(message.lines.iter().flat_map(|line| &line.0));
    let mentions = Mentions::of(spans, people);
    let embeds: Vec<Value> = message.card.iter().map(|card| embed(card, people)).collect();
    let rows = message.card.as_ref().map_or_else(Vec::new, rows);
    let attachments: Vec<Value> = files
        .iter()
        .enumerate()
        .map(|(index, file)| json!({ "id": index.to_string(), "filename": file.name }))
        .collect();
    let mut body = json!({
        "content": content,
        "embeds": embeds,
        "components": rows,
        "allowed_mentions": { "parse": [], "users": mentions.users, "roles": mentions.roles },
    });
    if !attachments.is_empty() {
        body["attachments"] = json!(attachments);
    }
    Drawn { body, files }
}

/// What of a message is changed later: its card. Whom it called when it was sent stays above it.
pub(super) fn edit(body: &Value) -> Value {
    json!({ "embeds": body["embeds"], "components": body["components"], "allowed_mentions": { "parse": [] } })
}

/// Draws a line in Discord's Markdown.
pub(super) fn line(line: &Line, people: &People) -> String {
    line.0.iter().map(|part| span(part, people)).collect()
}

fn span(span: &Span, people: &People) -> String {
    match span {
        Span::Text(words) => escape(words),
        Span::Strong(words) => format!("**{}**", escape(words)),
        Span::Code(value) => code(value),
        // https://discord.com/developers/docs/reference#message-formatting
        Span::Time(at) => format!("<t:{}:T>", at.millis().div_euclid(1_000)),
        Span::Person(person) => match accounts(person, people).next() {
            Some(account) => format!("<@{account}>"),
            None => escape(&person.0),
        },
        Span::Role(role) => match roles(role, people).next() {
            Some(number) => format!("<@&{number}>"),
            None => escape(role),
        },
        Span::Incident(incident) => format!("**{incident}**"),
        Span::Link { text, url } if is_plain_link(url) => format!("[{}](<{url}>)", escape(text)),
        Span::Link { text, url } => format!("{} ({})", escape(text), escape(url)),
    }
}

/// Whether the address can stand in a link without ending it.
fn is_plain_link(url: &str) -> bool {
    let scheme = url.starts_with("https://") || url.starts_with("http://");
    scheme && !url.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "<>()`".contains(letter))
}

/// Escapes what Discord would take for formatting, and nothing else: notifications show the escapes.
/// <https://support.discord.com/hc/en-us/articles/210298617>
pub(super) fn escape(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    let mut starts_line = true;
    for (at, letter) in words.char_indices() {
        let is_marked = match letter {
            '\\' | '`' | '*' | '_' | '~' | '|' | '<' | '>' | '[' | ']' | '@' => true,
            '#' | '-' => starts_line,
            // Discord makes a link of an address that stands free.
            ':' => words.get(at + 1..).is_some_and(|rest| rest.starts_with("//")),
            _ => false,
        };
        if is_marked {
            escaped.push('\\');
        }
        escaped.push(letter);
        starts_line = letter == '\n' || (starts_line && letter.is_whitespace());
    }
    escaped
}

/// A value set apart; what would end it is replaced by what looks alike.
fn code(value: &str) -> String {
    let clean: String = value
        .chars()
        .map(|letter| {
            if letter == '`' {
                'ˋ'
            } else if letter.is_control() {
                ' '
            } else {
                letter
            }
        })
        .collect();
    if clean.trim().is_empty() { "` `".to_owned() } else { format!("`{clean}`") }
}

fn embed(card: &Card, people: &People) -> Value {
    let title = cut(&line(&card.title, people), limits::EMBED_TITLE);
    let mut blocks: Vec<String> = card.blocks.iter().map(|block| line(block, people)).collect();
    let without = card.controls.iter().map(Vec::len).sum::<usize>().saturating_sub(limits::ROWS * limits::BUTTONS);
    if without > 0 {
        blocks.push(format!("{without} more buttons have no room here; the page has all"));
    }
    let blocks = blocks.join("\n");
    // The facts leave room for what stands under them, the beginning of it at least.
    let kept = blocks.chars().count().min(KEPT);
    let fields = fields(card, people, limits::EMBED_TOTAL - title.chars().count() - kept);
    let length = |name: &Value| name.as_str().map_or(0, |text| text.chars().count());
    let used: usize = fields.iter().map(|field| length(&field["name"]) + length(&field["value"])).sum();
    let left = limits::EMBED_TOTAL - title.chars().count() - used;
    let description = cut(&blocks, limits::EMBED_DESCRIPTION.min(left));
    let color = match card.tone {
        Tone::Calm => 0x6b_7280,
        Tone::Urgent => 0xdc_2626,
        Tone::Active => 0xd9_7706,
        Tone::Good => 0x16_a34a,
    };
    let mut embed = json!({ "title": title, "color": color, "fields": fields });
    if !description.is_empty() {
        embed["description"] = json!(description);
    }
    embed
}

/// The facts, as many as there is room for; how many are missing stands in the last field.
fn fields(card: &Card, people: &People, room: usize) -> Vec<Value> {
    let drawn = card
        .facts
        .iter()
        .map(|(name, value)| (cut(&escape(name), limits::FIELD_NAME), cut(&line(value, people), limits::FIELD_VALUE)));
    let drawn: Vec<(String, String)> =
        drawn.filter(|(name, value)| !name.trim().is_empty() && !value.trim().is_empty()).collect();
    let sizes = drawn.iter().map(|(name, value)| name.chars().count() + value.chars().count());
    let sizes: Vec<usize> = sizes.collect();
    let fits = |count: usize, room: usize| sizes.iter().take(count).sum::<usize>() <= room;
    let all = drawn.len();
    let most = if all <= limits::EMBED_FIELDS && fits(all, room) {
        all
    } else {
        let most = all.min(limits::EMBED_FIELDS - 1);
        (0..=most).rev().find(|count| fits(*count, room.saturating_sub(MORE))).unwrap_or(0)
    };
    let mut fields: Vec<Value> =
        drawn.iter().take(most).map(|(name, value)| json!({ "name": name, "value": value, "inline": true })).collect();
    if most < all {
        let value =
            format!("{} more have no room here; the page has all, and `/runbook show` those of a run", all - most);
        fields.push(json!({ "name": "…", "value": value, "inline": false }));
    }
    fields
}

/// The rows of buttons; a longer one goes on in the next.
fn rows(card: &Card) -> Vec<Value> {
    let rows = card.controls.iter().flat_map(|row| row.chunks(limits::BUTTONS)).take(limits::ROWS);
    rows.enumerate()
        .map(|(row, buttons)| {
            let buttons: Vec<Value> =
                buttons.iter().enumerate().map(|(place, one)| button(one, &format!("-.{row}.{place}"))).collect();
            json!({ "type": 1, "components": buttons })
        })
        .collect()
}

/// A button. One whose command has no room in it stands there to be seen and cannot be pressed, under the name `place`.
/// <https://discord.com/developers/docs/components/reference#button>
fn button(button: &Button, place: &str) -> Value {
    let style = match button.style {
        Style::Plain => 2,
        Style::Main => 1,
        Style::Danger => 4,
    };
    let label = cut(&button.label, limits::BUTTON_LABEL);
    let press = button.press.to_string();
    if press.chars().count() > limits::CUSTOM_ID {
        return json!({ "type": 2, "style": style, "label": label, "custom_id": place, "disabled": true });
    }
    json!({ "type": 2, "style": style, "label": label, "custom_id": press })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{domain::people::PersonId, engine::chat::Shortcut};

    #[test]
    fn words_from_outside_are_never_formatting() {
        let hostile = Line::text("**@everyone** [x](http://evil) <@1> `a`");
        let drawn = line(&hostile, &People::default());
        assert_eq!(drawn, r"\*\*\@everyone\*\* \[x\](http\://evil) \<\@1\> \`a\`");
        assert_eq!(line(&Line::text("- one\n # two: INC-1"), &People::default()), "\\- one\n \\# two: INC-1");
        assert_eq!(line(&Line::new().code("a`b\nc"), &People::default()), "`aˋb c`");
    }

    #[test]
    fn only_people_whom_the_engine_named_are_notified() {
        let mut people = People::default();
        people.accounts.insert("discord:77".to_owned(), PersonId("ana".to_owned()));
        let said = Message::line(Line::text("<@1> asks ").person(&PersonId("ana".to_owned())));
        let drawn = message(&said, &people);
        assert_eq!(drawn.body["allowed_mentions"], json!({ "parse": [], "users": ["77"], "roles": [] }));
        assert_eq!(drawn.body["content"], r"\<\@1\> asks <@77>");
    }

    /// A mention inside an embed wakes nobody, so whom a card is for stands above it, each once.
    #[test]
    fn whom_a_card_is_for_is_called_in_the_content() {
        let mut people = People::default();
        people.accounts.insert("discord:77".to_owned(), PersonId("ana".to_owned()));
        people.chat_roles.insert("discord:5".to_owned(), "on-call".to_owned());
        let ana = PersonId("ana".to_owned());
        let whom = Line::new().with(Span::Role("on-call".to_owned())).person(&ana).person(&ana);
        let whom = whom.person(&PersonId("lea".to_owned()));
        let drawn = message(&Message::card(Card::new(Tone::Urgent, "INC-1").notify(whom)), &people);
        assert_eq!(drawn.body["content"], "<@&5> <@77> lea");
        assert_eq!(drawn.body["allowed_mentions"], json!({ "parse": [], "users": ["77"], "roles": ["5"] }));
        assert!(edit(&drawn.body).get("content").is_none(), "a change of the card calls nobody");
    }

    /// However many people there are, Discord takes the message, and no mention is cut in two.
    #[test]
    fn a_crowd_is_called_within_the_limits() {
        let crowd =
            (0..300).fold(Line::new(), |line, n| line.person(&PersonId(format!("discord:{}", 10_u64.pow(17) + n))));
        let drawn = message(&Message::line("x".repeat(3_000)).notify(crowd), &People::default());
        let content = drawn.body["content"].as_str().unwrap();
        assert!(content.chars().count() <= limits::CONTENT);
        assert!(content.lines().next().unwrap().ends_with(" more"), "{content}");
        assert_eq!(content.matches("<@").count(), content.matches('>').count());
        assert_eq!(drawn.body["allowed_mentions"]["users"].as_array().unwrap().len(), limits::MENTIONS);
    }

    #[test]
    fn a_long_message_is_cut_and_comes_whole_as_a_file() {
        let drawn = message(&Message::line("ä".repeat(3_000)), &People::default());
        let content = drawn.body["content"].as_str().unwrap();
        assert!(content.chars().count() <= limits::CONTENT);
        assert!(content.ends_with("*cut here; the whole text is in the file*"));
        assert_eq!(drawn.files[0].text.chars().count(), 3_000);
    }

    /// Buttons that have no room are never dropped in silence, and no two have one name.
    #[test]
    fn buttons_have_room_or_say_so() {
        let press = |name: &str| Button::new("Run", Shortcut::new("run", &[&name, &"INC-1"]));
        let row: Vec<Button> = (0..27).map(|number| press(&format!("{number}"))).collect();
        let card = Card::new(Tone::Calm, "x").row(row).row(vec![press(&"y".repeat(120))]);
        let drawn = message(&Message::card(card), &People::default());
        let rows = drawn.body["components"].as_array().unwrap();
        assert!(rows.len() == 5 && rows.iter().all(|row| row["components"].as_array().unwrap().len() == 5));
        assert!(drawn.body["embeds"][0]["description"].as_str().unwrap().starts_with("3 more buttons"));
        let long =
            message(&Message::card(Card::new(Tone::Calm, "x").row(vec![press(&"y".repeat(120))])), &People::default());
        assert_eq!(long.body["components"][0]["components"][0]["disabled"], true);
    }

    proptest! {
        #[test]
        fn every_card_is_within_the_limits(
            title in ".{0,400}", facts in prop::collection::vec((".{0,300}", ".{0,1500}"), 0..30), block in ".{0,5000}",
        ) {
            let mut card = Card::new(Tone::Urgent, title).block(block);
            card.facts = facts.into_iter().map(|(name, value)| (name, Line::text(value))).collect();
            let drawn = message(&Message::card(card.clone()), &People::default());
            let embed = &drawn.body["embeds"][0];
            let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
            let fields = embed["fields"].as_array().unwrap();
            prop_assert!(fields.len() <= limits::EMBED_FIELDS);
            let names: usize = fields.iter().map(|field| length(&field["name"]) + length(&field["value"])).sum();
            prop_assert!(names + length(&embed["title"]) + length(&embed["description"]) <= limits::EMBED_TOTAL);
            let told = fields.last().is_some_and(|field| field["value"].as_str().unwrap().contains("have no room here"));
            let whole = card.facts.iter().filter(|(name, value)| {
                let value = line(value, &People::default());
                !name.trim().is_empty() && !value.trim().is_empty()
            });
            prop_assert!(told || fields.len() == whole.count(), "nothing vanishes silently");
        }
    }
}
