//! Stories: what people gain, told through the bot's own surface.

mod approval;
mod backup;
mod command_line;
mod crash;
mod demo;
mod discord;
mod discord_emulator;
mod disk;
mod doubt;
mod example_service;
mod failure;
mod halt;
mod injection;
mod main_job;
mod newcomer;
mod operations;
mod programs;
mod replicas;
mod retention;
mod silence;
mod transfer;
mod undo;
