//! Discord on one port of this machine: stateful, with its real limits, and faulty when a story wants it.
//!
//! It answers the HTTP API, the gateway and the people in one guild named `acme`. A story sets up channels, roles and
//! members, points the bot at [`Discord::url`], and then speaks as those people. What the emulator does not know it
//! refuses with 501 and reports in [`Discord::leftovers`].

mod buckets;
mod channel;
mod clock;
mod commands;
mod faults;
mod gateway;
mod limits;
mod multipart;
mod openapi;
mod people;
mod rest;
mod server;
mod shapes;
mod state;
mod transcript;
mod view;

use std::{
    fmt,
    net::TcpListener,
    sync::{Arc, mpsc},
};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

pub(crate) use self::{
    channel::Channel,
    clock::Millis,
    faults::{Fault, Instant, Route, Span},
    people::Person,
    state::{Effect, Snowflake, What},
    transcript::Refused,
};
use self::{
    clock::Clock,
    faults::{Hook, Script},
    gateway::Push,
    server::{Order, Shared},
    state::{Member, Role, State},
    view::Shown,
};

/// The bot's token; every other is refused.
pub(crate) const TOKEN: &str = "emulated.discord.token";

/// A running Discord; it ends when this is dropped.
pub(crate) struct Discord {
    shared: Arc<Shared>,
    orders: UnboundedSender<Order>,
}

impl Discord {
    /// Starts on a free port of 127.0.0.1.
    pub(crate) fn start() -> Discord {
        Discord::start_on(0)
    }

    /// Starts on this port, so that a bot can be pointed at a Discord that comes up later.
    pub(crate) fn start_on(port: u16) -> Discord {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port for Discord");
        let address = listener.local_addr().expect("the address of Discord");
        let shared = Arc::new(Shared::new(State::new(server::origin(address))));
        let (orders, told) = unbounded_channel();
        let served = shared.clone();
        std::thread::spawn(move || server::run(listener, &served, told));
        Discord { shared, orders }
    }

    /// Where the bot finds it: `http://127.0.0.1:PORT`, without a path.
    pub(crate) fn url(&self) -> String {
        self.shared.state().origin.clone()
    }

    /// The number of the guild.
    pub(crate) fn guild(&self) -> Snowflake {
        self.shared.state().guild
    }

    /// The number of the application, which is also the bot's user.
    pub(crate) fn application(&self) -> Snowflake {
        self.shared.state().application
    }

    /// Reads the time (milliseconds since the Unix epoch) from `now` instead of the machine.
    pub(crate) fn follows(&self, now: impl Fn() -> Millis + Send + Sync + 'static) {
        self.shared.change(|state| state.clock = Clock::following(now));
    }

    /// Adds a text channel; the first one is where people are unless they say otherwise.
    pub(crate) fn add_channel(&self, name: &str) -> Snowflake {
        self.shared.change(|state| {
            let id = state.standing_id();
            state.channels.push(state::Channel {
                id,
                name: name.to_owned(),
                parent: None,
                kind: 0,
                created: state.clock.now(),
                archived: false,
                locked: false,
                auto_archive_minutes: 0,
                members: Vec::new(),
                forbidden: false,
            });
            id
        })
    }

    /// Adds a role.
    pub(crate) fn add_role(&self, name: &str) -> Snowflake {
        self.shared.change(|state| {
            let id = state.standing_id();
            state.roles.push(Role { id, name: name.to_owned() });
            id
        })
    }

    /// Adds a person with these roles.
    ///
    /// # Panics
    /// When a role was not added before.
    pub(crate) fn add_member(&self, name: &str, roles: &[&str]) -> Snowflake {
        self.shared.change(|state| {
            let id = state.standing_id();
            let held = roles
                .iter()
                .map(|role| state.roles.iter().find(|known| known.name == *role).expect("a role that was added").id);
            let roles = held.collect();
            state.members.push(Member { id, name: name.to_owned(), roles });
            id
        })
    }

    /// A person, in the first channel.
    pub(crate) fn member(&self, name: &str) -> Person {
        Person { shared: self.shared.clone(), name: name.to_owned(), place: None }
    }

    /// A channel or thread, by its name or a part of it.
    pub(crate) fn channel(&self, name: &str) -> Channel {
        Channel { shared: self.shared.clone(), name: name.to_owned() }
    }

