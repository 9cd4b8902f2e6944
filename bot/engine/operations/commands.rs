//! `/bot health`, `/bot outbox` and `/help`: all read from a snapshot, so they answer while nothing can be written.

use futures::future::BoxFuture;

use super::{HALT_FILE, emergency::UNDELIVERED};
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
        let unwritten = view.rules.signs.unwritten();
        let warnings = view.rules.signs.warnings();
        let is_halted = !halts.is_empty() || warnings.iter().any(|(part, _)| *part == HALT_FILE);
        let (tone, title) = if unwritten.is_some() {
            (Tone::Urgent, "Nothing can be written")
        } else if is_late {
            (Tone::Urgent, "A page does not get through to the chat")
        } else if is_halted {
            (Tone::Active, "Halted: nothing is changed")
        } else if warnings.is_empty() {
            (Tone::Good, "The bot is well")
        } else {
            (Tone::Active, "A part of the bot is not well")
        };
        let mut card = Card::new(tone, title)
            .fact("Version", env!("CARGO_PKG_VERSION"))
            .fact("Last written", beat.map_or_else(|| "unknown".to_owned(), age))
            .fact("Messages waiting", waiting.count.to_string());
        if let Some((length, why)) = unwritten {
            card = card.fact("Not written", format!("for {}: {why}", duration::human(length)));
        }
        for (part, what) in warnings {
            card = card.fact(part, what);
        }
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use crate::engine::{Rules, operations::HALT_FILE, rules::People, trial::Trial};

    #[tokio::test]
    async fn the_bot_says_that_it_is_well_only_when_it_is() {
        let everyone = Some(crate::domain::people::Capability::View);
        let trial = Trial::new(Rules { people: People { everyone, ..People::default() }, ..Rules::default() }).await;
        let signs = trial.engine.signs().clone();
        let health = async || {
            let reply = trial.says("ana", "/bot health").await.unwrap();
            serde_json::to_value(&reply).unwrap().to_string()
        };
        assert!(health().await.contains("The bot is well"));

        signs.watch("discord", Arc::new(|| Err("its gateway is not connected".to_owned())));
        let told = health().await;
        assert!(told.contains("A part of the bot is not well") && told.contains("its gateway is not"), "{told}");
        signs.watch(HALT_FILE, Arc::new(|| Err("`a.halt` is there".to_owned())));
        let told = health().await;
        assert!(told.contains("Halted: nothing is changed") && told.contains("a.halt"), "{told}");
        trial.engine.adopt(Rules { people: trial.engine.rules().people.clone(), ..Rules::default() });
        signs.write_ended(Err("no space is left".to_owned()));
        let told = health().await;
        assert!(told.contains("Nothing can be written") && told.contains("no space is left"), "{told}");
        signs.write_ended(Ok(()));
        signs.age(Duration::from_secs(31));
        assert!(health().await.contains("Nothing can be written"));
    }
}
