//! Reviews over a real file: drafted when asked and when an incident ends.

use std::time::Duration;

use crate::{
    domain::{ids::IncidentId, people::Capability, reviews},
    engine::{Input, Rules, chat::Message, trial::Trial},
    store::{posts, timers},
};

async fn trial() -> Trial {
    let mut rules = Rules { default_channel: "ops".to_owned(), ..Rules::default() };
    rules.people.everyone = Some(Capability::Respond);
    Trial::new(rules).await
}

async fn said(trial: &Trial) -> Vec<Message> {
    let posts = posts::of_incident(&mut trial.engine.read().await.unwrap(), IncidentId(1)).await.unwrap();
    posts.into_iter().map(|post| serde_json::from_value(post.body).unwrap()).collect()
}

#[tokio::test]
async fn a_draft_is_posted_with_its_file_and_shown_in_private() {
    let trial = trial().await;
    trial.says("ana", "/incident declare title:\"Errors | <b>\" service:checkout").await.unwrap();
    trial.clock.pass(Duration::from_mins(1));
    trial.says("bo", "/incident note incident:INC-1 text:\"looking at it\"").await.unwrap();
    let first = trial.says("bo", "/postmortem show incident:INC-1").await.unwrap();
    assert!(first.is_private);
    let review = &first.message.files[0];
    assert_eq!(review.name, "INC-1-review.md");
    assert!(review.text.starts_with("# Review of INC-1: Errors \\| \\<b\\>\n"), "{}", review.text);
    assert!(review.text.contains("bo: noted: looking at it [INC-1#"), "{}", review.text);

    trial.says("bo", "/postmortem draft incident:INC-1").await.unwrap();
    let said = said(&trial).await;
    let post = said.last().unwrap();
    assert_eq!(post.files[0].text, review.text, "the draft is of the record before it");
    assert!(post.card.as_ref().unwrap().title.plain().contains("Review of INC-1"));
    let second = trial.says("bo", "/postmortem show incident:INC-1").await.unwrap();
    assert!(second.message.files[0].text.contains("bo: drafted the review from `"));
}

#[tokio::test]
async fn an_unknown_incident_has_no_review() {
    let trial = trial().await;
    for line in ["/postmortem show incident:INC-9", "/postmortem draft incident:INC-9"] {
        let refusal = trial.says("ana", line).await.unwrap_err().to_string();
        assert_eq!(refusal, "There is no incident `INC-9`\nhint: `/incident list` shows those that are open");
    }
}

#[tokio::test]
async fn the_review_is_drafted_when_the_incident_ends_and_once() {
    let trial = trial().await;
    trial.says("ana", "/incident declare title:Errors").await.unwrap();
    trial.says("ana", "/incident resolve incident:INC-1").await.unwrap();
    let now = trial.engine.now();
    for _ in 0..2 {
        let due = timers::due(&mut trial.engine.read().await.unwrap(), now, 10).await.unwrap();
        for due in due {
            trial.engine.submit(Input::Due(due)).await.unwrap();
        }
    }
    let drafts = said(&trial).await.into_iter().filter(|message| !message.files.is_empty()).count();
    assert_eq!(drafts, 1);
    let facts = super::record::facts(&mut trial.engine.read().await.unwrap(), IncidentId(1)).await.unwrap().unwrap();
    let last = facts.entries.last().unwrap();
    assert!(matches!(last.event(), Some(reviews::Event::ReviewDrafted { .. })), "{last:?}");
}
