//! Connections that drop, sessions that end, answers that are lost.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{acme, bot, http, incidents};
use crate::world::discord::{Fault, Instant, Route, Span};

/// What happens while the connection is gone arrives when it is back.
#[tokio::test]
async fn a_resumed_session_replays_what_was_missed() {
    let discord = acme();
    discord.heartbeats_every(Duration::from_millis(100));
    let _bot = bot(&discord).await;
    discord.awaits_heartbeats(2).await;
    discord.drops_gateway();
    let dropped = discord.member("ana").runs("/incident list");
    assert_eq!(dropped.answer().await.text(), "No open incidents");
    discord.awaits_sessions(1, 1).await;
    discord.reconnect_op7();
    discord.awaits_sessions(1, 2).await;
    discord.closes_gateway(4000);
    let closed = discord.member("ana").runs("/incident list");
    assert_eq!(closed.answer().await.text(), "No open incidents");
    discord.awaits_sessions(1, 3).await;
    discord.acknowledges_heartbeats(false);
    discord.awaits_sessions(2, 3).await;
}

/// After op 9 nothing can be resumed: the bot identifies again.
#[tokio::test]
async fn an_invalid_session_is_begun_again() {
    let discord = acme();
    let _bot = bot(&discord).await;
    discord.invalid_session();
    discord.awaits_sessions(2, 0).await;
    let asked = discord.member("ana").runs("/incident list");
    assert_eq!(asked.answer().await.text(), "No open incidents");
}

/// While Discord is down nothing connects; afterwards the bot is back by itself.
#[tokio::test]
async fn an_outage_ends() {
    let discord = acme();
    let _bot = bot(&discord).await;
    discord.down();
    let refused = crate::world::http().get(discord.url()).send().await.unwrap_err();
    assert!(refused.is_connect(), "{refused}");
    discord.up();
    discord.awaits_bot().await;
    let asked = discord.member("ana").runs("/incident list");
    assert_eq!(asked.answer().await.text(), "No open incidents");
}

/// A call whose answer is lost was applied; one that is reset or hangs was not.
#[tokio::test]
async fn faults_strike_before_or_after_the_effect() {
    let discord = acme();
    let http = http(&discord);
    discord.script(Fault::Reset, Route::POST, Span::Times(1));
    assert!(incidents(&discord).say(&http, "reset").await.is_err());
    discord.script(Fault::ServerError(502), Route::POST, Span::Times(1));
    assert!(incidents(&discord).say(&http, "refused").await.is_err());
    discord.script(Fault::LostAnswer, Route::POST, Span::Always);
    assert!(incidents(&discord).say(&http, "applied").await.is_err());
    discord.heals();
    discord.script(Fault::Hang, Route::ANY, Span::Times(1));
    let hung = tokio::time::timeout(Duration::from_millis(50), incidents(&discord).say(&http, "hung")).await;
    assert!(hung.is_err());
    discord.heals();
    discord.channel("incidents").expects("applied").await;
    assert_eq!(discord.channel("incidents").messages().len(), 1);

    for (when, applied) in [(Instant::BeforeApplying, 2), (Instant::AfterApplying, 4)] {
        let (tell, told) = oneshot::channel();
        discord.at_call(Route::POST, 2, when, move || tell.send(()).unwrap());
        incidents(&discord).say(&http, "first").await.unwrap();
        assert!(discord.awaits_hook());
        tokio::select! {
            answered = incidents(&discord).say(&http, "second") => panic!("the call was answered: {answered:?}"),
            told = told => told.unwrap(),
        }
        assert!(!discord.awaits_hook());
        assert_eq!(discord.effects().len(), applied);
    }
    discord.conforms().await;
}
