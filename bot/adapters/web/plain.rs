//! Messages as a terminal shows them.

use crate::engine::chat::{Card, Line, Message, Shortcut, console};
use crate::engine::features;

/// The whole message, without a line break at its end.
pub(super) fn message(message: &Message) -> String {
    let mut parts: Vec<String> = Vec::new();
    if !message.notify.is_empty() {
        parts.push(format!("for {}", message.notify.plain()));
    }
    if !message.lines.is_empty() {
        parts.push(message.lines.iter().map(Line::plain).collect::<Vec<_>>().join("\n"));
    }
    parts.extend(message.card.as_ref().map(card));
    parts.extend(message.files.iter().map(|file| format!("--- {} ---\n{}", file.name, file.text.trim_end())));
    parts.join("\n\n")
}

fn card(card: &Card) -> String {
    let mut lines = vec![card.title.plain()];
    let widest = card.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &card.facts {
        let gap = " ".repeat(widest.saturating_sub(name.chars().count()));
        lines.push(format!("  {name}{gap}  {}", value.plain()));
    }
    for block in &card.blocks {
        lines.push(String::new());
        lines.push(block.plain());
    }
    if !card.controls.is_empty() {
        lines.push(String::new());
    }
    for button in card.controls.iter().flatten() {
        lines.push(format!("  [{}]  {}", button.label, typed(&button.press)));
    }
    lines.join("\n")
}

/// The command that a button stands for, as it is typed, with an ellipsis for what is still to be said.
fn typed(press: &Shortcut) -> String {
    let given = press.given();
    let mut line = format!("/{}", press.path().join(" "));
    for (name, value) in &given {
        if value.contains(char::is_whitespace) {
            line.push_str(&format!(" {name}:\"{value}\""));
        } else {
            line.push_str(&format!(" {name}:{value}"));
        }
    }
    let command = features::command(press.path());
    let options = command.map_or(&[][..], |command| command.options);
    for option in
        options.iter().filter(|option| option.is_required && !given.iter().any(|(name, _)| *name == option.name))
    {
        line.push_str(&format!(" {}:…", option.name));
    }
    line
}

/// One line about each command that fits the beginning, for a terminal.
pub(super) fn commands() -> Vec<serde_json::Value> {
    features::commands()
        .map(|command| {
            let options: Vec<_> = command.options.iter().map(super::say::option).collect();
            serde_json::json!({
                "name": command.name(), "path": command.path, "help": command.help, "usage": console::usage(command),
                "needs": command.needs, "options": options,
            })
        })
        .collect()
}
