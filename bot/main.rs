//! The `firewarden` program.

use std::process::ExitCode;

use clap::Parser;
use firewarden::app::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let code = runtime.block_on(cli::run(cli));
            // A look-up of a name can block its thread for longer than stopping may take, and is worth nothing by then.
            runtime.shutdown_background();
            code
        }
        Err(error) => cli::never_started(&error),
    }
}
