//! The main job with the real neighbors: what Prometheus sees and Alertmanager posts is dealt with to its end.

use firewarden::domain::timeline::Entry;

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

    let (is_taken, said) = world.program("ben", &["say", "/runbook answer question:APR-1 answer:approve"]).await;
    assert!(is_taken, "{said}");
    world.sees("/runbook show name:RUN-1", "State     done").await;
    assert_eq!(world.service.checkout.live(), "v42");
    assert_eq!(world.service.checkout.effects().len(), 1);
    world.sees("/incident show incident:INC-1", "`resolved` since").await;

    let (is_written, review) = world.program("ana", &["review", "INC-1"]).await;
    assert!(is_written, "{review}");
    for part in ["CheckoutErrorRate", "v43", "v42", "rollback-service", "ben", "resolved − started"] {
        assert!(review.contains(part), "the review says `{part}`:\n{review}");
    }
    let bot = world.bot.clone();
    bot.stop().await.unwrap_or_else(|| panic!("the bot does not end"));
    let timeline = world.timeline(1).await;
    in_order(&timeline, &["fires", "approved", "began `roll back`", "finished `errors are gone`", "to `resolved`"]);
    world.errors_were_announced();
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