    /// Waits until the bot is connected to the gateway and has registered commands.
    pub(crate) async fn awaits_bot(&self) {
        let ready = |state: &mut State| (state.gateway.is_connected() && !state.commands.is_empty()).then_some(());
        self.shared.wait("the bot connected, with commands", ready).await;
    }

    /// Whether the bot is connected to the gateway.
    pub(crate) fn is_connected(&self) -> bool {
        self.shared.state().gateway.is_connected()
    }

    /// Waits until something is true of the effects so far.
    pub(crate) async fn awaits(&self, what: &str, is_so: impl Fn(&[Effect]) -> bool) {
        self.shared.wait(what, |state| is_so(&state.effects).then_some(())).await;
    }

    /// Waits until the gateway was identified to, and resumed, at least so often.
    pub(crate) async fn awaits_sessions(&self, identified: usize, resumed: usize) {
        let what = format!("identified {identified} times and resumed {resumed} times");
        let enough = |state: &mut State| {
            (state.gateway.identified >= identified && state.gateway.resumed >= resumed).then_some(())
        };
        self.shared.wait(&what, enough).await;
    }

    /// Waits until the bot has sent so many heartbeats; `heartbeats_every` says how often it must.
    pub(crate) async fn awaits_heartbeats(&self, wanted: usize) {
        let enough = |state: &mut State| (state.gateway.heartbeats >= wanted).then_some(());
        self.shared.wait(&format!("{wanted} heartbeats"), enough).await;
    }

    /// The interval that the gateway asks for in connections from here on.
    pub(crate) fn heartbeats_every(&self, interval: std::time::Duration) {
        let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.shared.change(|state| state.gateway.heartbeat_interval = interval);
    }

    /// Acknowledges heartbeats, or stops doing so.
    pub(crate) fn acknowledges_heartbeats(&self, does: bool) {
        self.shared.change(|state| state.gateway.is_deaf = !does);
    }

    /// Makes the calls of a route fail.
    pub(crate) fn script(&self, fault: Fault, route: Route, span: Span) {
        self.shared.change(|state| {
            state.note(&format!("from here on {route:?} fails: {fault:?} {span:?}"));
            let script = Script::new(fault, route, span, &state.clock);
            state.scripts.push(script);
        });
    }

    /// Ends every scripted fault.
    pub(crate) fn heals(&self) {
        self.shared.change(|state| {
            state.note("all faults end");
            state.scripts.clear();
        });
    }

    /// Counts no rate limits from here on.
    pub(crate) fn lifts_rate_limits(&self) {
        self.shared.change(|state| state.buckets.lift());
    }

    /// Calls `hook` at the `nth` call (from 1) of a route; that call then hangs, so that a story can kill the bot in it.
    pub(crate) fn at_call(&self, route: Route, nth: usize, when: Instant, hook: impl FnOnce() + Send + 'static) {
        let hook = Hook { route, when, countdown: nth, call: Some(Box::new(hook)) };
        self.shared.change(|state| state.hooks.push(hook));
    }

    /// Takes back every hook that is still waiting for its call; whether there was one, and so the sweep is over.
    pub(crate) fn takes_hooks_back(&self) -> bool {
        let hooks = self.shared.change(|state| std::mem::take(&mut state.hooks));
        hooks.iter().any(|hook| hook.call.is_some())
    }

    /// Whether a hook is still waiting for its call.
    pub(crate) fn awaits_hook(&self) -> bool {
        self.shared.state().hooks.iter().any(|hook| hook.call.is_some())
    }

    /// Refuses every connection and ends those that are open, HTTP and gateway.
    pub(crate) fn down(&self) {
        self.shared.change(|state| state.note("Discord is down"));
        self.order(Order::Down);
    }

    /// Takes connections again, on the same port and with the same state.
    pub(crate) fn up(&self) {
        self.shared.change(|state| state.note("Discord is up"));
        self.order(Order::Up);
    }

    fn order(&self, order: impl FnOnce(mpsc::Sender<()>) -> Order) {
        let (done, told) = mpsc::channel();
        self.orders.send(order(done)).expect("Discord's thread");
        told.recv().expect("Discord's thread");
    }

    /// Ends the gateway's connections without a word; the sessions can be resumed.
    pub(crate) fn drops_gateway(&self) {
        self.shared.change(|state| {
            state.note("gateway: dropped");
            state.gateway.push(|| Push::Drop);
        });
    }

