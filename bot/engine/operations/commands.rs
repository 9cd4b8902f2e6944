//! `/bot health`, `/bot outbox` and `/help`: all read from a snapshot, so they answer while nothing can be written.

use futures::future::BoxFuture;

use super::emergency::UNDELIVERED;
use crate::{
    domain::{duration, people::Capability},
    engine::{
        Refusal, Stop, View,
        chat::{Call, Card, Command, Does, Kind, Line, Message, Opt, Reply, Tone, console},
        features,
    },
    store::{cards, halts, last_beat, posts},
};

/// How many messages `/bot outbox` shows.
const SHOWN: i64 = 10;

/// The commands of the feature.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        path: &["bot", "health"],
        help: "Show how the bot itself is",
        options: &[],
        needs: Capability::View,
        does: Does::Reads(health),
    },
    Command {
        path: &["bot", "outbox"],
        help: "Show which messages wait to be delivered",
        options: &[],
        needs: Capability::View,
        does: Does::Reads(outbox),
    },
    Command {
        path: &["help"],
        help: "Show what can be asked of the bot",
        options: &[Opt::optional("command", "One command, such as `incident declare`", Kind::Text { max: 100 })],
        needs: Capability::View,
        does: Does::Reads(help),
    },
];

fn health<'a>(view: &'a mut View<'_>, _: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let waiting = posts::waiting(view.reader).await?;
        let page_since = [waiting.page_since, cards::page_since(view.reader).await?].into_iter().flatten().min();
        let halts = halts::standing(view.reader).await?;
        let beat = last_beat(view.reader).await?;
        let age = |since| format!("{} ago", duration::human(view.now.since(since)));
        let is_late = page_since.is_some_and(|since| view.now.since(since) >= UNDELIVERED);
        let (tone, title) = match (is_late, halts.is_empty()) {
            (true, _) => (Tone::Urgent, "A page does not get through to the chat"),
            (false, false) => (Tone::Active, "Halted: nothing is changed"),
            (false, true) => (Tone::Good, "The bot is well"),
        };
        let mut card = Card::new(tone, title)
            .fact("Version", env!("CARGO_PKG_VERSION"))
            .fact("Last written", beat.map_or_else(|| "unknown".to_owned(), age))
            .fact("Messages waiting", waiting.count.to_string());
        if let Some(since) = waiting.since {
            card = card.fact("Oldest waiting since", Line::new().time(since));
        }
        if let Some(since) = page_since {
            card = card.fact("Oldest page waiting since", Line::new().time(since));
        }
        for halt in halts {
            let scope = if halt.scope == halts::EVERYTHING { "everything".to_owned() } else { halt.scope };
            let line = Line::new().code(scope).and(format!(" by {}, ", halt.actor)).time(halt.at);
            card = card.fact("Halted", line.and(": ").and(halt.reason));
        }
        Ok(Reply::private(Message::card(card)))
    })
}

fn outbox<'a>(view: &'a mut View<'_>, _: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let waiting = posts::waiting(view.reader).await?;
        let mut changed = Vec::new();
        for is_page in [true, false] {
            changed.extend(cards::next(view.reader, is_page, SHOWN).await?);
        }
        let refused = posts::in_trouble(view.reader, SHOWN).await?;
        let in_trouble = cards::in_trouble(view.reader, SHOWN).await?;
        if waiting.count == 0 && changed.is_empty() && refused.is_empty() && in_trouble.is_empty() {
            return Ok(Reply::private(Message::line("Nothing waits to be delivered")));
        }
        let mut message = Message::line(format!("Messages that wait: {}", waiting.count));
        for post in posts::oldest_waiting(view.reader, SHOWN).await? {
            let kind = if post.is_page { "page" } else { "message" };
            let line = Line::text(format!("{kind} {} to ", post.id)).code(post.channel).and(", since ");
            message = message.and(line.time(post.created_at));
        }
        for card in changed {
            let line = Line::text("card of ").code(card.subject).and(" in ").code(card.channel).and(", since ");
            message = message.and(line.time(card.changed_at));
        }
        for post in refused {
            let kind = if post.is_page { "page" } else { "message" };
            let line = Line::text(format!("{kind} {} to ", post.id)).code(post.channel).and(" was not taken: ");
            message = message.and(line.code(post.trouble.unwrap_or_else(|| "unknown".to_owned())));
        }
        for (card, trouble) in in_trouble {
            let line = Line::text("card of ").code(card.subject).and(" in ").code(card.channel);
            message = message.and(line.and(" was not taken as it is: ").code(trouble));
        }
        Ok(Reply::private(message))
    })
}

fn help<'a>(_: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let Some(asked) = call.args.text("command") else {
            let mut message = Message::line("Ask with `/help command:…` for one of them");
            for command in features::commands() {
                message = message.and(Line::new().code(console::usage(command)).and(format!("  {}", command.help)));
            }
            return Ok(Reply::private(message));
        };
        let asked = asked.trim_start_matches('/').to_lowercase();
        let mut found =
            features::commands().filter(|command| command.path.join(" ").starts_with(asked.trim())).peekable();
        if found.peek().is_none() {
            return Err(Refusal::new(format!("There is no command `/{asked}`"))
                .hint("`/help` lists all of them")
                .into());
        }
        let mut message = Message::default();
        for command in found {
            let line = Line::new().code(console::usage(command));
            message = message.and(line.and(format!("  {}; needs `{}`", command.help, command.needs)));
            for option in command.options {
                let is = if option.is_required { "" } else { " (may be left out)" };
                message = message.and(Line::text("    ").code(option.name).and(format!("  {}{is}", option.help)));
            }
        }
        Ok(Reply::private(message))
    })
}
