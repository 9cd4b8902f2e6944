//! Stories: what people gain, told through the bot's own surface.

mod crash;
mod discord;
mod discord_emulator;
mod example_service;
mod main_job;
