//! The command line: what can be asked of the program, and what its exit code means.

mod archive;
mod backup;
mod check;
mod explain;
mod halt;
mod plan;
mod rehearse;
mod remote;
mod review;
mod route;
mod runbook;
mod scratch;
mod store;
mod transfer;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use super::{
    config::{Config, Look},
    demo, log,
    serve::{self, Parts},
};
use crate::{
    domain::{diagnostic::Diagnostic, ids::IncidentId},
    store::{Fault, FaultKind},
};

/// Something is wrong with what was given, or was refused; it was said what.
const REFUSED: u8 = 1;
/// The command line is wrong, or names what is not there. <https://docs.rs/clap> ends with the same code.
const MISUSED: u8 = 2;
/// The bot cannot be reached.
const UNREACHABLE: u8 = 3;
/// The program itself failed. <https://man.openbsd.org/sysexits.3> has it as `EX_SOFTWARE`.
const FAULT: u8 = 70;

const EXAMPLES: &str = "\
Examples:
  firewarden demo --yes                          see the whole story, with nothing installed
  cp firewarden.example.toml firewarden.toml     begin with a configuration
  firewarden check                               what is wrong with it, and with the runbooks
  firewarden serve                               run the bot
  firewarden say '/incident list'                ask a running bot
  firewarden halt --reason 'deploys are broken'  stop all automation, now

Exit codes:
  0   it is done
  1   a problem was found, or it was refused
  2   the command line is wrong
  3   the bot cannot be reached
  70  the program itself failed: its log says more";

/// Incident response and deployment automation, steered from chat: alerts come in, runbooks act with approval, the
/// timeline writes itself, and the review is drafted when it is over.
#[derive(Debug, Parser)]
#[command(name = "firewarden", version, after_help = EXAMPLES, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", env = "FIREWARDEN_CONFIG", default_value = "firewarden.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See the main job happen on this machine: a bad release, an alert, an approval, a rollback, a review.
    Demo {
        /// Ask nobody, and end once the review is written.
        #[arg(long)]
        yes: bool,
    },
    /// Run the bot until SIGTERM or SIGINT.
    Serve,
    /// Check the configuration and all that it names, and print every problem with its place and a hint.
    Check {
        /// Do not look for the secrets: for a machine that does not have them, such as a build server.
        #[arg(long)]
        without_secrets: bool,
    },
    /// Work on runbook files.
    #[command(subcommand)]
    Runbook(runbook::Command),
    /// Say a line to a running bot, as in chat.
    #[command(after_help = "\
Examples:
  firewarden say '/incident list'
  firewarden say /incident ack INC-1
  FIREWARDEN_URL=https://firewarden.example.org firewarden say /help")]
    Say {
        /// The line; several words are joined.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        line: Vec<String>,
        /// The same key again gets the first reply, and nothing is done twice.
        #[arg(long)]
        key: Option<String>,
        #[command(flatten)]
        bot: Bot,
    },
    /// Print the review of an incident, as Markdown: from the store, or from a running bot with --url.
    #[command(after_help = "\
Examples:
  firewarden review INC-1 --out INC-1.md
  firewarden review INC-1 --url https://firewarden.example.org --token-file ~/.firewarden")]
    Review {
        /// The incident, such as INC-1.
        incident: IncidentId,
        /// Write it to this file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        bot: Bot,
    },
    /// Stop all automation, now: works without the store and without a running bot.
    #[command(after_help = "\
The halt is a file beside the store. While it is there nothing is changed anywhere; effects that are in flight are
watched to their end. Lifting it starts nothing again by itself: each run waits for a person.")]
    Halt {
        /// Why, for whoever finds it.
        #[arg(long, default_value = "halted from the command line")]
        reason: String,
        /// Take the halt back, and say why.
        #[arg(long, value_name = "WHY", conflicts_with = "reason")]
        lift: Option<String>,
        /// The store, if the configuration cannot be read.
        #[arg(long, value_name = "FILE")]
        store: Option<PathBuf>,
        #[command(flatten)]
        bot: Bot,
    },
    /// Check that no timeline entry was changed after it was written; works while the bot runs.
    Verify,
    /// Write a copy of everything to one file, while the bot runs, and read it back.
    #[command(after_help = "\
