//! Translations between the outside world and the engine, each knowing one neighbor and none of its siblings.

pub mod alertmanager;
pub mod archive;
pub mod clock;
pub mod console;
pub mod discord;
pub mod generic;
pub mod http;
pub mod otlp;
pub mod programs;
pub mod secrets;
pub mod web;
