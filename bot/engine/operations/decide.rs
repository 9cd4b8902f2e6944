//! Writes down which rules came into force and which did not, and tells people of those that did not.

use super::{Edit, Event, Flaw};
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

/// Files with rules were read: those in order are in force, and people are told of the others and why.
pub async fn edited(context: &mut Context<'_>, edit: &Edit) -> store::Result<()> {
    let mut events = Vec::new();
    if !edit.adopted.is_empty() {
        events.push(Event::RulesAdopted { files: edit.adopted.clone() });
    }
    if !edit.refused.is_empty() {
        let (files, problems) = parts(&edit.refused);
        events.push(if edit.is_start {
            Event::RulesLeftOut { files, problems }
        } else {
            Event::RulesRefused { files, problems }
        });
    }
    if !edit.flawed.is_empty() {
        let (files, problems) = parts(&edit.flawed);
        events.push(Event::RulesFlawed { files, problems });
    }
    for event in events {
        timeline::append(context.tx, Chain::System, context.now, Draft::new(Actor::Bot, &event)).await?;
    }
    let Some(message) = message(edit) else { return Ok(()) };
    let channel = context.rules.default_channel.clone();
    post(context, Post { channel, incident: None, message, is_page: false, expires_at: None }).await
}

fn parts(flaws: &[Flaw]) -> (Vec<String>, Vec<String>) {
    let files = flaws.iter().map(|flaw| flaw.file.clone()).collect();
    (files, flaws.iter().flat_map(|flaw| flaw.problems.clone()).collect())
}

/// What people are told; nothing if all is as they would expect.
fn message(edit: &Edit) -> Option<Message> {
    let mut lines = Vec::new();
    if !edit.refused.is_empty() {
        let (files, problems) = parts(&edit.refused);
        let files = files.join(", ");
        lines.push(if edit.is_start {
            Line::text("The bot has started without ").code(files).and(":")
        } else {
            Line::text("The change of ").code(files).and(" was not taken up, what was there before it stays in force:")
        });
        lines.extend(shown(&problems));
        if !edit.adopted.is_empty() {
            lines.push(Line::text("The change of ").code(edit.adopted.join(", ")).and(" was taken up"));
        }
    }
    if !edit.flawed.is_empty() {
        let (files, problems) = parts(&edit.flawed);
        lines.push(Line::new().code(files.join(", ")).and(" is in force, but something in it is not as it should be:"));
        lines.extend(shown(&problems));
    }
    if !edit.at_restart.is_empty() {
        let sections = edit.at_restart.join(", ");
        lines.push(Line::text("The change of ").code(sections).and(" is taken up only by a restart"));
    }
    let mut lines = lines.into_iter();
    let first = Message::line(lines.next()?);
    Some(lines.fold(first, Message::and))
}

fn shown(problems: &[String]) -> Vec<Line> {
    let mut lines: Vec<Line> = problems.iter().take(SHOWN).map(|problem| Line::from(problem.as_str())).collect();
    if problems.len() > SHOWN {
        lines.push(Line::from(format!("and {} more", problems.len() - SHOWN).as_str()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Input, Rules, trial::Trial},
        store::posts,
    };

    fn flaw(file: &str, problems: &[&str]) -> Flaw {
        Flaw { file: file.to_owned(), problems: problems.iter().map(|&problem| problem.to_owned()).collect() }
    }

    #[tokio::test]
    async fn what_is_taken_up_and_what_is_not_are_told_apart() {
        let rules = Rules { default_channel: "incidents".to_owned(), ..Rules::default() };
        let trial = Trial::new(rules).await;
        let bad = vec![flaw("bad.yaml", &["bad.yaml:3:1: no step"])];
        let good = Edit { adopted: vec!["good.yaml".to_owned()], ..Edit::default() };
        let start = Edit { is_start: true, refused: bad.clone(), ..Edit::default() };
        let both = Edit { refused: bad, flawed: vec![flaw("a.toml", &["x", "y"])], ..good.clone() };
        for edit in [start, good, both] {
            trial.engine.submit(Input::Edited(edit)).await.unwrap();
        }
        let mut reader = trial.engine.read().await.unwrap();
        let entries = timeline::entries(&mut reader, Chain::System).await.unwrap();
        let texts: Vec<&str> = entries.iter().map(|entry| entry.draft.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "started without `bad.yaml`: it has a problem",
                "took up the change of `good.yaml`",
                "took up the change of `good.yaml`",
                "did not take up the change of `bad.yaml`: it has a problem",
                "found 2 problems in `a.toml`",
            ]
        );
        let posts = posts::newest(&mut reader, 10).await.unwrap();
        let told: Vec<String> = posts.iter().filter(|post| !post.is_page).map(|post| post.body.to_string()).collect();
        assert_eq!(told.len(), 2, "a good edit is as people expect: {told:?}");
        let start = told.iter().find(|told| told.contains("started without")).unwrap();
        assert!(start.contains("bad.yaml:3:1: no step") && !start.contains("before"), "{start}");
    }
}
