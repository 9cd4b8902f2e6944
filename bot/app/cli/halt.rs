//! `firewarden halt`: stops all automation by a file beside the store, whether or not a bot runs.
//!
//! Who says "stop" relies on it. So the file is never written where no bot would look for it, and where it is is said.

use std::path::{Path, PathBuf};

use super::{Bot, Failure, remote, say as print, warn};
use crate::app::halt as halt_file;

/// What is to become of the halt, and why.
#[derive(Clone, Copy)]
pub(super) enum Order<'a> {
    /// Nothing is changed any more.
    Halt(&'a str),
    /// It is over.
    Lift(&'a str),
}

/// Orders a halt, or lifts it: by the file, and by telling the bot if it can be reached.
pub(super) async fn halt(config: &Path, bot: &Bot, store: Option<PathBuf>, order: Order<'_>) -> Result<(), Failure> {
    let (store, is_shared) = store.map_or_else(|| store_of(config, order), |store| Ok((store, false)))?;
    // Whoever finds the message in a scrollback has to know which file it was.
    let store = std::path::absolute(&store).unwrap_or(store);
    let file = halt_file::file_of(&store);
    let failed = |error: std::io::Error| {
        Failure::Refused(format!(
            "Cannot change `{}`: {error}\nhint: run it as the user that runs the bot, or name the store with `--store`",
            file.display()
        ))
    };
    let line = match order {
        Order::Halt(reason) => {
            halt_file::order(&file, reason).map_err(failed)?;
            print(&format!("Halted: nothing is changed while `{}` is there", file.display()));
            format!("/halt reason:{}", quoted(reason))
        }
        Order::Lift(reason) => {
            let was_there = halt_file::lift(&file).map_err(failed)?;
            let what = if was_there { "is taken away" } else { "was not there" };
            print(&format!("`{}` {what}", file.display()));
            format!("/halt lift:{}", quoted(reason))
        }
    };
    if is_shared {
        warn(
            "The store is a database that others can use: a bot with another configuration does not look for this file\n\
             hint: do the same there, or use `/halt` in chat, which every bot heeds",
        );
    } else if !store.is_file() {
        warn(&format!(
            "There is no store at `{}`: a bot over another store does not look for this file\n\
             hint: name the store of the bot with `--store`, or its configuration with `--config`",
            store.display()
        ));
    }
    match remote::ask(config, bot, &line, None).await {
        Ok(reply) => print(reply["text"].as_str().unwrap_or_default()),
        Err(Failure::Refused(text) | Failure::Unreachable(text)) => {
            let what = match order {
                Order::Halt(_) => "Only the file holds the halt: the bot was not told",
                Order::Lift(_) => "Only the file was taken away: a halt that was ordered in chat still stands",
            };
            warn(&format!("{what}\n{text}"));
        }
        Err(other @ (Failure::Misused(_) | Failure::Fault(_))) => return Err(other),
    }
    Ok(())
}

/// What the halt file is named after by the configuration, even if it is broken elsewhere, and whether the store is a
/// database that others can use; never one that is only guessed.
fn store_of(config: &Path, order: Order<'_>) -> Result<(PathBuf, bool), Failure> {
    let text = std::fs::read_to_string(config).map_err(|error| {
        let what = match order {
            Order::Halt(_) => "Not halted",
            Order::Lift(_) => "Not lifted",
        };
        Failure::Refused(format!(
            "{what}: `{}`, which would say where the store is, cannot be read: {error}\n\
             hint: name the configuration with `--config`, or the store itself with `--store`",
            config.display()
        ))
    })?;
    let store = remote::lenient(&text).store;
    Ok((config.parent().unwrap_or(Path::new("")).join(store.halted_as()), store.url.is_some()))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
