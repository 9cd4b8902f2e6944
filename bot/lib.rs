//! Firewarden: incident response and deployment automation, steered from chat.

pub mod adapters;
pub mod app;
pub mod domain;
pub mod engine;
pub mod store;
