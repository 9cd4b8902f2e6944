//! Firewarden: incident response and deployment automation, steered from chat. One binary and one database file; or several
//! processes on one database.
//!
//! This page is the architecture: what the parts are, which way they point, and what holds everywhere. Where an
//! invariant can be checked, `tests/tidy/` checks it.
//!
//! # The way of an alert
//!
//! ```text
//! POST /webhooks/alertmanager
//!   adapters::web           who is it, is it small enough, is it what it should be   → alerts::Batch
//!   engine::alerts::lane    deliveries that wait together are decided together       → Input::Alerts
//!   engine::decide          one transaction:
//!     engine::alerts          fold the statements into the alerts that are known
//!     engine::silences        hold back what is silenced
//!     engine::incidents       open, join, raise, calm: with an entry for each
//!     engine::deployments     what was live and has not baked; what changed near in time
//!     engine::runs            start what the route's runbooks ask for
//!   store::writer           commit, one fsync for all who wait; only then is the sender answered
//! workers, each from committed rows:
//!   engine::runs::work      intent → act → outcome, step after step
//!   engine::chat::delivery  posts once and in order, cards at their newest revision
//!   engine::timers          what is due: silence, quiet, waits, expiries
//!   engine::traces          what was committed, as spans for a trace viewer, if there is one
//! ```
//!
//! Of several processes on one database each does all of this but for two things, which the one that leads does for all
//! ([`store::Lead`]): it connects to the chat and delivers, and it fires timers. Their decisions happen one after the
//! other, whoever makes them, so nothing above the store has to know of the others; a commit wakes the workers of all.
//!
//! A slash command, a button or a line typed at the console goes the same way, as `Input::Command`; what deployers and
//! GitHub's webhooks tell, as `Input::Deployment`.
//!
//! # The layers
//!
//! Each knows only those above it in this list.
//!
//! | layer | what it holds |
//! |---|---|
//! | [`domain`] | the rules, as pure functions of state, input and time |
//! | [`store`] | what is durable; the only place that speaks SQL |
//! | [`engine`] | decides in transactions, acts through ports |
//! | [`adapters`] | the outside, each side of it by itself: web, Discord, HTTP, programs, formats of alerts and of deployments, traces |
//! | [`app`] | configuration, command line, wiring, the demo |
//!
//! A feature has the same word in every layer, and features have an order too: timeline, alerts, routes, silences,
//! incidents, deployments, runbooks, catalog, runs, reviews. A later one may know an earlier one. They meet in [`engine::decide`] (what happens), and in
//! [`engine::features`] (what people see).
//!
//! # What holds everywhere
//!
//! - **Commit first, act after.** No answer leaves and no effect happens before its row is durable. The exception is the
//!   emergency page, which goes out when the store itself cannot be written.
//! - **One log.** No state changes without a timeline entry in the same transaction. Entries are never changed; each
//!   incident's are chained by hashes.
//! - **No decision reaches the world**, reads a clock or draws a random number: it may run again. No worker holds a
//!   transaction while it acts.
//! - **Nothing above the store names a database**, and nothing inside the engine names Discord, HTTP or a process.
//! - **No silence is read as recovery, and no unknown as zero.** A time that nobody knows is printed as unknown.
//! - **No correctness by election.** What the leader does is safe although a former one, which hung, does it too: a timer
//!   is taken in the decision it leads to, a message carries a nonce, a run is written by its epoch or not at all.
//! - **No mutation without an intent**, and none while a halt stands. What ended without an answer is in doubt until a
//!   probe or a person settles it.
//! - **No value is pasted into a shell**, and no text from outside is formatting in any chat.

pub mod adapters;
pub mod app;
pub mod domain;
pub mod engine;
pub mod store;

/// Serves many small documents on many threads; the system's own cost an eighth of all intake.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
