//! `firewarden runbook`: what can be asked about runbooks before they are trusted.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{Failure, check, explain, plan, rehearse, say};
use crate::domain::runbooks::schema;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the JSON Schema of runbook files, for editors.
    Schema,
    /// Print what an action takes, gives and may change, or how a guard refuses; without a name, list them.
    #[command(after_help = "\
Examples:
  firewarden runbook explain kubernetes.scale
  firewarden runbook explain breaker_open        the guard that refuses by this code")]
    Explain {
        /// An action, a guard or a reason code.
        name: Option<String>,
    },
    /// Check runbook files, and files of tests, and print every problem with its place and a hint.
    Check {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Show what a run would do at this moment: what it reads is read, and nothing is changed.
    #[command(after_help = "\
Examples:
  firewarden runbook plan rollback-service
  firewarden runbook plan kubernetes-scale-out --input more=5 --json
  firewarden runbook plan restart-service --target checkout/production --as ada

Exit codes:
  0   it would run, perhaps once somebody agrees
  1   it would be refused, or fail: the last line says by which code
  2   there is no such runbook, or it cannot be run with what is given")]
    Plan(plan::Asked),
    /// Play the tests of runbooks, each once more for every step at which the run can be killed.
    #[command(after_help = "\
Examples:
  firewarden runbook test                                      all of the folder with the runbooks
  firewarden runbook test runbooks/rollback-service.test.yaml
The tests of the runbook in NAME.yaml are in NAME.test.yaml beside it. Nothing outside is reached.")]
    Test {
        /// The files of tests.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Does what is asked about runbooks.
pub(super) async fn run(config: &Path, command: Command) -> Result<(), Failure> {
    match command {
        Command::Schema => {
            say(&format!("{:#}", schema::schema()));
            Ok(())
        }
        Command::Explain { name } => explain::explain(name.as_deref()),
        Command::Check { files } => check::runbooks(&files),
        Command::Plan(asked) => Box::pin(plan::plan(config, &asked)).await,
        Command::Test { files } => Box::pin(rehearse::test(config, files)).await,
    }
}