Examples:
  firewarden backup /var/backups/firewarden      a file in this folder, named by its time
  firewarden backup before-the-move.jsonl.gz
The file is lines of JSON, compressed: `zcat` shows it. It is read back before it gets its name, and nothing is written
over.")]
    Backup {
        /// A folder, or a file that is not there yet.
        #[arg(value_name = "FOLDER|FILE")]
        to: PathBuf,
    },
    /// Make the store anew from a backup: it starts held, for nobody knows what was done since.
    #[command(after_help = "\
Examples:
  firewarden restore firewarden-20261124T031500Z.jsonl.gz --aside firewarden.db.broken
  firewarden restore --adopt                     after `pg_restore`, or after the file was copied by hand
What was at work or waited is held, a step that was begun is in doubt, what waited to be said is not sent, and nothing is
changed until a person lifts the halt. The store gets another identity.")]
    Restore {
        /// The backup.
        #[arg(value_name = "FILE", required_unless_present = "adopt")]
        file: Option<PathBuf>,
        /// Move the store that is there to this file.
        #[arg(long, value_name = "FILE")]
        aside: Option<PathBuf>,
        /// The store was put in its place by other means: let it start held.
        #[arg(long, conflicts_with_all = ["file", "aside"])]
        adopt: bool,
    },
    /// Write everything as lines of JSON, to go on with in another database.
    #[command(after_help = "\
Example, from the file to PostgreSQL:
  systemctl stop firewarden
  firewarden export move.jsonl.gz
  firewarden --config with-postgres.toml import move.jsonl.gz")]
    Export {
        /// A file that is not there yet; compressed if it ends in `.gz`. `-` is standard output.
        file: PathBuf,
    },
    /// Read an export into an empty store of either kind.
    Import {
        /// The export.
        file: PathBuf,
    },
    /// Look at what left the store for files: incidents, runs, and entries of the system's timeline.
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// Work on routes.
    #[command(subcommand)]
    Route(RouteCommand),
}

#[derive(Debug, Subcommand)]
enum ArchiveCommand {
    /// List it, each with its file.
    List,
    /// Print something from its file, and check that it is what was written.
    Show {
        /// An incident, a run or an entry of the system's timeline, such as INC-1, RUN-7 or SYSTEM#12.
        name: archive::Wanted,
    },
    /// Check that every file is there and is what was written, and that none is missing between two.
    Verify,
}

#[derive(Debug, Subcommand)]
enum RouteCommand {
    /// Show what an alert with these labels would mean, and why.
    #[command(after_help = "\
Example:
  firewarden route test alertname=CheckoutErrorRate env=production severity=page")]
    Test {
        /// The alert's labels.
        #[arg(required = true, value_name = "LABEL=VALUE")]
        labels: Vec<String>,
    },
}

/// Which bot, and as whom.
#[derive(Debug, Args)]
pub(super) struct Bot {
    /// Where the bot is; without it, where the configuration listens.
    #[arg(long, env = "FIREWARDEN_URL")]
    url: Option<String>,
    /// A file with your personal token; without it, the variable `FIREWARDEN_TOKEN`.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Why a command of the program did not do what it should.
#[derive(Debug)]
pub(super) enum Failure {
    /// Problems in files, or a refusal, in words for the person.
    Refused(String),
    /// What the command line names is not there, or does not fit.
    Misused(String),
    /// The bot cannot be reached.
    Unreachable(String),
    /// The program failed.
    Fault(anyhow::Error),
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(problems: Vec<Diagnostic>) -> Self {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let count = match problems.len() {
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        };
        Failure::Refused(format!("{}\n{count}", lines.join("\n")))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::Defect | FaultKind::Device => Failure::Fault(fault.into()),
            FaultKind::Full
            | FaultKind::Locked
            | FaultKind::Corrupt
            | FaultKind::Newer
            | FaultKind::Older
            | FaultKind::ReadOnly
            | FaultKind::Unreachable
            | FaultKind::Denied
            | FaultKind::Stopping => Failure::Refused(fault.to_string()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Fault>() {
            Ok(fault) => fault.into(),
            Err(error) => Failure::Fault(error),
        }
    }
}

/// Runs this to its end, and waits for nothing that it left behind.
///
/// A look-up of a name blocks its thread for as long as the name server likes, which is longer than stopping may take.
pub fn to_the_end(work: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let hint = "the limits of threads and open files may be too low";
            return complain(&format!("Cannot start: {error}\nhint: {hint}"), FAULT);
        }
    };
    let code = runtime.block_on(work);
    runtime.shutdown_background();
    code
}

