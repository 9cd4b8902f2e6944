//! Stories: what people gain, told through the bot's own surface.

mod alertmanager_api;
mod approval;
mod command_line;
mod crash;
mod demo;
mod discord;
mod discord_emulator;
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
mod server;
mod silence;
mod silences;
mod traces;
mod trouble;
mod undo;
