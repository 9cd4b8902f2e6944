//! Discord end to end: the real bot, people in an emulated guild, and everything that Discord can do to both.
//!
//! A story ends with [`Acme::finish`], which fails on an interaction without an answer, a message that the story never
//! looked at, a request that Discord refused, and an exchange that Discord's API document does not allow.

mod answers;
mod approvals;
mod killed;
mod losses;
mod offers;
mod outage;
mod pages;
mod people;
mod steering;
mod storm;

use std::{ops::Deref, time::Duration};

use firewarden::engine::ports::Clock;

use crate::world::{
    Config, World,
    discord::{Discord, What},
};

/// A company with a guild, and the bot that serves it.
///
/// `ana` and `ben` are known to the configuration, `ben-phone` is another account of ben's; `eve` is known by her role
/// in Discord alone, and `dora` has none.
struct Acme {
    discord: Watched,
    world: World,
}

/// A Discord that tells what happened in it when a story fails.
struct Watched(Discord);

impl Deref for Watched {
    type Target = Discord;

    fn deref(&self) -> &Discord {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- what happened in Discord\n{}", self.0.transcript());
        }
    }
}

impl Acme {
    /// The real program by the real clock. Discord counts no rate limits.
    async fn opens(config: Config) -> Self {
        let (discord, config) = guild(config);
        discord.lifts_rate_limits();
        let acme = Self { discord, world: World::prepare(None, config).await };
        acme.begins().await;
        acme
    }

    /// The bot with a clock that the story turns, at noon of a Monday. Discord follows that clock, limits included.
    async fn opens_at_noon(config: Config) -> Self {
        let (discord, config) = guild(config);
        let world = World::prepare_at_noon(config).await;
        let clock = world.clock().clone();
        discord.follows(move || clock.now().millis());
        let acme = Self { discord, world };
        acme.begins().await;
        acme
    }

    async fn begins(&self) {
        self.world.bot.start().await;
        self.discord.awaits_bot().await;
    }

    /// Lets time pass in small steps until something is true of what the bot did in Discord.
    async fn comes_to(&self, what: &str, within: Duration, is_so: impl Fn(&Discord) -> bool) {
        let deadline = self.world.now() + within;
        while !is_so(&self.discord) {
            assert!(self.world.now() < deadline, "{what}: not within {} s", within.as_secs());
            self.world.clock().step(deadline.since(self.world.now())).await;
        }
        self.world.note(&format!("Discord has {what}"));
    }

    /// How often a text was posted, as a message or as a card.
    fn posted(&self, text: &str) -> usize {
        let effects = self.discord.effects();
        effects.iter().filter(|effect| effect.what == What::Posted && plain(&effect.text).contains(text)).count()
    }

    /// Ends the bot, and the story with it. See the head of this file for what it fails on.
    async fn finish(self) {
        self.finish_but_for(&[]).await;
    }

    /// The same, for a story in which Discord refuses requests with these codes.
    async fn finish_but_for(self, codes: &[u64]) {
        let Self { discord, world } = self;
        world.finish().await;
        discord.conforms().await;
        let mut left = discord.leftovers();
        left.refused.retain(|refused| !codes.iter().any(|code| refused.answer.contains(&format!("\"code\":{code},"))));
        assert!(left.is_empty(), "{left}");
    }
}

/// A guild with a channel, roles and people, and the configuration that knows them.
fn guild(config: Config) -> (Watched, Config) {
    let discord = Discord::start();
    let channel = discord.add_channel("incidents");
    let on_call = discord.add_role("on-call");
    let ana = discord.add_member("ana", &[]);
    let ben = discord.add_member("ben", &[]);
    let phone = discord.add_member("ben-phone", &["on-call"]);
    discord.add_member("eve", &["on-call"]);
    discord.add_member("dora", &[]);
    let text = format!(
        "[discord]\ntoken = {{ file = \"secrets/discord\" }}\napplication = \"{}\"\nguild = \"{}\"\napi_url = \"{}\"\n\n\
         [discord.channels]\nincidents = \"{channel}\"\n\n",
        discord.application(),
        discord.guild(),
        discord.url(),
    );
    let config = config.number("ana", ana).number("ben", ben).number("ben", phone).number("on-call", on_call);
    (Watched(discord), config.with(&text))
}

/// The words of a message as a reader sees them: Discord's escapes are no part of them.
fn plain(text: &str) -> String {
    text.replace('\\', "")
}
