//! Stories: what people gain, told through the bot's own surface.

mod approval;
mod crash;
mod discord;
mod discord_emulator;
mod disk;
mod doubt;
mod example_service;
mod failure;
mod halt;
mod injection;
mod main_job;
mod programs;
mod silence;
mod undo;
