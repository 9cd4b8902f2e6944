//! How a decision says something: by a row in its own transaction, delivered after the commit.

use super::{Message, Subject};
use crate::{
    domain::{ids::IncidentId, time::Time},
    engine::Context,
    store::{self, cards, posts},
};

/// A message that a decision wants said, once.
#[derive(Debug, Clone)]
pub struct Post {
    /// The channel's name in the configuration.
    pub channel: String,
    /// The incident in whose thread it belongs; without one it stands in the channel.
    pub incident: Option<IncidentId>,
    /// What is said.
    pub message: Message,
    /// Whether it goes ahead of everything else and goes out another way if the chat does not take it.
    pub is_page: bool,
    /// Not to be sent after this.
    pub expires_at: Option<Time>,
}

/// Says something once.
pub async fn post(context: &mut Context<'_>, post: Post) -> store::Result<()> {
    let body = serde_json::to_value(&post.message)?;
    let new = posts::NewPost {
        channel: &post.channel,
        is_page: post.is_page,
        incident: post.incident,
        body: &body,
        expires_at: post.expires_at,
    };
    posts::add(context.tx, &new, context.now).await?;
    Ok(())
}

/// Where a card stands when it is shown first.
#[derive(Debug, Clone)]
pub struct Stand {
    /// The channel's name in the configuration.
    pub channel: String,
    /// The incident in whose thread it belongs, or whose own card it is.
    pub incident: Option<IncidentId>,
    /// Whether it goes ahead of everything else.
    pub is_page: bool,
}

/// Shows the newest state of the subject's card, soon.
pub async fn show(context: &mut Context<'_>, subject: Subject, stand: &Stand) -> store::Result<()> {
    cards::want(context.tx, &subject.to_string(), &stand.channel, (stand.incident, stand.is_page), context.now).await
}
