//! The first page: what waits for somebody, what somebody is on, what is over, and what was said.

use std::{str::FromStr, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    draw::{self, Pen},
    page::{self, Place},
};
use crate::{
    adapters::web::{Site, answers::Trouble, caller::Viewer},
    domain::{time::Time, timeline::Chain},
    engine::{
        View,
        chat::{Card, Message, Subject, Tone},
        features,
    },
    store::{self, archives, cards, halts, posts, timeline},
};

/// How many cards are looked at, the newest first.
const CARDS: i64 = 60;
/// How many messages are shown, the newest first.
const POSTS: i64 = 60;
/// How many entries of the system's log are shown.
const ENTRIES: i64 = 300;

/// How long a message may be on its way before the page says so.
const SLOW: Duration = Duration::from_secs(10);

/// A card with what it is about and when it changed last.
pub(super) struct Drawn {
    pub(super) subject: Subject,
    pub(super) card: Card,
    pub(super) changed_at: Time,
}

/// Renders the newest state of these cards; those with nothing to show are left out.
pub(super) async fn render(view: &mut View<'_>, shown: Vec<cards::Shown>) -> store::Result<Vec<Drawn>> {
    let mut drawn = Vec::new();
    for one in shown {
        let Ok(subject) = Subject::from_str(&one.subject) else { continue };
        if let Some(card) = features::card(view, &subject).await? {
            drawn.push(Drawn { subject, card, changed_at: one.changed_at });
        }
    }
    Ok(drawn)
}

/// `GET /`.
pub(in crate::adapters::web) async fn overview(State(site): State<Arc<Site>>, Viewer(session): Viewer) -> Response {
    let pen = Pen { now: site.engine.now(), csrf: &session.csrf, about: None };
    match look(&site, pen).await {
        Ok(live) => page::page("Overview", Place::Overview, &session, pen, &live),
        Err(fault) => page::sorry(&fault.into()).into_response(),
    }
}

async fn look(site: &Site, pen: Pen<'_>) -> store::Result<Markup> {
    let rules = site.engine.rules();
    let mut reader = site.engine.read().await?;
    let halted = halts(&mut reader, pen).await?;
    let said = posts::newest(&mut reader, POSTS).await?;
    let newest = cards::newest(&mut reader, CARDS).await?;
    let drawn = render(&mut View { reader: &mut reader, now: pen.now, rules: &rules }, newest).await?;
    let of = |tone: &[Tone]| drawn.iter().filter(|one| tone.contains(&one.card.tone)).collect::<Vec<_>>();
    let (urgent, active, over) = (of(&[Tone::Urgent]), of(&[Tone::Active]), of(&[Tone::Calm, Tone::Good]));
    Ok(html! {
        (halted)
        div.columns {
            div.cards {
                section aria-labelledby="urgent" {
                    h2 #urgent { "Waits for somebody" @if !urgent.is_empty() { span.count { (urgent.len()) } } }
                    @if urgent.is_empty() { p.nothing { "Nothing waits for anybody." } }
                    @for one in &urgent { (standing(one, pen)) }
                }
                @if !active.is_empty() {
                    section aria-labelledby="active" {
                        h2 #active { "In hand" span.count { (active.len()) } }
                        @for one in &active { (standing(one, pen)) }
                    }
                }
                @if !over.is_empty() {
                    details.over #over open[urgent.is_empty() && active.is_empty()] {
                        summary { h2 { "Quiet" span.count { (over.len()) } } }
                        @for one in &over { (standing(one, pen)) }
                    }
                }
            }
            section.messages aria-labelledby="messages" {
                h2 #messages { "Messages" }
                @if said.is_empty() { p.nothing { "Nothing has been said yet." } }
                ol { @for post in said.iter().rev() { (self::post(post, pen)) } }
            }
        }
    })
}

fn standing(one: &Drawn, pen: Pen<'_>) -> Markup {
    html! {
        div.standing {
            (draw::card(&one.card, Some(&one.subject), pen))
            p.changed { "changed " (draw::time(one.changed_at, pen.now)) " " (draw::age(one.changed_at)) }
        }
    }
}

/// A message as it was said, and whether it has arrived.
pub(super) fn post(post: &posts::Post, pen: Pen<'_>) -> Markup {
    let body: Result<Message, _> = serde_json::from_value(post.body.clone());
    html! {
        li.post.page[post.is_page] {
            p.from {
                (draw::time(post.created_at, pen.now))
                span.channel { "#" (post.channel) }
                @if let Some(incident) = post.incident.filter(|incident| pen.about != Some(*incident)) {
                    a href={ "/incidents/" (incident) } { (incident) }
                }
                @if post.is_page { span.chip.urgent { "page" } }
                @if post.sent_at.is_none() && pen.now.since(post.created_at) > SLOW { span.chip { "not delivered yet" } }
            }
            @match &body {
                Ok(message) => (draw::message(message, pen)),
                Err(_) => p.nothing { "This message cannot be shown." },
            }
        }
    }
}

/// The halts that stand, above everything else.
pub(super) async fn halts(reader: &mut store::Reader, pen: Pen<'_>) -> store::Result<Markup> {
    let standing = halts::standing(reader).await?;
    Ok(html! {
        @for halt in &standing {
            p.halt role="status" {
                strong { @if halt.scope == halts::EVERYTHING { "Everything is halted" } @else { "Halted: " (halt.scope) } }
                span { (halt.reason) }
                span.by { (halt.actor) ", " (draw::time(halt.at, pen.now)) }
            }
        }
    })
}

/// `GET /log`: what belongs to no incident.
pub(in crate::adapters::web) async fn log(
    State(site): State<Arc<Site>>,
    Viewer(session): Viewer,
) -> Result<Response, Response> {
    let pen = Pen { now: site.engine.now(), csrf: &session.csrf, about: None };
    let look = async {
        let mut reader = site.engine.read().await?;
        let halted = halts(&mut reader, pen).await?;
        let entries = timeline::newest(&mut reader, Chain::System, ENTRIES).await?;
        Ok::<_, store::Fault>((halted, entries, archives::last(&mut reader, Chain::System).await?))
    };
    let (halted, entries, archived) = look.await.map_err(|fault| page::sorry(&Trouble::from(fault)))?;
    let live = html! {
        (halted)
        section.narrow aria-labelledby="log" {
            h1 #log { "Log" }
            p.lead { "What belongs to no incident, in UTC, the newest first." }
            @if entries.is_empty() { p.nothing { "Nothing has happened yet." } }
            ol.timeline { @for entry in entries.iter().rev() { (draw::entry(entry, pen)) } }
            @if let Some(archived) = &archived {
                p.aside {
                    "What was up to " (archived.name) " is archived, the newest of it in " code { (archived.file) } ": "
                    code { "firewarden archive show " (archived.name) } " reads it, on the bot's machine."
                }
            }
        }
    };
    Ok(page::page("Log", Place::Log, &session, pen, &live))
}
