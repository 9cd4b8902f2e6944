//! What may be posted, how often, and what of it reaches whom.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use serenity::all::{CreateMessage, CreateThread, Message, Nonce};

use super::{acme, http, incidents, post, send};
use crate::world::discord::{Fault, Route, Span, TOKEN};

/// What is posted twice with one nonce is there once.
#[tokio::test]
async fn a_nonce_makes_one_message() {
    let discord = acme();
    let http = http(&discord);
    let message = || CreateMessage::new().content("paged <@900000000000001004>").enforce_nonce(true);
    let first = incidents(&discord).send_message(&http, message().nonce(Nonce::String("n1".into()))).await.unwrap();
    let again = incidents(&discord).send_message(&http, message().nonce(Nonce::String("n1".into()))).await.unwrap();
    let other = incidents(&discord).send_message(&http, message().nonce(Nonce::String("n2".into()))).await.unwrap();
    assert_eq!(first.id, again.id);
    assert_ne!(first.id, other.id);
    assert_eq!(discord.channel("incidents").messages().len(), 2);
    assert_eq!(discord.effects().len(), 2);
    assert_eq!(discord.channel("incidents").expects("paged").await.pings, ["ben"]);
    assert_eq!(discord.leftovers().unseen.len(), 1);
    discord.conforms().await;
}

/// Nobody is notified whom the message does not allow to be.
#[tokio::test]
async fn mentions_notify_only_whom_they_may() {
    let discord = acme();
    let content = "<@900000000000001003> <@900000000000001004> <@&900000000000001002> @everyone";
    post(&discord, &json!({ "content": content, "allowed_mentions": { "users": ["900000000000001003"] } })).await;
    post(&discord, &json!({ "content": content, "allowed_mentions": { "parse": ["roles"] } })).await;
    let pings: Vec<_> = discord.channel("incidents").messages().into_iter().map(|message| message.pings).collect();
    assert_eq!(pings, [vec!["ana".to_owned()], vec!["on-call".to_owned()]]);
}

/// What is too long is refused whole, in the shape that says where.
#[tokio::test]
async fn over_long_messages_are_refused() {
    let discord = acme();
    let refused = incidents(&discord).say(&http(&discord), "x".repeat(2001)).await;
    assert!(refused.is_err(), "the library refuses it itself");
    let answer = post(&discord, &json!({ "content": "é".repeat(2001) })).await;
    assert_eq!(answer.status, 400);
    let told = json!({ "code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length." });
    let body = json!({ "code": 50035, "message": "Invalid Form Body", "errors": { "content": { "_errors": [told] } } });
    assert_eq!(answer.body, body);
    assert_eq!(post(&discord, &json!({ "content": "é".repeat(2000) })).await.status, 200);

    let field = json!({ "name": "n", "value": "v".repeat(1000) });
    let embeds = json!([{ "title": "t".repeat(257), "fields": vec![field; 6] }, { "description": "d" }]);
    let errors = &post(&discord, &json!({ "embeds": embeds })).await.body["errors"]["embeds"];
    assert_eq!(errors["_errors"][0]["code"], "MAX_EMBED_SIZE_EXCEEDED");
    assert_eq!(errors["0"]["title"]["_errors"][0]["code"], "BASE_TYPE_MAX_LENGTH");

    let button = json!({ "type": 2, "style": 1, "label": "Go", "custom_id": "c".repeat(101) });
    let rows = vec![json!({ "type": 1, "components": [button] }); 6];
    let errors = &post(&discord, &json!({ "content": "x", "components": rows })).await.body["errors"]["components"];
    assert_eq!(errors["_errors"][0]["message"], "Must be 5 or fewer in length.");
    assert_eq!(errors["0"]["components"]["0"]["custom_id"]["_errors"][0]["code"], "BASE_TYPE_BAD_LENGTH");
    assert_eq!(errors["1"]["components"]["0"]["custom_id"]["_errors"][1]["code"], "COMPONENT_CUSTOM_ID_DUPLICATED");

    assert_eq!(post(&discord, &json!({ "content": " " })).await.body["code"], 50006);
    assert_eq!(discord.leftovers().refused.len(), 4);
    discord.channel("incidents").counts(1).await;
}

