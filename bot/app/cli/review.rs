//! `firewarden review`: drafts a review beside a running bot, from the store itself or by asking the bot.

use std::path::Path;

use super::{Bot, Failure, archive, remote, say, store};
use crate::{
    app::{
        config::{Config, Look},
        reviews,
    },
    domain::{ids::IncidentId, time::Time},
    engine::{Rules, Stop, View, reviews::review},
    store::archives,
};

/// Prints the review of an incident, or writes it to a file. Nothing is changed, and no bot need run.
pub(super) async fn write(config: &Path, bot: &Bot, id: IncidentId, out: Option<&Path>) -> Result<(), Failure> {
    let markdown = match bot.url {
        Some(_) => remote::review(config, bot, id).await?,
        None => drafted(config, id).await?,
    };
    let Some(file) = out else {
        say(&markdown);
        return Ok(());
    };
    std::fs::write(file, &markdown)
        .map_err(|error| Failure::Refused(format!("Cannot write the review to `{}`: {error}", file.display())))?;
    say(&format!("The review of `{id}` is in `{}`", file.display()));
    Ok(())
}

async fn drafted(config: &Path, id: IncidentId) -> Result<String, Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let rules = Rules { reviews: reviews::templates(&config)?, ..Rules::default() };
    let store = store::opened(config.store()?, ", and `--url` a bot to be asked instead").await?;
    let mut reader = store.read().await?;
    let archived = archives::of(&mut reader, id).await?;
    let unpacked = match &archived {
        Some(archived) => Some(archive::unpack(&config, archived).await?),
        None => None,
    };
    if let Some(unpacked) = &unpacked {
        reader = unpacked.store.read().await?;
    }
    // A draft reads no clock: what it says depends on the record alone.
    let mut view = View { reader: &mut reader, now: Time::EPOCH, rules: &rules };
    match Stop::sort(review(&mut view, id).await)? {
        Ok(review) => Ok(review.markdown),
        Err(refusal) => Err(Failure::Refused(refusal.to_string())),
    }
}
