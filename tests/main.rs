//! Every test that drives the bot from outside: stories, crash proofs and the checks on the tree itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails at once")]

mod scenarios;
mod tidy;
mod world;
