//! The `firewarden` program.

use std::process::ExitCode;

use clap::Parser;
use firewarden::app::cli::{self, Cli};

fn main() -> ExitCode {
    cli::to_the_end(cli::run(Cli::parse()))
}
