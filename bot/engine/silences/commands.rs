//! `/silence`: what people can ask of silences.

use futures::future::BoxFuture;

use super::{acts, cards};
use crate::{
    domain::{
        ids::SilenceId,
        people::{Actor, Capability},
        silences::{Silence, SilenceState, Wanted, reading},
    },
    engine::{
        Context, Refusal, Stop, View,
        chat::{Call, Command, Does, Kind, Lookup, Message, Opt, Reply},
    },
    store::{self, silences},
};

/// How many silences a list shows, and a completion looks at.
const LISTED: i64 = 20;
const COMPLETED: i64 = 200;
/// How long a silence that is over is listed.
const SINCE: std::time::Duration = std::time::Duration::from_hours(48);

const SILENCE: Opt = Opt::required("silence", "Which one, such as SIL-2", Kind::Name(Lookup::Silence));

/// The commands of the feature.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        path: &["silence", "add"],
        help: "Hold alerts back for a while: nobody is told of them, and no runbook starts",
        options: &[
            Opt::required(
                "matchers",
                "Which, such as: alertname=\"DiskFull\", env=\"staging\"",
                Kind::Text { max: 2000 },
            ),
            Opt::required("for", "For how long, such as 2h", Kind::Duration),
            Opt::required("comment", "Why, for those who wonder", Kind::Text { max: 500 }),
            Opt::optional("starts", "From when on, such as 2026-11-23T22:00:00Z; now, if nothing is said", Kind::Time),
        ],
        needs: Capability::Respond,
        does: Does::Acts(add),
    },
    Command {
        path: &["silence", "list"],
        help: "List the silences that hold, or will",
        options: &[Opt::optional(
            "over",
            "Whether those that ended in the last two days are shown too",
            Kind::Choice(&["yes", "no"]),
        )],
        needs: Capability::View,
        does: Does::Reads(list),
    },
    Command {
        path: &["silence", "show"],
        help: "Show a silence, and what it matches and holds back",
        options: &[SILENCE],
        needs: Capability::View,
        does: Does::Reads(show),
    },
    Command {
        path: &["silence", "expire"],
        help: "End a silence: people are told of what fires under it",
        options: &[SILENCE, Opt::optional("reason", "Why, for the log", Kind::Text { max: 500 })],
        needs: Capability::Respond,
        does: Does::Acts(expire),
    },
];

fn add<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let hint = "write them as `alertname=\"DiskFull\", env=~\"prod.*\"`";
        let matchers = reading::matchers(call.args.required("matchers")?)
            .map_err(|what| Refusal::new(format!("Cannot silence: {what}")).hint(hint))?;
        let starts_at = call.args.time("starts").unwrap_or(context.now);
        let length = call.args.duration("for").ok_or_else(|| Refusal::new("The option `for` is missing"))?;
        let wanted = Wanted {
            matchers,
            starts_at,
            ends_at: starts_at + length,
            author: call.caller.id.to_string(),
            comment: call.args.required("comment")?.to_owned(),
            annotations: std::collections::BTreeMap::new(),
        };
        let actor = Actor::Person(call.caller.id.clone());
        let silence = acts::set(context, &actor, None, &wanted).await?;
        // The channel is told by itself.
        Ok(Reply::private(Message::line(cards::summary(&silence, context.now))))
    })
}

fn expire<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let id = named(call)?;
        let silence = silences::by_id(context.tx, id).await?.ok_or_else(|| unknown(id))?;
        if silence.state(context.now) == SilenceState::Expired {
            return Err(Refusal::new(format!("Cannot end {id}: it has ended already")).into());
        }
        let actor = Actor::Person(call.caller.id.clone());
        acts::end(context, silence, &actor, (acts::EXPIRED, call.args.text("reason"))).await?;
        Ok(Reply::private(Message::line(format!("{id} holds nothing back any more"))))
    })
}

fn list<'a>(view: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let with_over = call.args.text("over") == Some("yes");
        let since = if with_over { view.now - SINCE } else { view.now };
        let found = silences::ending_after(view.reader, since, i64::MAX).await?;
        if found.is_empty() {
            return Ok(Reply::private(Message::line("Nothing is silenced")));
        }
        let mut message = Message::default();
        let most = usize::try_from(LISTED).unwrap_or(usize::MAX);
        for silence in found.iter().take(most) {
            message = message.and(cards::summary(silence, view.now));
        }
        if found.len() > most {
            message = message.and(format!("These {most} of {} end first", found.len()));
        }
        Ok(Reply::private(message))
    })
}

fn show<'a>(view: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let id = named(call)?;
        let silence = silences::by_id(view.reader, id).await?.ok_or_else(|| unknown(id))?;
        let under = acts::under(view.reader, &silence).await?;
        let held = acts::held_by(view.reader, &silence).await?;
        Ok(Reply::private(Message::card(cards::card(&silence, view.now, &under, &held))))
    })
}

/// Silences that are not over, each with what it is about.
pub(super) fn names<'a>(view: &'a mut View<'_>, typed: &'a str) -> BoxFuture<'a, store::Result<Vec<(String, String)>>> {
    Box::pin(async move {
        let typed = typed.trim().to_lowercase();
        let found = silences::ending_after(view.reader, view.now, COMPLETED).await?;
        let described = found.into_iter().map(|silence: Silence| {
            let about = format!("{} by {}: {}", silence.written(), silence.author, silence.comment);
            (silence.id.to_string(), about)
        });
        Ok(described.filter(|(id, about)| format!("{id} {about}").to_lowercase().contains(&typed)).collect())
    })
}

fn named(call: &Call) -> Result<SilenceId, Refusal> {
    call.args.parsed("silence")?.ok_or_else(|| Refusal::new("The option `silence` is missing"))
}

fn unknown(id: SilenceId) -> Refusal {
    Refusal::new(format!("There is no silence `{id}`")).hint("`/silence list` shows those that hold")
}
