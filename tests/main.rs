//! Every test that drives the bot from outside: stories, crash proofs and the checks on the tree itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]
#![allow(clippy::print_stdout, reason = "what a story prints is shown when it fails")]

mod scenarios;
mod tidy;
mod world;

/// The bot of the stories about time and crashes: this very executable, started again. Alone it does nothing.
#[test]
fn bot() {
    world::bot::become_bot();
}
