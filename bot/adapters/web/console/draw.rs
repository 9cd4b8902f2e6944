//! Draws what the engine says as HTML. Everything from outside is text here: maud escapes it, and only `http` and
//! `https` become links.

use maud::{Markup, html};

use super::session::random_word;
use crate::{
    domain::{people::Actor, time::Time, timeline::Entry},
    engine::chat::{Button, Card, File, Line, Message, Span, Style, Subject, Tone},
};

/// What drawing needs to know: the time, and the word that the reader's forms carry.
#[derive(Clone, Copy)]
pub(super) struct Pen<'a> {
    pub(super) now: Time,
    pub(super) csrf: &'a str,
    /// The incident that the page is about, for commands that leave it out.
    pub(super) about: Option<crate::domain::ids::IncidentId>,
}

/// A line, each part by what it is.
pub(super) fn line(line: &Line, pen: Pen<'_>) -> Markup {
    html! {
        @for span in &line.0 {
            @match span {
                Span::Text(words) => (words),
                Span::Code(value) => code { (value) },
                Span::Strong(words) => strong { (words) },
                Span::Time(at) => (time(*at, pen.now)),
                Span::Person(person) => span.person { (person) },
                Span::Role(role) => span.person { (role) },
                Span::Incident(id) => a href={ "/incidents/" (id) } { (id) },
                Span::Link { text, url } => (link(text, url)),
            }
        }
    }
}

fn link(text: &str, url: &str) -> Markup {
    let lower = url.trim().to_ascii_lowercase();
    html! {
        @if lower.starts_with("https://") || lower.starts_with("http://") {
            a href=(url.trim()) rel="noreferrer noopener" target="_blank" { (text) }
        } @else {
            (text) " (" (url) ")"
        }
    }
}

/// Words with values between backticks, as refusals and timeline entries have them.
pub(super) fn ticked(words: &str) -> Markup {
    let parts: Vec<&str> = words.split('`').collect();
    let is_paired = parts.len() % 2 == 1;
    html! {
        @if is_paired {
            @for (index, part) in parts.iter().enumerate() {
                @if index % 2 == 0 { (part) } @else { code { (part) } }
            }
        } @else {
            (words)
        }
    }
}

/// A moment: the clock if it is of today, else the date too; the whole of it where somebody points.
pub(super) fn time(at: Time, now: Time) -> Markup {
    let long = at.long();
    let is_today = long.get(..10) == now.long().get(..10);
    html! {
        time datetime=(at) title=(long) { @if is_today { (at.clock()) " UTC" } @else { (long) } }
    }
}

/// A moment in a column of moments, whose heading says that they are in UTC.
fn stamp(at: Time, now: Time) -> String {
    let (at, now) = (at.long(), now.long());
    let (day, clock) = (at.get(..10).unwrap_or_default(), at.get(11..19).unwrap_or_default());
    if now.starts_with(day) { clock.to_owned() } else { format!("{day} {clock}") }
}

/// How long ago, kept current by the page's script; without it the moment alone stands there.
pub(super) fn age(at: Time) -> Markup {
    html! { span.age data-since=(at.millis()) {} }
}

/// A card. One that is about a subject can be linked to, and an incident's leads to its page.
pub(super) fn card(card: &Card, subject: Option<&Subject>, pen: Pen<'_>) -> Markup {
    html! {
        article.card.(tone(card.tone)) id=[subject.map(|subject| format!("card-{subject}"))] {
            header {
                h3 { (line(&untitled(&card.title, subject), pen)) }
                @match subject {
                    Some(Subject::Incident(id)) if pen.about != Some(*id) => a.ref href={ "/incidents/" (id) } { (id) },
                    Some(subject) => span.ref { (subject) },
                    None => {},
                }
            }
            @if !card.facts.is_empty() {
                dl.facts {
                    @for (name, value) in &card.facts { div { dt { (name) } dd { (line(value, pen)) } } }
                }
            }
            @for block in &card.blocks { p { (line(block, pen)) } }
            @for row in &card.controls {
                div.controls { @for button in row { (self::button(button, pen)) } }
            }
        }
    }
}

/// The title without the name that stands beside it.
fn untitled(title: &Line, subject: Option<&Subject>) -> Line {
    let mut title = title.clone();
    if let (Some(Span::Text(words)), Some(subject)) = (title.0.first_mut(), subject)
        && let Some(rest) = words.strip_prefix(&format!("{subject} "))
    {
        *words = rest.trim_start_matches("· ").to_owned();
    }
    title
}

fn button(button: &Button, pen: Pen<'_>) -> Markup {
    let style = match button.style {
        Style::Plain => "plain",
        Style::Main => "main",
        Style::Danger => "danger",
    };
    html! {
        form method="post" action="/console/press" data-act {
            (hidden(pen))
            input type="hidden" name="press" value=(button.press);
            button.(style) type="submit" { (button.label) }
        }
    }
}

/// What every form carries: the session's word, a fresh key, and the incident that the page is about.
pub(super) fn hidden(pen: Pen<'_>) -> Markup {
    html! {
        input type="hidden" name="csrf" value=(pen.csrf);
        input type="hidden" name="key" value=(random_word());
        @if let Some(about) = pen.about { input type="hidden" name="about" value=(about); }
    }
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Calm => "calm",
        Tone::Urgent => "urgent",
        Tone::Active => "active",
        Tone::Good => "good",
    }
}

/// A whole message.
pub(super) fn message(message: &Message, pen: Pen<'_>) -> Markup {
    html! {
        @if !message.notify.is_empty() { p.aside { "for " (line(&message.notify, pen)) } }
        @for words in &message.lines { p { (line(words, pen)) } }
        @if let Some(drawn) = &message.card { (card(drawn, None, pen)) }
        @for file in &message.files { (self::file(file)) }
    }
}

fn file(file: &File) -> Markup {
    html! {
        details.file { summary { (file.name) } pre { (file.text) } }
    }
}

/// An entry of a timeline, with the place that citations lead to.
pub(super) fn entry(entry: &Entry, pen: Pen<'_>) -> Markup {
    let (kind, actor) = match &entry.draft.actor {
        Actor::Person(person) => ("person", person.to_string()),
        Actor::Source(name) => ("source", name.clone()),
        Actor::Run(run) => ("run", run.to_string()),
        Actor::Bot => ("bot", "firewarden".to_owned()),
    };
    let seq = entry.reference.seq;
    // A source's clock is worth a word only where it says something else than the bot's.
    let said = entry.draft.source_at.filter(|said| said.since(entry.at).max(entry.at.since(*said)).as_secs() >= 1);
    html! {
        li.entry.(kind) id={ "e" (seq) } {
            span.at { time datetime=(entry.at) title=(entry.at.long()) { (stamp(entry.at, pen.now)) } }
            div.said {
                p { b { (actor) } " " (ticked(&entry.draft.text)) }
                @if let Some(said) = said { p.aside { "the source says " (time(said, pen.now)) } }
            }
            a.cite href={ "#e" (seq) } title="Citation of this entry" { (entry.reference) }
        }
    }
}
