//! The first decision over a store that was restored from a copy: everything is held before anything is at work.
//!
//! What was done since the copy was made is not known here. So nothing goes on by itself, and nothing is changed until a
//! person lifts the halt. What waited to be said is not sent, pages neither: most of it was said before, and what it asks
//! people to do may be the wrong thing by now. A page says how much that is, and each held run pages anew.

use super::Event;
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
        runs,
    },
    store::{
        self, restores,
        restores::{Restored, Unsaid},
        timeline,
    },
};

/// Why a message of before is not sent.
const UNSAID: &str = "the store was restored from a copy: whether it was sent is not known";

/// Holds everything if the store is a copy that nobody has dealt with yet.
pub(in crate::engine) async fn begin(context: &mut Context<'_>) -> store::Result<()> {
    let Some(restored) = restores::unseen(context.tx).await? else { return Ok(()) };
    let now = context.now;
    let unsaid = restores::fall_silent(context.tx, UNSAID, now).await?;
    let from = match restored.made_at {
        Some(at) => format!("a backup of {}", at.long()),
        None => "a copy".to_owned(),
    };
    let held = runs::decide::restored(context, &from).await?;
    let reason = format!("restored from {from}: what was done since is not known");
    runs::decide::halt(context, None, &reason, &Actor::Bot).await?;
    let (count, in_doubt) = (held.runs.len(), held.in_doubt.len());
    let event = Event::StoreRestored {
        from: restored.from.clone(),
        made_at: restored.made_at,
        by: restored.by.clone(),
        held: held.runs,
        in_doubt: held.in_doubt,
        unsaid: unsaid.messages,
    };
    timeline::append(context.tx, Chain::System, now, Draft::new(Actor::Bot, &event)).await?;
    let message = message(&restored, (count, in_doubt), unsaid);
    let channel = context.rules.default_channel.clone();
    post(context, Post { channel, incident: None, message, is_page: true, expires_at: None }).await?;
    restores::seen(context.tx).await
}

fn message(restored: &Restored, (held, in_doubt): (usize, usize), unsaid: Unsaid) -> Message {
    let from = Line::text("The store was restored from ").code(&restored.from);
    let made = match restored.made_at {
        Some(at) => from.and(", as it was at ").time(at),
        None => from,
    };
    Message::line(made.and(", by ").code(&restored.by))
        .and("Nothing is changed until a person lifts the halt: what was done since is not known here")
        .and(format!("Runs that are held: {held}, of which in doubt: {in_doubt}"))
        .and(format!("Messages of before that are not sent: {}, of which pages: {}", unsaid.messages, unsaid.pages))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{people::Capability, time::Time},
        engine::{Input, Rules, trial::Trial},
        store::{Decision, Tx, cards, halts, posts, restores::Adopt},
    };

    /// A page and a card that wait, and a store that is a copy.
    struct Before;

    impl Decision for Before {
        type Answer = String;

        async fn decide(&self, tx: &mut Tx) -> store::Result<String> {
            let body = serde_json::json!({});
            let page = posts::NewPost { channel: "a", is_page: true, incident: None, body: &body, expires_at: None };
            posts::add(tx, &page, Time::EPOCH).await?;
            cards::want(tx, "INC-1", "a", (None, true), Time::EPOCH).await?;
            let restored =
                Restored { made_at: None, from: "a copy".to_owned(), by: "root".to_owned(), at: Time::EPOCH };
            Adopt(restored).decide(tx).await
        }
    }

    /// A page of before the copy was made would wake somebody for what is long over.
    #[tokio::test]
    async fn what_waited_to_be_said_is_not_sent_and_a_halt_stands() {
        let mut rules = Rules { default_channel: "incidents".to_owned(), ..Rules::default() };
        rules.people.everyone = Some(Capability::Administer);
        let trial = Trial::new(rules).await;
        let identity = trial.engine.store().decide(Before).await.unwrap();
        for _ in 0..2 {
            trial.engine.submit(Input::Opened).await.unwrap();
            let mut reader = trial.engine.read().await.unwrap();
            let waiting = posts::oldest_waiting(&mut reader, 10).await.unwrap();
            let told: Vec<String> = waiting.iter().map(|post| post.body.to_string()).collect();
            assert_eq!(told.len(), 1, "once, and nothing of before: {told:?}");
            assert!(told[0].contains("Messages of before that are not sent: 1, of which pages: 1"), "{told:?}");
            assert_eq!(cards::next(&mut reader, true, 10).await.unwrap(), []);
            assert_ne!(store::runs::instance(&mut reader).await.unwrap(), identity);
            let halts = halts::standing(&mut reader).await.unwrap();
            assert_eq!(halts.iter().map(|halt| halt.scope.as_str()).collect::<Vec<_>>(), [halts::EVERYTHING]);
        }
        trial.says("ana", "/halt lift:\"looked at everything\"").await.unwrap();
        trial.engine.submit(Input::Opened).await.unwrap();
        let mut reader = trial.engine.read().await.unwrap();
        assert_eq!(halts::standing(&mut reader).await.unwrap(), [], "a later start does not halt again");
        let entries = timeline::entries(&mut reader, Chain::System).await.unwrap();
        let restored: Vec<&str> = entries
            .iter()
            .filter(|entry| entry.draft.kind == "store_restored")
            .map(|entry| entry.draft.text.as_str())
            .collect();
        assert_eq!(restored, ["went on from `a copy`, restored by `root`: 0 held, 0 in doubt, 1 messages not sent"]);
    }
}