    /// Closes the gateway's connections with a code (4000: unknown error, 4009: session timed out).
    pub(crate) fn closes_gateway(&self, code: u16) {
        self.shared.change(|state| {
            state.note(&format!("gateway: closed with {code}"));
            state.gateway.push(|| Push::Close(code));
        });
    }

    /// Sends what a person did last once more, as can happen when a connection is resumed.
    pub(crate) fn repeats_interaction(&self) {
        self.shared.change(|state| {
            state.note("gateway: the last interaction is sent again");
            state.gateway.repeat("INTERACTION_CREATE");
        });
    }

    /// Asks the bot to reconnect and resume (op 7).
    pub(crate) fn reconnect_op7(&self) {
        self.shared.change(|state| {
            state.note("gateway: asks to reconnect");
            state.gateway.push(|| Push::Send(serde_json::json!({ "op": 7, "d": null, "s": null, "t": null })));
        });
    }

    /// Tells the bot that its session is over (op 9, not resumable): it must identify again.
    pub(crate) fn invalid_session(&self) {
        self.shared.change(|state| {
            state.note("gateway: the session is over");
            state.gateway.forget_sessions();
            state.gateway.push(|| Push::Send(serde_json::json!({ "op": 9, "d": false, "s": null, "t": null })));
        });
    }

    /// Forbids the bot a channel, as an administrator can; calls in it are refused with 403.
    pub(crate) fn forbids(&self, name: &str, is_forbidden: bool) {
        self.shared.change(|state| {
            for channel in state.channels.iter_mut().filter(|channel| channel.name == name) {
                channel.forbidden = is_forbidden;
            }
        });
    }

    /// What the bot really changed, in order.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        self.shared.state().effects.clone()
    }

    /// Every exchange as a line of JSON for `validate_openapi.py`.
    pub(crate) fn recorded(&self) -> Vec<String> {
        self.shared.state().transcript.recorded()
    }

    /// What happened, a line each, for people.
    pub(crate) fn transcript(&self) -> String {
        self.shared.state().transcript.text()
    }

    /// How many calls were answered with 429.
    pub(crate) fn limited(&self) -> usize {
        self.shared.state().transcript.limited
    }

    /// What a story must not leave behind.
    pub(crate) fn leftovers(&self) -> Leftovers {
        let state = self.shared.state();
        let unseen = state.messages.iter().filter(|m| m.seen_versions == 0 && !m.deleted && !m.is_loading());
        let unanswered = state.interactions.iter().filter(|one| one.answered.is_none());
        let loading = state.messages.iter().filter(|m| m.is_loading() && !m.deleted);
        Leftovers {
            unseen: unseen.map(|m| Shown::of(&state, m)).map(|m| format!("#{}: {}", m.place, m.text())).collect(),
            unanswered: unanswered
                .map(|one| format!("{}: {}", state.name_of(one.by), one.what))
                .chain(loading.map(|message| format!("{}: still thinking", state.place(message.channel))))
                .collect(),
            unknown_routes: state.transcript.unknown_routes.clone(),
            refused: state.transcript.refused.clone(),
        }
    }
}

/// What is left when a story ends; it should be nothing.
#[derive(Debug)]
pub(crate) struct Leftovers {
    /// Messages that the story never looked at.
    pub(crate) unseen: Vec<String>,
    /// Interactions without an answer.
    pub(crate) unanswered: Vec<String>,
    /// Routes that the emulator does not know.
    pub(crate) unknown_routes: Vec<String>,
    /// Requests that were refused for what they said.
    pub(crate) refused: Vec<Refused>,
}

impl Leftovers {
    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.unseen.is_empty()
            && self.unanswered.is_empty()
            && self.unknown_routes.is_empty()
            && self.refused.is_empty()
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in &self.unseen {
            writeln!(f, "not looked at: {text}")?;
        }
        for text in &self.unanswered {
            writeln!(f, "not answered: {text}")?;
        }
        for text in &self.unknown_routes {
            writeln!(f, "unknown route: {text}")?;
        }
        for refused in &self.refused {
            writeln!(f, "refused with {}: {} {}", refused.status, refused.request, refused.answer)?;
        }
        Ok(())
    }
}
