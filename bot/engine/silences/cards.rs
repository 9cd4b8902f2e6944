//! What people are told of silences.

use super::{
    SILENCED,
    acts::{EXPIRED, TIME_IS_OVER, Under},
};
use crate::{
    domain::{
        duration,
        people::Actor,
        silences::{Silence, SilenceState},
        time::Time,
    },
    engine::chat::{Card, Line, Message, Tone},
};

/// It holds from now on.
pub(super) fn started(silence: &Silence, under: &Under) -> Message {
    let line = of(silence, actor(&silence.set_by).and(" silenced ")).and(" until ").time(silence.ends_at);
    Message::line(commented(line, silence)).and(match under.firing {
        0 => Line::text("Nothing that fires matches it"),
        _ => firing(under, " under it"),
    })
}

/// It is about to end while something fires under it.
pub(super) fn ending(silence: &Silence, now: Time, under: &Under) -> Message {
    let left = duration::human(silence.ends_at.since(now));
    let line = of(silence, Line::text("The silence of ")).and(format!(" ends in {left}, at "));
    Message::line(line.time(silence.ends_at))
        .and(firing(under, " under it, and people will be told then"))
        .and("Silence it again with `/silence add` if it is to stay quiet")
}

/// It has ended; with what it left, if it had begun.
pub(super) fn ended(
    silence: &Silence,
    by: &Actor,
    (reason, comment): (&str, Option<&str>),
    left: Option<&Under>,
) -> Message {
    let verb = if left.is_some() { " ended" } else { " took back, before it began," };
    let line = match reason {
        TIME_IS_OVER => of(silence, Line::text("The silence of ")).and(" has ended"),
        EXPIRED => of(silence, actor(by).and(verb).and(" the silence of ")),
        _ => of(silence, actor(by).and(" put another one in the place of the silence of ")),
    };
    let line = match comment {
        Some(comment) => line.and(": ").and(comment),
        None => line,
    };
    let mut message = Message::line(line);
    if let Some(left) = left.filter(|left| left.firing > 0) {
        message = message.and(firing(left, " that it held back, and people are told now"));
    }
    if let Some(left) = left.filter(|left| left.silent > 0) {
        let what =
            format!("{} that it held back fell silent: people are told when it is heard again", count(left.silent));
        message = message.and(what);
    }
    message
}

/// One line of a list.
pub(super) fn summary(silence: &Silence, now: Time) -> Line {
    let line = of(silence, Line::new()).and(format!(" {}, ", silence.state(now)));
    let line = match silence.state(now) {
        SilenceState::Active => line.and("until ").time(silence.ends_at),
        SilenceState::Pending => line.and("from ").time(silence.starts_at).and(" until ").time(silence.ends_at),
        SilenceState::Expired => line.and("since ").time(silence.ends_at),
    };
    commented(line.and(" by ").and(silence.author.clone()), silence)
}

/// How it stands, with what it matches and what it holds back.
pub(super) fn card(silence: &Silence, now: Time, under: &Under, held: &Under) -> Card {
    let state = silence.state(now);
    let tone = if state == SilenceState::Active { Tone::Active } else { Tone::Calm };
    let title = Line::text(format!("{} ", silence.id)).strong(silence.written());
    let mut card = Card::new(tone, title)
        .fact("State", Line::new().code(state.word()))
        .fact("From", Line::new().time(silence.starts_at))
        .fact("Until", Line::new().time(silence.ends_at))
        .fact("For", silence.author.clone())
        .fact("Set by", actor(&silence.set_by).and(", ").time(silence.updated_at));
    if !silence.comment.is_empty() {
        card = card.fact("Comment", silence.comment.clone());
    }
    if state != SilenceState::Expired {
        card = card.fact("Matches", firing(under, ""));
        if held.firing + held.silent > 0 {
            let line = Line::text(format!("{} firing, {} silent · ", held.firing, held.silent));
            card = card.fact("Held back", line.code(SILENCED));
        }
    }
    card.fact("API", Line::new().code(&silence.uuid))
}

fn actor(actor: &Actor) -> Line {
    match actor {
        Actor::Person(person) => Line::new().person(person),
        Actor::Source(_) | Actor::Run(_) | Actor::Bot => Line::text(actor.to_string()),
    }
}

/// The silence by its matchers and its name.
fn of(silence: &Silence, line: Line) -> Line {
    line.code(silence.written()).and(format!(" ({})", silence.id))
}

fn commented(line: Line, silence: &Silence) -> Line {
    if silence.comment.is_empty() { line } else { line.and(": ").and(silence.comment.clone()) }
}

fn count(alerts: u64) -> String {
    if alerts == 1 { "1 alert".to_owned() } else { format!("{alerts} alerts") }
}

/// `2 alerts fire under it: `A`, `B` and more`.
fn firing(under: &Under, how: &str) -> Line {
    let verb = if under.firing == 1 { "fires" } else { "fire" };
    let mut line = Line::text(format!("{} {verb}{how}", count(under.firing)));
    for (place, name) in under.names.iter().enumerate() {
        line = line.and(if place == 0 { ": " } else { ", " }).code(name);
    }
    line
}
