//! Everything breaks at once, and Discord with it.

use std::time::Duration;

use super::Acme;
use crate::world::{
    Config, alert,
    discord::{Discord, Fault, Route, Span, What},
};

const SERVICES: [&str; 12] =
    ["cart", "search", "payment", "stock", "login", "mail", "prices", "images", "reviews", "orders", "shipping", "ads"];
const SECOND: Duration = Duration::from_secs(1);
const ROUTE: &str = r#"[[routes]]
name = "platform"
match = ['alertname="HighLatency"']
service = { label = "service" }
environment = { label = "env" }
severity = { label = "severity", map = { page = "SEV2" }, default = "SEV3" }

"#;

/// Thousands of alerts in a minute are a dozen incidents; each has one card, and in the end it is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_is_a_card_for_each_incident_however_long_discord_refuses() {
    let acme = Acme::opens_at_noon(Config::default().with(ROUTE)).await;
    let limit = Fault::TooManyRequests { retry_after: Duration::from_secs(90), global: false };
    acme.discord.script(limit, Route::ANY, Span::For(Duration::from_mins(20)));
    let mut number = 0;
    for _ in 0..60 {
        let alerts: Vec<_> = (0..50)
            .map(|_| {
                number += 1;
                let service = SERVICES[number % SERVICES.len()];
                alert("HighLatency").service(service).label("instance", &format!("host-{number}"))
            })
            .collect();
        let alertmanager = acme.world.alertmanager();
        let body = alertmanager.body("firing", &alerts.iter().collect::<Vec<_>>());
        assert_eq!(alertmanager.posts(&body).await, Some(202));
        acme.world.clock().leap(SECOND, SECOND).await;
    }
    acme.world.clock().leap(Duration::from_mins(18), Duration::from_mins(1)).await;
    assert_eq!(acme.discord.effects().len(), 1, "Discord took nothing but the commands so far");
    let are_there = |discord: &Discord| {
        let effects = discord.effects();
        effects.iter().filter(|effect| effect.what == What::OpenedThread).count() == SERVICES.len()
    };
    acme.comes_to("a thread for each incident", Duration::from_mins(20), are_there).await;

    let cards = acme.discord.channel("incidents").reads();
    assert_eq!(cards.len(), SERVICES.len(), "each incident has one card");
    for card in &cards {
        let alerts = card.field("Alerts").unwrap_or_default();
        assert!(alerts.contains("250"), "the card is final: {}", card.text());
    }
    acme.finish().await;
}
