//! Writes down that rules were edited, and tells people of an edit that was not taken up.

use super::{Edit, Event};
use crate::{
    domain::{
        people::Actor,
        timeline::{Chain, Draft},
    },
    engine::{
        Context,
        chat::{
            Line, Message,
            outbox::{Post, post},
        },
    },
    store::{self, timeline},
};

/// The most problems that a message names.
const SHOWN: usize = 10;

/// Rules were edited: they are in force, or they are not and people are told why.
pub async fn edited(context: &mut Context<'_>, edit: &Edit) -> store::Result<()> {
    let event = if edit.problems.is_empty() {
        Event::RulesAdopted { files: edit.files.clone() }
    } else {
        Event::RulesRefused { files: edit.files.clone(), problems: edit.problems.clone() }
    };
    timeline::append(context.tx, Chain::System, context.now, &Draft::new(Actor::Bot, &event)).await?;
    let Some(message) = message(edit) else { return Ok(()) };
    let channel = context.rules.default_channel.clone();
    post(context, Post { channel, incident: None, message, is_page: false, expires_at: None }).await
}

/// What people are told; nothing if all is as they would expect.
fn message(edit: &Edit) -> Option<Message> {
    if edit.problems.is_empty() {
        if edit.at_restart.is_empty() {
            return None;
        }
        let line = Line::text("The change of ").code(edit.at_restart.join(", ")).and(" is taken up only by a restart");
        return Some(Message::line(line));
    }
    let line = Line::text("The change of ")
        .code(edit.files.join(", "))
        .and(" was not taken up, the rules before it stay in force:");
    let mut message = Message::line(line);
    for problem in edit.problems.iter().take(SHOWN) {
        message = message.and(problem.as_str());
    }
    if edit.problems.len() > SHOWN {
        message = message.and(format!("and {} more", edit.problems.len() - SHOWN));
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Input, Rules, trial::Trial},
        store::posts,
    };

    #[tokio::test]
    async fn an_edit_that_is_not_taken_up_is_told() {
        let rules = Rules { default_channel: "incidents".to_owned(), ..Rules::default() };
        let trial = Trial::new(rules).await;
        let good = Edit { files: vec!["rollback.yaml".to_owned()], ..Edit::default() };
        let bad = Edit { problems: vec!["rollback.yaml:3:1: no step".to_owned()], ..good.clone() };
        for edit in [good, bad] {
            trial.engine.submit(Input::Edited(edit)).await.unwrap();
        }
        let mut reader = trial.engine.read().await.unwrap();
        let entries = timeline::entries(&mut reader, Chain::System).await.unwrap();
        let texts: Vec<&str> = entries.iter().map(|entry| entry.draft.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "took up the change of `rollback.yaml`",
                "did not take up the change of `rollback.yaml`: it has a problem"
            ]
        );
        let posts = posts::newest(&mut reader, 10).await.unwrap();
        assert_eq!(posts.len(), 1);
        assert!(posts[0].body.to_string().contains("rollback.yaml:3:1: no step"), "{}", posts[0].body);
    }
}
