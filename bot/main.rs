//! The `firewarden` program.

use std::process::ExitCode;

use clap::Parser;
use firewarden::app::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