/// Does what the command line asks and says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Demo { yes } => demo::run(yes).await.map_err(Failure::from),
        Command::Serve => serve(&cli.config).await,
        Command::Check { without_secrets } => {
            let look = if without_secrets { Look::WithoutSecrets } else { Look::ForSecrets };
            check::everything(&cli.config, look)
        }
        Command::Runbook(command) => Box::pin(runbook::run(&cli.config, command)).await,
        Command::Say { line, key, bot } => remote::say(&cli.config, &bot, &line.join(" "), key).await,
        Command::Review { incident, out, bot } => review::write(&cli.config, &bot, incident, out.as_deref()).await,
        Command::Halt { reason, lift, store, bot } => {
            let order = lift.as_deref().map_or(halt::Order::Halt(&reason), halt::Order::Lift);
            halt::halt(&cli.config, &bot, store, order).await
        }
        Command::Backup { to } => backup::backup(&cli.config, &to).await,
        Command::Restore { file: Some(file), aside, .. } => backup::restore(&cli.config, &file, aside.as_deref()).await,
        Command::Restore { file: None, .. } => backup::adopt(&cli.config).await,
        Command::Export { file } => transfer::export(&cli.config, &file).await,
        Command::Import { file } => transfer::import(&cli.config, &file).await,
        Command::Archive(ArchiveCommand::List) => archive::list(&cli.config).await,
        Command::Archive(ArchiveCommand::Show { name }) => archive::show(&cli.config, name).await,
        Command::Archive(ArchiveCommand::Verify) => archive::verify(&cli.config).await,
        Command::Verify => store::verify(&cli.config).await,
        Command::Route(RouteCommand::Test { labels }) => route::test(&cli.config, &labels),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Refused(text)) => complain(&text, REFUSED),
        Err(Failure::Misused(text)) => complain(&text, MISUSED),
        Err(Failure::Unreachable(text)) => complain(&text, UNREACHABLE),
        Err(Failure::Fault(error)) => complain(&format!("{error:#}"), FAULT),
    }
}

async fn serve(path: &std::path::Path) -> Result<(), Failure> {
    let config = Config::load(path, Look::ForSecrets)?;
    log::start(&config.file.log);
    let stop = CancellationToken::new();
    let signaled = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = signal().await {
            tracing::error!(%error, "signals cannot be listened for");
        }
        signaled.cancel();
    });
    let parts = Parts::of_this_machine(&config, stop).await.map_err(|error| Failure::Refused(format!("{error:#}")))?;
    Ok(serve::run(config, parts).await?)
}

/// Completes when the process is told to end.
async fn signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let name = tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "stopping");
    Ok(())
}

/// Prints to standard output. That nobody reads it is nobody's problem.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _nobody_reads = write!(out, "{text}{end}").and_then(|()| out.flush());
}

/// Prints to standard error, beside what was done.
pub(super) fn warn(text: &str) {
    let mut out = io::stderr().lock();
    let _nobody_reads = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn complain(text: &str, code: u8) -> ExitCode {
    warn(text);
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_explains_itself() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        }
    }

    #[test]
    fn a_line_is_taken_as_it_is() {
        let cli = Cli::try_parse_from(["firewarden", "say", "/incident", "note", "-5 degrees"]).unwrap();
        let Command::Say { line, .. } = cli.command else { panic!() };
        assert_eq!(line, ["/incident", "note", "-5 degrees"]);
    }

    #[test]
    fn the_end_waits_for_nothing_that_blocks() {
        let (_held, blocks) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let begins = std::time::Instant::now();
        let code = to_the_end(async move {
            tokio::task::spawn_blocking(move || {
                begun.send(()).unwrap();
                let _ended = blocks.recv_timeout(std::time::Duration::from_mins(1));
            });
            has_begun.recv().unwrap();
            ExitCode::SUCCESS
        });
        assert_eq!((code, begins.elapsed().as_secs()), (ExitCode::SUCCESS, 0));
    }
}
