//! Gathers what a review is drafted from: the incident, its timeline, what was said, and related incidents.

use std::collections::BTreeSet;

use crate::{
    domain::{
        ids::IncidentId,
        incidents,
        reviews::{ActionItem, Facts, Post, Related, Said, markdown, material},
        timeline::{Chain, Entry},
    },
    engine::chat::Message,
    store::{self, Reader, incidents as rows, posts, timeline},
};

/// The most related incidents that are looked into.
const RELATED: usize = 20;
/// The most characters of a message that are repeated.
const WORDS: usize = 160;

/// The record of an incident, if there is such an incident.
pub async fn facts(reader: &mut Reader, id: IncidentId) -> store::Result<Option<Facts>> {
    let Some(incident) = rows::by_id(reader, id).await? else { return Ok(None) };
    let entries = timeline::entries(reader, Chain::Incident(id)).await?;
    let said = posts::of_incident(reader, id).await?.into_iter().map(post).collect();
    let mut seen = BTreeSet::new();
    let named = entries.iter().filter_map(|entry| material::relation(&Said::of(entry)));
    let named: Vec<IncidentId> = named.map(|(id, _)| id).filter(|id| seen.insert(*id)).take(RELATED).collect();
    let mut related = Vec::new();
    for id in named {
        related.extend(relative(reader, id).await?);
    }
    Ok(Some(Facts { incident, entries, posts: said, related }))
}

async fn relative(reader: &mut Reader, id: IncidentId) -> store::Result<Option<Related>> {
    let Some(incident) = rows::by_id(reader, id).await? else { return Ok(None) };
    let entries = timeline::entries(reader, Chain::Incident(id)).await?;
    let said: Vec<(&Entry, Said)> = entries.iter().map(|entry| (entry, Said::of(entry))).collect();
    let Some(from) = material::standing(&said).map(|entry| entry.reference) else { return Ok(None) };
    let items = said.iter().filter_map(|(entry, said)| match said {
        Said::Incident(incidents::Event::Noted { text }) => Some((ActionItem::read(text)?, entry.reference)),
        Said::Incident(_) | Said::Run(_) | Said::Other => None,
    });
    Ok(Some(Related {
        id,
        title: incident.title,
        phase: incident.phase,
        items: items.collect(),
        entries: i64::try_from(entries.len()).unwrap_or(i64::MAX),
        from,
    }))
}

fn post(post: posts::Post) -> Post {
    let message: Message = serde_json::from_value(post.body).unwrap_or_default();
    let first = message.lines.first().or(message.card.as_ref().map(|card| &card.title));
    Post {
        id: post.id,
        channel: post.channel,
        is_page: post.is_page,
        words: markdown::cut(&first.map(crate::engine::chat::Line::plain).unwrap_or_default(), WORDS),
        created_at: post.created_at,
        sent_at: post.sent_at,
    }
}
