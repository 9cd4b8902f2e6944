//! What people do with commands, buttons, menus and forms, and the time that an answer has.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::json;

use super::{acme, bot, post, send};
use crate::world::discord::{Fault, Route, Span, What};

/// The whole way of a command, a button, a form and a suggestion.
#[tokio::test]
async fn people_and_the_bot_understand_each_other() {
    let discord = acme();
    let _bot = bot(&discord).await;
    let ana = discord.member("ana");

    let shown = ana.runs("/incident declare title:checkout is slow severity:SEV2 lead:ben").answer().await;
    let card = shown.message.clone().unwrap();
    assert_eq!(card.text(), "INC-1 checkout is slow\nPhase: triage\n[Note] [Acknowledge] [Resolve, off]");
    assert!(!shown.is_ephemeral() && !shown.was_deferred);

    let pending = ana.runs("/incident list");
    let listed = pending.answer().await;
    assert_eq!(listed.text(), "No open incidents");
    assert!(listed.is_ephemeral() && listed.was_deferred);
    discord.awaits("a followup", |effects| effects.iter().any(|effect| effect.what == What::FollowedUp)).await;
    assert_eq!(pending.followups().len(), 1);

    let form = ana.clicks("Note").answer().await.modal.unwrap();
    assert_eq!((form.title.as_str(), form.inputs[0].label.as_str()), ("Note", "What happened"));
    let noted = ana.submits_modal(&[("What happened", "the pool is empty")]).answer().await;
    assert_eq!(noted.text(), "Noted: the pool is empty");

    let clicked = discord.member("ben").clicks("Acknowledge").answer().await.message.unwrap();
    assert_eq!(clicked.field("Phase"), Some("investigating"));
    assert_eq!(clicked.history.len(), 1);
    discord.channel("incidents").card("INC-1").shows("investigating").await;

    let offered = ana.autocompletes("/incident show incident:IN").answer().await;
    assert_eq!(offered.choices, ["INC-1 checkout is slow"]);
    assert!(discord.leftovers().is_empty(), "{}", discord.leftovers());
    discord.conforms().await;
}

/// A story that uses a command that is not there fails in the story's own words.
#[tokio::test]
#[should_panic(expected = "no command /page is registered: incident")]
async fn an_unknown_command_fails_the_story() {
    let discord = acme();
    let _bot = bot(&discord).await;
    discord.member("ana").runs("/page ben");
}

/// A button that is shown disabled cannot be clicked.
#[tokio::test]
#[should_panic(expected = "the button [Resolve] is disabled")]
async fn a_disabled_button_fails_the_story() {
    let discord = acme();
    let _bot = bot(&discord).await;
    discord.member("ana").runs("/incident declare title:checkout is slow").answer().await;
    discord.member("ana").clicks("Resolve");
}

/// Menus, links and cards are used as people use them, in whatever channel they are.
#[tokio::test]
async fn what_people_see_they_can_use() {
    let discord = acme();
    discord.lifts_rate_limits();
    discord.script(Fault::ServerError(503), Route::ANSWER, Span::Always);
    let menu = json!({ "type": 3, "custom_id": "1.version.1", "options": [{ "label": "v40", "value": "40" }] });
    let link = json!({ "type": 2, "style": 5, "label": "Dashboard", "url": "https://grafana.example/d/1" });
    let rows = json!([{ "type": 1, "components": [menu] }, { "type": 1, "components": [link] }]);
    let body = json!({ "embeds": [{ "title": "INC-7 checkout" }], "components": rows });
    let posted = post(&discord, &body).await.body;
    assert!(discord.channel("incidents").card("INC-8").present().is_none());
    let card = discord.channel("incidents").card("INC-7").present().unwrap();
    assert_eq!(posted["id"], card.id.to_string().as_str());
    assert_eq!((card.place.as_str(), card.content.as_str(), card.is_deleted), ("incidents", "", false));
    assert_eq!(card.button("Dashboard").unwrap().url.as_deref(), Some("https://grafana.example/d/1"));

    let chosen = discord.member("ben").in_channel("incidents").chooses(&["v40"]);
    let (id, token) = chosen.address();
    let callback = format!("/interactions/{id}/{token}/callback");
    assert_eq!(send(&discord, "POST", &callback, &json!({ "type": 6 })).await.status, 503);
    assert_eq!(discord.leftovers().unanswered, ["ben: [\"v40\"]"]);
    discord.heals();
    assert_eq!(send(&discord, "POST", &callback, &json!({ "type": 6 })).await.status, 204);
    assert!(chosen.answer().await.was_deferred);
    discord.conforms().await;
}

/// An interaction is answered once, within three seconds; what follows has fifteen minutes.
#[tokio::test]
async fn answers_have_their_time() {
    let discord = acme();
    let now = Arc::new(AtomicI64::new(1_772_334_720_000));
    let read = now.clone();
    discord.follows(move || read.load(Ordering::Relaxed));
    let commands = format!("/applications/{}/guilds/{}/commands", discord.application(), discord.guild());
    let list = json!({ "type": 1, "name": "list", "description": "Shows them" });
    let incident = json!([{ "name": "incident", "description": "Incidents", "options": [list] }]);
    assert_eq!(send(&discord, "PUT", &commands, &incident).await.status, 200);
    let pending = discord.member("ana").runs("/incident list");
    assert!(!pending.is_acknowledged());
    let (id, token) = pending.address();
    let callback = format!("/interactions/{id}/{token}/callback");
    let original = format!("/webhooks/{}/{token}/messages/@original", discord.application());

    assert_eq!(send(&discord, "PATCH", &original, &json!({ "content": "early" })).await.body["code"], 10015);
    now.fetch_add(2_999, Ordering::Relaxed);
    assert_eq!(send(&discord, "POST", &callback, &json!({ "type": 8, "data": { "choices": [] } })).await.status, 400);
    assert_eq!(send(&discord, "POST", &callback, &json!({ "type": 5, "data": { "flags": 64 } })).await.status, 204);
    assert_eq!(send(&discord, "POST", &callback, &json!({ "type": 5 })).await.body["code"], 40060);
    assert_eq!(send(&discord, "PATCH", &original, &json!({ "content": "late" })).await.status, 200);
    now.fetch_add(15 * 60_000, Ordering::Relaxed);
    assert_eq!(send(&discord, "PATCH", &original, &json!({ "content": "too late" })).await.body["code"], 50027);
    assert!(pending.is_acknowledged());

    let (id, token) = discord.member("ana").runs("/incident list").address();
    now.fetch_add(3_001, Ordering::Relaxed);
    let callback = format!("/interactions/{id}/{token}/callback");
    assert_eq!(send(&discord, "POST", &callback, &json!({ "type": 5 })).await.body["code"], 10062);
    assert_eq!(discord.leftovers().unanswered, ["ana: /incident list"]);
}
