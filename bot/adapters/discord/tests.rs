//! Whatever arrives as an interaction is read and answered, or left alone: no panic, and no end that does not come.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};
use serenity::model::application::Interaction;

use super::{Discord, Settings, interactions};
use crate::{
    domain::people::Capability,
    engine::{Rules, features, trial::Trial},
};

/// How long one interaction may take: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(20);

/// An interaction of this kind as the gateway brings it.
fn interaction(kind: u8, data: &Value) -> Value {
    let user = json!({ "id": "7", "username": "ana", "discriminator": "0", "avatar": null, "global_name": null });
    let member = json!({
        "user": user, "roles": ["5"], "joined_at": "2026-01-01T00:00:00Z", "deaf": false, "mute": false, "flags": 0,
        "permissions": "0",
    });
    let message = json!({
        "id": "11", "channel_id": "3", "author": user, "content": "", "timestamp": "2026-01-01T00:00:00Z",
        "edited_timestamp": null, "tts": false, "mention_everyone": false, "mentions": [], "mention_roles": [],
        "attachments": [], "embeds": [], "pinned": false, "type": 0,
    });
    json!({
        "id": "9", "application_id": "1", "type": kind, "data": data, "token": "token", "version": 1, "guild_id": "2",
        "channel_id": "3", "member": member, "message": message, "locale": "en-US", "guild_locale": "en-US",
        "attachment_size_limit": 0, "entitlements": [], "authorizing_integration_owners": {}, "context": 0, "app_permissions": "0",
    })
}

fn word() -> impl Strategy<Value = String> {
    let known: Vec<String> = features::commands()
        .flat_map(|command| command.path.iter().copied().chain(command.options.iter().map(|option| option.name)))
        .map(str::to_owned)
        .collect();
    prop_oneof![4 => prop::sample::select(known), 1 => ".{0,40}"]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "INC-[0-9]{1,20}",
        "(RUN|APR)-[0-9]{1,3}",
        "SEV[0-9]",
        "-?[0-9]{1,20}[smhd]?",
        ".{0,200}",
        "[\u{0}-\u{10ffff}]{0,20}"
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

/// Options, and options of options, of every kind that there is and of some that are none.
fn options() -> impl Strategy<Value = Value> {
    let leaf = (word(), 0..13_u8, value(), any::<bool>()).prop_map(
        |(name, kind, value, focused)| json!([{ "name": name, "type": kind, "value": value, "focused": focused }]),
    );
    leaf.prop_recursive(4, 24, 4, |inner| {
        (word(), 1..3_u8, prop::collection::vec(inner, 0..4)).prop_map(|(name, kind, inner)| {
            let inner: Vec<Value> =
                inner.into_iter().flat_map(|one| one.as_array().cloned().unwrap_or_default()).collect();
            json!([{ "name": name, "type": kind, "options": inner }])
        })
    })
}

/// A command that there is, with options that it has and whatever somebody gives for them.
fn known_command() -> impl Strategy<Value = Value> {
    let all: Vec<_> = features::commands().collect();
    let given = prop::collection::vec((any::<prop::sample::Index>(), text()), 0..4);
    (prop::sample::select(all), given).prop_map(|(command, given)| {
        let mut options: Vec<Value> = Vec::new();
        for (which, text) in given.into_iter().filter(|_| !command.options.is_empty()) {
            let option = which.get(command.options);
            options.push(json!({ "name": option.name, "type": 3, "value": text }));
        }
        let options = match command.path {
            [_, word] => json!([{ "name": word, "type": 1, "options": options }]),
            _ => json!(options),
        };
        json!({ "id": "4", "name": command.path[0], "type": 1, "options": options })
    })
}

fn custom_id() -> impl Strategy<Value = String> {
    let words = ["ack", "note", "run", "approve", "choose", "undo", "runbooks", "cancel", "draft", "why"];
    let known = (prop::sample::select(words.to_vec()), prop::collection::vec(text(), 0..4))
        .prop_map(|(word, values)| format!("1.{word}.{}", values.join(".")));
    prop_oneof![3 => known, 1 => ".{0,120}"]
}

fn any_interaction() -> impl Strategy<Value = Value> {
    let command = (word(), options())
        .prop_map(|(name, options)| json!({ "id": "4", "name": name, "type": 1, "options": options }));
    let command = prop_oneof![command, known_command()];
    let commands = (prop_oneof![Just(2_u8), Just(4)], command).prop_map(|(kind, data)| interaction(kind, &data));
    let press = custom_id().prop_map(|id| interaction(3, &json!({ "custom_id": id, "component_type": 2 })));
    let typed = prop::collection::vec((word(), text()), 0..4);
    let modal = (custom_id(), typed).prop_map(|(id, typed)| {
        let rows = typed
            .iter()
            .map(|(name, text)| json!({ "type": 1, "components": [{ "type": 4, "custom_id": name, "value": text }] }));
        interaction(5, &json!({ "custom_id": id, "components": rows.collect::<Vec<_>>() }))
    });
    prop_oneof![3 => commands, 1 => press, 1 => modal]
}

/// Takes hundreds of strange interactions the whole way, with a Discord that takes no answer.
#[test]
fn no_interaction_breaks_the_reader() {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (trial, discord) = runtime.block_on(async {
        let mut rules = Rules { default_channel: "incidents".to_owned(), ..Rules::default() };
        rules.people.everyone = Some(Capability::Administer);
        let trial = Trial::new(rules).await;
        trial.says("ana", "/incident declare title:one").await.unwrap();
        let settings = Settings {
            token: "token".into(),
            application: 1,
            guild: 2,
            // Nobody listens there.
            api_url: Some("http://127.0.0.1:1".to_owned()),
            channels: BTreeMap::new(),
        };
        let discord = Discord::new(settings, &trial.engine).unwrap();
        (trial, discord)
    });
    let read = std::cell::Cell::new(0_u32);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
    let outcome = runner.run(&any_interaction(), |json| {
        // What is no interaction of Discord's goes no further than its reader.
        let Ok(interaction) = serde_json::from_value::<Interaction>(json) else { return Ok(()) };
        read.set(read.get() + 1);
        let answer = interactions::answer(Arc::clone(&discord), interaction);
        let answered = runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await });
        prop_assert!(answered.is_ok(), "it does not come to an end");
        Ok(())
    });
    outcome.unwrap();
    assert!(read.get() > 200, "only {} of them were read", read.get());
    drop(trial);
}
