//! The page of one incident: its card, the runs and questions that belong to it, what was said, and its timeline.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, html};

use super::{
    draw::{self, Pen},
    overview::{self, Drawn, halts, render},
    page::{self, Place},
};
use crate::{
    adapters::web::{Site, answers::Trouble, caller::Viewer},
    domain::{
        duration,
        ids::IncidentId,
        timeline::{Chain, Entry},
    },
    engine::{View, chat::Subject, features},
    store::{self, archives, cards, posts, timeline},
};

/// A silence in the timeline that is worth a mark.
const GAP: Duration = Duration::from_mins(5);
/// How many entries are shown unless all are asked for, and how many messages.
const NEWEST: i64 = 200;

/// `GET /incidents/INC-1`.
pub(in crate::adapters::web) async fn show(
    State(site): State<Arc<Site>>,
    Viewer(session): Viewer,
    Path(name): Path<String>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<Response, Response> {
    let missing = || {
        page::sorry(
            &Trouble::new(StatusCode::NOT_FOUND, format!("There is no incident `{name}`"))
                .hint("`/incident list` shows those that are open"),
        )
    };
    let id: IncidentId = name.parse().map_err(|_| missing())?;
    let pen = Pen { now: site.engine.now(), csrf: &session.csrf, about: Some(id) };
    let most = if asked.contains_key("all") { i64::MAX } else { NEWEST };
    let live = look(&site, id, most, pen).await.map_err(|fault| page::sorry(&fault.into()))?;
    let Some(live) = live else {
        let archived = archived(&site, id).await.map_err(|fault| page::sorry(&fault.into()))?;
        return Err(archived.unwrap_or_else(missing));
    };
    Ok(page::page(&id.to_string(), Place::Elsewhere, &session, pen, &live))
}

/// Where an incident is that left for a file.
async fn archived(site: &Site, id: IncidentId) -> store::Result<Option<Response>> {
    let found = archives::of(&mut site.engine.read().await?, id).await?;
    Ok(found.map(|archived| {
        let what = format!("`{id}` ({}) is archived in `{}`", archived.title, archived.file);
        let hint = format!("`firewarden archive show {id}` reads it, on the bot's machine");
        page::sorry(&Trouble::new(StatusCode::NOT_FOUND, what).hint(hint))
    }))
}

async fn look(site: &Site, id: IncidentId, most: i64, pen: Pen<'_>) -> store::Result<Option<Markup>> {
    let rules = site.engine.rules();
    let mut reader = site.engine.read().await?;
    let halted = halts(&mut reader, pen).await?;
    let entries = timeline::newest(&mut reader, Chain::Incident(id), most).await?;
    let count = entries.last().map_or(0, |entry| entry.reference.seq);
    let is_cut = entries.first().is_some_and(|entry| entry.reference.seq > 1);
    let said = posts::of_incident(&mut reader, id).await?;
    let shown = cards::of_incident(&mut reader, id).await?;
    let mut view = View { reader: &mut reader, now: pen.now, rules: &rules };
    let own = features::card(&mut view, &Subject::Incident(id)).await?;
    if own.is_none() && entries.is_empty() {
        return Ok(None);
    }
    let mut others = render(&mut view, shown).await?;
    others.retain(|one| one.subject != Subject::Incident(id));
    others.sort_by_key(|one| std::cmp::Reverse(one.changed_at));
    Ok(Some(html! {
        (halted)
        h1.sr { (id) }
        div.columns {
            div.cards {
                @if let Some(card) = &own { (draw::card(card, Some(&Subject::Incident(id)), pen)) }
                p.aside { a href={ "/incidents/" (id) "/review" } { "The review as the log has it" } }
                (runs(&others, pen))
                @if !said.is_empty() {
                    section.messages aria-labelledby="messages" {
                        h2 #messages { "Messages" }
                        ol { @for post in said.iter().rev().take(usize::try_from(most).unwrap_or(usize::MAX)) { (overview::post(post, pen)) } }
                    }
                }
            }
            section aria-labelledby="timeline" {
                h2 #timeline { "Timeline, UTC" span.count { (count) } }
                @if is_cut {
                    p.aside { "The newest " (entries.len()) " of them. " a href={ "/incidents/" (id) "?all=1" } { "Show all" } }
                }
                (chain(&entries, pen))
            }
        }
    }))
}

fn runs(others: &[Drawn], pen: Pen<'_>) -> Markup {
    html! {
        @if !others.is_empty() {
            section aria-labelledby="runs" {
                h2 #runs { "Runs and questions" }
                @for one in others { (draw::card(&one.card, Some(&one.subject), pen)) }
            }
        }
    }
}

/// The entries in their order, with a mark where a while went by in between.
fn chain(entries: &[Entry], pen: Pen<'_>) -> Markup {
    let before = std::iter::once(None).chain(entries.iter().map(Some));
    html! {
        ol.timeline {
            @for (previous, entry) in before.zip(entries) {
                @let gap = previous.map(|previous| entry.at.since(previous.at)).filter(|gap| *gap >= GAP);
                @if let Some(gap) = gap { li.gap { (duration::human(gap)) } }
                (draw::entry(entry, pen))
            }
        }
    }
}
