//! Translations between the outside world and the engine, each knowing one neighbor and none of its siblings.

pub mod alertmanager;
pub mod console;
pub mod generic;
pub mod web;
