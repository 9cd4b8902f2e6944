//! Drafts a review into the log and the incident's thread.

use futures::future::BoxFuture;

use super::{cards, record, review};
use crate::{
    domain::{
        ids::IncidentId,
        incidents::Incident,
        people::Actor,
        reviews::{Event, Review},
        timeline::{Chain, Draft, EntryRef},
    },
    engine::{
        Context, Stop,
        chat::{
            Line, Message,
            outbox::{self, Post},
        },
    },
    store::{self, Fault, incidents, timeline, timers},
};

/// Drafts the review, tells the timeline, and shows its summary with the whole of it in the incident's thread.
pub async fn draft(context: &mut Context<'_>, id: IncidentId, actor: Actor) -> Result<Review, Stop> {
    let review = review(&mut context.view(), id).await?;
    let newest = timeline::head(context.tx, Chain::Incident(id)).await?;
    let newest = newest.map(|(seq, hash)| (EntryRef { chain: Chain::Incident(id), seq }, hash));
    let event = Event::drafted(review.document.header.entries, newest);
    context.tell(id, Draft::new(actor, &event)).await?;
    if let Some(incident) = incidents::by_id(context.tx, id).await? {
        say(context, &incident, cards::summary(id, &review)).await?;
    }
    Ok(review)
}

/// Drafts the review of an incident that has ended, unless it is open again or was drafted since.
pub(super) fn incident_ended<'a>(
    context: &'a mut Context<'_>,
    due: &'a timers::Due,
) -> BoxFuture<'a, store::Result<()>> {
    Box::pin(async move {
        let id: IncidentId = due.subject.parse().map_err(|error| Fault::defect(format!("{error}")))?;
        let Some(facts) = record::facts(context.tx, id).await? else { return Ok(()) };
        let is_drafted = facts.entries.iter().any(|entry| {
            entry.at >= facts.incident.phase_since && matches!(entry.event(), Some(Event::ReviewDrafted { .. }))
        });
        if facts.incident.phase.is_open() || is_drafted {
            return Ok(());
        }
        match Stop::sort(draft(context, id, Actor::Bot).await)? {
            Ok(_) => Ok(()),
            Err(refusal) => {
                let line = Line::text(refusal.what);
                let message = refusal
                    .hint
                    .map_or(Message::line(line.clone()), |hint| Message::line(line).and(format!("hint: {hint}")));
                say(context, &facts.incident, message).await
            }
        }
    })
}

async fn say(context: &mut Context<'_>, incident: &Incident, message: Message) -> store::Result<()> {
    let post = Post {
        channel: incident.channel.clone(),
        incident: Some(incident.id),
        message,
        is_page: false,
        expires_at: None,
    };
    outbox::post(context, post).await
}