/// A message with a file, a thread from it, and a person in the thread.
#[tokio::test]
async fn files_and_threads_are_kept() {
    let discord = acme();
    let http = http(&discord);
    // The library writes an attachment's number as a number; Discord's document has a string there.
    let payload = json!({ "content": "the review", "attachments": [{ "id": "0", "description": "the draft" }] });
    let file = reqwest::multipart::Part::bytes("# Review\r\n--\r\n".as_bytes()).file_name("INC-1.md");
    let form = reqwest::multipart::Form::new().text("payload_json", payload.to_string()).part("files[0]", file);
    let path = format!("{}/api/v10/channels/{}/messages", discord.url(), incidents(&discord));
    let request = crate::world::http().post(path).header("authorization", format!("Bot {TOKEN}"));
    let posted: Value = request.multipart(form).send().await.unwrap().json().await.unwrap();
    let posted: Message = serde_json::from_value(posted).unwrap();
    assert_eq!((posted.attachments[0].filename.as_str(), posted.attachments[0].size), ("INC-1.md", 14));
    let thread = incidents(&discord)
        .create_thread_from_message(&http, posted.id, CreateThread::new("INC-1 checkout is slow"))
        .await
        .unwrap();
    assert_eq!(thread.id.get(), posted.id.get());
    http.add_thread_channel_member(thread.id, discord.add_member("cleo", &[]).into()).await.unwrap();
    thread.id.say(&http, "who leads?").await.unwrap();
    let again = incidents(&discord).create_thread_from_message(&http, posted.id, CreateThread::new("again")).await;
    assert!(again.unwrap_err().to_string().contains("already been created"));

    let review = discord.channel("incidents").expects("the review").await;
    assert_eq!(review.file("INC-1.md").as_deref(), Some("# Review\r\n--\r\n"));
    discord.channel("INC-1").expects("who leads?").await;
    assert_eq!(discord.channel("INC-1").members(), ["cleo"]);
    assert!(!discord.channel("INC-1").is_archived() && !discord.channel("INC-2").exists());
    let archived = json!({ "archived": true });
    assert_eq!(send(&discord, "PATCH", &format!("/channels/{}", thread.id), &archived).await.status, 200);
    assert!(discord.channel("INC-1").is_archived());
    discord.conforms().await;
}

/// A limit says how long it lasts, and ends then by the clock of the story.
#[tokio::test]
async fn limits_are_told_and_end() {
    let discord = acme();
    let now = Arc::new(AtomicI64::new(1_772_334_720_000));
    let read = now.clone();
    discord.follows(move || read.load(Ordering::Relaxed));
    for left in (0..5).rev() {
        let answer = post(&discord, &json!({ "content": "storm" })).await;
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
        assert!(answer.header("x-ratelimit-bucket").is_some() && answer.header("x-ratelimit-reset").is_some());
    }
    let limited = post(&discord, &json!({ "content": "storm" })).await;
    assert_eq!((limited.status, limited.body["global"].as_bool()), (429, Some(false)));
    assert!(limited.body["retry_after"].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds <= 5.0));
    now.fetch_add(5_000, Ordering::Relaxed);
    assert_eq!(post(&discord, &json!({ "content": "storm" })).await.status, 200);

    let always = Fault::TooManyRequests { retry_after: Duration::from_millis(1500), global: true };
    discord.script(always, Route::POST, Span::For(Duration::from_mins(20)));
    now.fetch_add(1_199_000, Ordering::Relaxed);
    let limited = post(&discord, &json!({ "content": "storm" })).await;
    assert_eq!((limited.header("retry-after"), limited.header("x-ratelimit-global")), (Some("2"), Some("true")));
    now.fetch_add(2_000, Ordering::Relaxed);
    assert_eq!(post(&discord, &json!({ "content": "storm" })).await.status, 200);
    assert_eq!((discord.effects().len(), discord.limited()), (7, 2));
    discord.conforms().await;
}

/// What the emulator does not know, and what the bot may not do, is told at the end of the story.
#[tokio::test]
async fn strange_calls_are_left_over() {
    let discord = acme();
    assert_eq!(send(&discord, "POST", "/guilds/1/emojis", &json!({})).await.status, 501);
    discord.forbids("incidents", true);
    let body = json!({ "content": "x" });
    assert_eq!(post(&discord, &body).await.body["code"], 50001);
    discord.forbids("incidents", false);
    assert_eq!(post(&discord, &body).await.status, 200);
    discord.channel("incidents").loses("x");
    let gone = format!("/channels/{}/messages/{}", incidents(&discord), 1);
    assert_eq!(send(&discord, "PATCH", &gone, &body).await.body["code"], 10008);
    let left = discord.leftovers().to_string();
    assert!(left.contains("unknown route: POST /guilds/1/emojis") && left.contains("refused with 403"), "{left}");
    assert!(!left.contains("not looked at"), "{left}");
    assert!(discord.transcript().contains("a person deleted a message"));
}
