//! `firewarden export` and `firewarden import`: moves everything from one store to another, of either kind.

use std::{
    io::{self, BufRead, BufWriter},
    path::Path,
};

use super::{Failure, say, store, warn};
use crate::{
    adapters::{
        archive::{self, Draft},
        clock::SystemClock,
    },
    app::config::{Config, Look},
    engine::ports::Clock,
    store::{
        Reader,
        transfer::{self, Content, Kept, Reading, Seal, Trouble},
    },
};

/// Writes everything of the store to a file, or to standard output.
pub(super) async fn export(config: &Path, file: &Path) -> Result<(), Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let address = config.store()?;
    let store = store::opened(address.clone(), "").await?;
    let mut reader = store.read().await?;
    let at_work = transfer::is_at_work(&address, &mut reader).await?;
    let now = SystemClock.now();
    let about = (Content::Export, now, at_work);
    if file == Path::new("-") {
        let out = BufWriter::new(io::stdout().lock());
        transfer::export(&mut reader, out, about).await.map_err(|trouble| failed("export to", file, &trouble))?;
    } else {
        let (seal, flaws) = written(&mut reader, file, about).await.map_err(|it| failed("export to", file, &it))?;
        say(&format!("Exported `{address}` to `{}`: {} rows", file.display(), seal.count()));
        flawed(&flaws);
    }
    if at_work {
        warn(
            "A bot is at work on the store, so this is a copy of a moment: `import` does not take it\n\
             hint: stop the bot and export again to move, or use `firewarden restore` to go on from a copy",
        );
    }
    Ok(())
}

/// Writes a file that is whole or not there, and reads it back before it gets its name.
pub(super) async fn written(
    reader: &mut Reader,
    file: &Path,
    about: (Content, crate::domain::time::Time, bool),
) -> Result<(Seal, Vec<String>), Trouble> {
    let mut draft = Draft::begin(file)?;
    let seal = match transfer::export(reader, &mut draft, about).await {
        Ok(seal) => seal,
        Err(trouble) => {
            draft.discard();
            return Err(trouble);
        }
    };
    let written = draft.end()?;
    let mut reading = Reading::begin(written.read()?)?;
    let flaws = transfer::check(&mut reading)?;
    written.keep()?;
    Ok((seal, flaws))
}

/// Reads everything of a file into the store, which is empty.
pub(super) async fn import(config: &Path, file: &Path) -> Result<(), Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let address = config.store()?;
    let mut reading = opened(file).map_err(|trouble| failed("import", file, &trouble))?;
    let head = reading.head().clone();
    let restore = || format!("`firewarden restore {}` goes on from it, and starts held", file.display());
    let refused = match head.firewarden {
        Content::Export if head.at_work => Some((
            "a bot was at work while it was written, and what it has done since would be done again".to_owned(),
            format!("stop the bot and export again; or {}", restore()),
        )),
        Content::Export => None,
        Content::Backup => Some(("it is a backup, and what was done since would be done again".to_owned(), restore())),
        Content::Archive => {
            Some(("it is an archive".to_owned(), "`firewarden archive show` reads it where it is".to_owned()))
        }
    };
    if let Some((what, hint)) = refused {
        return Err(failed("import", file, &Trouble::Refused(what, hint)));
    }
    let imported = transfer::import(&address, &mut reading, &Kept::Identity).await;
    let imported = imported.map_err(|trouble| failed("import", file, &trouble))?;
    say(&format!(
        "Imported `{}` into `{address}`: {} rows, as they were at {}",
        file.display(),
        imported.seal.count(),
        head.at.long()
    ));
    flawed(&imported.flaws);
    warn("Only one of the two may go on: do not start a bot over the store that it was exported from");
    Ok(())
}

/// Opens a file and reads its first line.
pub(super) fn opened(file: &Path) -> Result<Reading<Box<dyn BufRead + Send>>, Trouble> {
    let source = archive::open(file).map_err(|error| {
        Trouble::Refused(format!("it cannot be read: {error}"), "name a file that `firewarden` has written".to_owned())
    })?;
    Ok(Reading::begin(source)?)
}

/// What does not fit together in timelines, told apart from whether the file is whole.
pub(super) fn flawed(flaws: &[String]) {
    if !flaws.is_empty() {
        let flaws = flaws.join("\n");
        warn(&format!(
            "The file is whole, but the store it was written from had been changed by other means:\n{flaws}\n\
             hint: it is kept as it was; `firewarden verify` says more"
        ));
    }
}

/// Says what could not be done with a file, and what to do about it.
pub(super) fn failed(verb: &str, file: &Path, trouble: &Trouble) -> Failure {
    let hint = match trouble {
        Trouble::Store(fault) => return fault.clone().into(),
        Trouble::File(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = file.display();
            return Failure::Refused(format!(
                "Cannot {verb} `{file}`: it is there already\nhint: name another file; nothing is written over"
            ));
        }
        Trouble::File(_) => "\nhint: is there space, and may this user write there?",
        Trouble::Damaged(_) => "\nhint: take another copy of it; nothing of this one was kept",
        Trouble::Refused(..) => "",
    };
    Failure::Refused(format!("Cannot {verb} `{}`: {trouble}{hint}", file.display()))
}
