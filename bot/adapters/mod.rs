//! Translations between the outside world and the engine, each knowing one neighbor and none of its siblings.

pub mod alertmanager;
pub mod archive;
pub mod clock;
pub mod console;
pub mod deployments;
pub mod discord;
pub mod generic;
pub mod github;
pub mod http;
pub mod kubernetes;
pub mod otlp;
pub mod programs;
pub mod prometheus;
pub mod secrets;
pub mod web;
