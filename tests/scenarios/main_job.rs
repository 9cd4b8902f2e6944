//! The main job with the real neighbors: what Prometheus sees and Alertmanager posts is dealt with to its end.

use firewarden::domain::{
    duration::human,
    incidents::{Incident, Milestone},
    timeline::Entry,
};

use crate::world::{Config, World, config, left_out, prometheus};

/// Nobody has to trust an imitation: the service really breaks, and real monitoring says that it is well again.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_release_is_rolled_back_on_the_word_of_real_monitoring() {
    let missing = prometheus::missing();
    if !missing.is_empty() {
        left_out("the main job with the real monitoring", &format!("`{}`", missing.join("`, `")));
        return;
    }
    let world = World::start_with(Config::default().quiet("3s").edit("every: 5s", "every: 1s")).await;
    let webhook = format!("{}/webhooks/alertmanager", world.url());
    let service = world.service.address();
    let _monitoring = prometheus::Monitoring::start(world.folder(), service, &webhook, config::SOURCE_TOKEN).await;

    world.service.checkout.release("v43", true);
    world.sees("/incident list", "INC-1").await;
    world.sees("/runbook show name:RUN-1", "waiting for people").await;
    assert_eq!(world.service.checkout.live(), "v43", "nothing is touched before people agree");

    world.does("ana", "/incident ack INC-1").await;
    let (is_taken, said) = world.program("ben", &["say", "/runbook answer question:APR-1 answer:approve"]).await;
    assert!(is_taken, "{said}");
    world.sees("/runbook show name:RUN-1", "State     done").await;
    assert_eq!(world.service.checkout.live(), "v42");
    assert_eq!(world.service.checkout.effects().len(), 1);
    world.sees("/incident show incident:INC-1", "`resolved` since").await;

    let (is_written, review) = world.program("ana", &["review", "INC-1"]).await;
    assert!(is_written, "{review}");
    let world = world.finish().await;
    is_right(&review, &world.incident(1).await);
    let timeline = world.timeline(1).await;
    in_order(&timeline, &["fires", "approved", "began `roll back`", "finished `errors are gone`", "to `resolved`"]);
}

/// The review names what was wrong, who agreed to what, and the times, each as the record has it.
fn is_right(review: &str, incident: &Incident) {
    let milestones = &incident.milestones;
    for part in [
        "`CheckoutErrorRate` fires",
        "RUN-1: `rollback-service`",
        "ben: approved RUN-1 (APR-1) (`good.version` = `v42`, `live.version` = `v43`)",
        "`roll back` of RUN-1 made a change: ",
        "- Taken first: ",
        "RUN-1 of runbook `rollback-service` on `checkout/production` ended as `done`",
    ] {
        assert!(review.contains(part), "the review says `{part}`:\n{review}");
    }
    // A row is found by how it begins, so that a time that stands elsewhere does not count.
    let row = |begins: String| {
        let row = review.lines().find(|line| line.starts_with(&begins));
        row.unwrap_or_else(|| panic!("the review has a row `{begins}`:\n{review}"))
    };
    for milestone in Milestone::ALL {
        let mark = milestones.mark(milestone).unwrap_or_else(|| panic!("`{}` is known", milestone.word()));
        let row = row(format!("| {} |", milestone.word()));
        for part in [mark.value.long(), format!("`{}`", mark.set_by), format!("[{}]", mark.from)] {
            assert!(row.contains(&part), "`{part}` in {row}");
        }
    }
    assert_eq!(milestones.mark(Milestone::Acknowledged).unwrap().set_by.to_string(), "ana");
    assert_eq!(
        milestones.mark(Milestone::Mitigated).unwrap().set_by.to_string(),
        "RUN-1",
        "the verification that held"
    );
    for (name, until, since) in [
        ("TTD", Milestone::Detected, Milestone::Started),
        ("TTA", Milestone::Acknowledged, Milestone::Detected),
        ("TTM", Milestone::Mitigated, Milestone::Started),
        ("TTR", Milestone::Resolved, Milestone::Started),
    ] {
        let row = row(format!("| {name} = {} − {} |", until.word(), since.word()));
        let [until, since] = [until, since].map(|milestone| milestones.at(milestone).unwrap());
        let (times, length) = (format!("| {} − {} |", until.clock(), since.clock()), human(until.since(since)));
        assert!(row.contains(&times) && row.contains(&format!("{length} |")), "`{times}` `{length}` in {row}");
    }
}

/// Each of these words stands in an entry after the one before.
fn in_order(timeline: &[Entry], words: &[&str]) {
    let mut entries = timeline.iter();
    for word in words {
        let all = || timeline.iter().map(|entry| entry.draft.text.clone()).collect::<Vec<_>>().join("\n");
        assert!(
            entries.any(|entry| entry.draft.text.to_lowercase().contains(word)),
            "`{word}` comes in its order:\n{}",
            all()
        );
    }
}
