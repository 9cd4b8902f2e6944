//! Puts the parts together into the program.

pub mod cli;
pub mod config;
pub mod demo;
pub mod halt;
pub mod log;
pub mod ports;
pub mod reload;
pub mod reviews;
pub mod ruleset;
pub mod serve;
mod traces;
