//! No record, however hostile its texts, breaks a draft or gets markup into it.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    incidents::{Event, Grouping, Mark, Member, Milestone, Milestones},
    people::{Actor, PersonId},
    runs::{self, Pass, StepKey},
    severity::Severity,
    time::Time,
    timeline::{Draft, Entry, chained},
};

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "(?s).{0,60}",
        "[\\[\\]()<>`|*_#\\\\“” \n.A-Z0-9-]{0,40}",
        Just("](http://x) <script>alert(1)</script> | `a` ``` \n## Lessons\n- Ana's fault. It was her.".to_owned()),
        Just("[INC-7#999] [POST-4] unknown. Blamed. “”".to_owned()),
    ]
}

fn draft_entry() -> impl Strategy<Value = Draft> {
    let actor = prop_oneof![
        hostile().prop_map(|name| Actor::Person(PersonId(name))),
        hostile().prop_map(Actor::Source),
        Just(Actor::Bot),
        Just(Actor::Run(crate::domain::ids::RunId(1))),
    ];
    (actor, hostile(), hostile(), 0..10_u8, 1..3_i64).prop_map(|(actor, one, other, kind, number)| {
        let run = crate::domain::ids::RunId(number);
        let step = StepKey::new("1", Pass::Do, 1);
        let alert = Member {
            key: crate::domain::ids::AlertKey(one.clone()),
            name: one.clone(),
            labels: other.clone(),
            episode: 1,
            source: one.clone(),
        };
        match kind {
            0 => Draft::new(actor, &Event::Noted { text: format!("action: {one} owner:{other}") }),
            1 => Draft::new(
                actor,
                &Event::AlertFired {
                    alert,
                    severity: Severity::Sev1,
                    grouping: Grouping::NewGroup,
                    is_again: true,
                    starts_at: None,
                },
            ),
            2 => Draft::new(
                actor,
                &Event::IncidentOpened {
                    title: one,
                    severity: Severity::Sev2,
                    service: Some(other.clone()),
                    environment: None,
                    route: other,
                    reason: String::new(),
                    started: None,
                },
            ),
            3 => Draft::new(
                actor,
                &runs::Event::StepDone {
                    run,
                    step,
                    name: one.clone(),
                    changes: true,
                    output: serde_json::json!({ "version": other, one: { "deep": [1, null] } }),
                    took_ms: 1,
                },
            ),
            4 => Draft::new(
                actor,
                &runs::Event::StepFailed { run, step, name: one, changes: false, error: other, will_retry_at: None },
            ),
            5 => Draft::new(
                actor,
                &runs::Event::ApprovalAsked {
                    run,
                    approval: crate::domain::ids::ApprovalId(1),
                    question: one.clone(),
                    by: vec![other.clone()],
                    count: 1,
                    bound: [(one, serde_json::json!(other))].into(),
                    expires_at: Time::EPOCH,
                },
            ),
            6 => Draft::new(actor, &runs::Event::ApprovalRejected { run, approval: crate::domain::ids::ApprovalId(1) }),
            7 => Draft::new(
                actor,
                &runs::Event::RunTriggered {
                    run,
                    runbook: one.clone(),
                    plan_hash: other.clone(),
                    target: one,
                    mode: crate::domain::runbooks::plan::Mode::Auto,
                    by_alert: Some(other),
                },
            ),
            8 => Draft::new(actor, &Event::MergedFrom { from: crate::domain::ids::IncidentId(99), alerts: 2 }),
            _ => Draft {
                actor,
                source_at: Some(Time::from_millis(-number)),
                kind: one.clone(),
                body: serde_json::json!({ "kind": one }).to_string(),
                text: other,
            },
        }
    })
}

prop_compose! {
    fn facts()(
        title in hostile(),
        drafts in proptest::collection::vec((draft_entry(), -60_000..3_600_000_i64), 0..25),
        marks in proptest::collection::vec((0..6_usize, 0..40_i64, any::<i64>()), 0..6),
        truncated in 0..3_u64,
    ) -> Facts {
        let mut facts = sample::release();
        facts.posts[0].words = title.clone();
        facts.related[0].title = title.clone();
        facts.incident.title = title;
        facts.incident.truncated = truncated;
        let mut now = Time::EPOCH;
        let mut entries: Vec<Entry> = Vec::new();
        for (index, (draft, pause)) in drafts.into_iter().enumerate() {
            now = Time::from_millis(now.millis() + pause);
            let seq = i64::try_from(index + 1).unwrap();
            let reference = crate::domain::timeline::EntryRef { chain: facts.chain(), seq };
            let hash = chained("", reference, now, &draft);
            entries.push(Entry { reference, at: now, draft, hash });
        }
        facts.entries = entries;
        let mut milestones = Milestones::default();
        for (index, seq, value) in marks {
            let from = crate::domain::timeline::EntryRef { chain: facts.chain(), seq };
            milestones.set(Milestone::ALL[index], Mark::new(Time::from_millis(value), Actor::Bot, now, from));
            if value % 3 == 0 {
                milestones.void(Milestone::ALL[index], from);
            }
        }
        facts.incident.milestones = milestones;
        facts
    }
}

#[test]
fn an_entry_without_words_is_told_by_whoever_made_it() {
    let mut facts = sample::release();
    let actor = Actor::Person(PersonId("](http://x)\n## Lessons\n- Ana's fault. It was her.".to_owned()));
    let entry = facts.entries.last_mut().unwrap();
    entry.draft = Draft { actor, source_at: None, kind: "odd".to_owned(), body: "{}".to_owned(), text: String::new() };
    let review = draft(&facts, &Templates::default());
    assert!(review.is_ok(), "{:?}", review.err());
}

#[test]
fn an_entry_that_says_a_part_of_its_citation_is_let_through() {
    for (name, text) in [("", "#"), ("", "1"), ("", "INC"), ("Ana's fault. It was her.", "1"), ("Blamed", "clock")] {
        let mut facts = sample::release();
        let entry = facts.entries.last_mut().unwrap();
        let actor = Actor::Person(PersonId(name.to_owned()));
        entry.draft =
            Draft { actor, source_at: None, kind: "odd".to_owned(), body: "{}".to_owned(), text: text.to_owned() };
        let review = draft(&facts, &Templates::default());
        assert!(review.is_ok(), "{text}: {:?}", review.err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_record_makes_a_review_that_the_lint_lets_through(facts in facts()) {
        let review = draft(&facts, &Templates::default());
        prop_assert!(review.is_ok(), "{:?}\n{}", review.err(), Templates::default().render(&Document::of(&facts)).unwrap());
        let review = review.unwrap();
        for line in review.markdown.lines() {
            let bare = lint::without_values(line);
            prop_assert!(!bare.contains(['<', '`']) && !bare.contains("]("), "{}", line);
        }
        prop_assert_eq!(review.markdown.lines().filter(|line| line.starts_with("## ")).count(), 17);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_text_breaks_the_lint_or_a_template(text in "(?s).{0,200}|[{}#/a-z. \n|>-]{0,80}") {
        lint(&text, &sample::release());
        drop(Templates::with(&[("header.hbs".into(), text)]));
    }
}
