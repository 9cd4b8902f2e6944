//! Stories: what people gain, told through the bot's own surface.

mod alertmanager_api;
mod approval;
mod backup;
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
mod retention;
mod server;
mod silence;
mod silences;
mod traces;
mod transfer;
mod trouble;
mod undo;
