//! `firewarden demo`: the main job on one machine, with nothing installed and no network.

pub mod checkout;
mod prober;
mod stage;
mod story;
mod terminal;
