//! `firewarden backup` and `firewarden restore`: a copy of a moment, and the way back to it.
//!
//! Nobody knows what was done since the copy was made, so a restored store starts held; see `engine::operations::restored`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Failure, say, store, transfer as files, warn};
use crate::{
    adapters::{archive, clock::SystemClock},
    app::config::{Config, Look},
    engine::ports::Clock,
    store::{
        Address, ReadOnly, Store,
        restores::{Adopt, Restored},
        runs,
        transfer::{self, Content, Kept, Trouble},
    },
};

/// What a restored store goes on as, for whoever reads it at 3 am.
const HELD: &str = "It starts held: runs that were at work or waited are held, what waited to be said is not sent, and nothing is\n\
     changed until a person lifts the halt (`/halt lift:\"why\"`)";

/// Writes a backup, which is read back before it gets its name.
pub(super) async fn backup(config: &Path, to: &Path) -> Result<(), Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let address = config.store()?;
    let store = store::opened(address.clone(), "").await?;
    let mut reader = store.read().await?;
    let now = SystemClock.now();
    let file = if to.is_dir() { to.join(name(now)) } else { to.to_owned() };
    let written = files::written(&mut reader, &file, (Content::Backup, now, true)).await;
    let (seal, flaws) = written.map_err(|trouble| files::failed("back up to", &file, &trouble))?;
    say(&format!("Backed up `{address}` to `{}`: {} rows, read back", file.display(), seal.count()));
    files::flawed(&flaws);
    Ok(())
}

/// `firewarden-20261124T114500Z.jsonl.gz`
fn name(now: crate::domain::time::Time) -> String {
    let stamp: String = now.to_string().chars().filter(|letter| !"-:".contains(*letter)).collect();
    let seconds = stamp.split(['.', 'Z']).next().unwrap_or_default();
    format!("firewarden-{seconds}Z.jsonl.gz")
}

/// Makes the store anew from a backup. One that is there is moved away, if it is said where to, and never deleted.
pub(super) async fn restore(config: &Path, file: &Path, aside: Option<&Path>) -> Result<(), Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let address = config.store()?;
    let failed = |trouble: Trouble| files::failed("restore", file, &trouble);
    let refused = |what: String, hint: &str| failed(Trouble::Refused(what, hint.to_owned()));
    // To its end, before anything is touched.
    let mut reading = files::opened(file).map_err(failed)?;
    let head = reading.head().clone();
    if head.firewarden == Content::Archive {
        let hint = "`firewarden archive show` reads it where it is";
        return Err(refused("it is an archive".to_owned(), hint));
    }
    transfer::check(&mut reading).map_err(|damaged| failed(damaged.into()))?;
    if address.file().is_some_and(Path::exists) && aside.is_none() {
        let hint = "`--aside FILE` moves it there first; nothing is deleted";
        return Err(refused(format!("there is a store at `{address}` already"), hint));
    }
    let mut reading = files::opened(file).map_err(failed)?;
    let kept = Kept::Nothing(restored(Some(head.at), &file.display().to_string()));
    let imported = match &address {
        Address::Server(_) if aside.is_some() => {
            let what = "`--aside` moves a file, and the store is a database".to_owned();
            return Err(refused(what, "rename the database on its server, make an empty one, and leave it out"));
        }
        Address::Server(_) => transfer::import(&address, &mut reading, &kept).await.map_err(failed)?,
        Address::File(path) => {
            let fresh = beside(path, ".restoring");
            remove(&fresh).map_err(|error| failed(error.into()))?;
            let imported =
                transfer::import(&Address::File(fresh.clone()), &mut reading, &kept).await.map_err(failed)?;
            if let Some(aside) = aside.filter(|_| path.exists()) {
                transfer::move_aside(path, aside).await.map_err(failed)?;
                say(&format!("The store that was there is `{}`", aside.display()));
            }
            let moved = fs::rename(&fresh, path).and_then(|()| archive::sync_folder(path));
            moved.and_then(|()| remove(&fresh)).map_err(|error| failed(error.into()))?;
            imported
        }
    };
    say(&format!(
        "Restored `{address}` from `{}`, as it was at {}: {} rows",
        file.display(),
        head.at.long(),
        imported.seal.count()
    ));
    files::flawed(&imported.flaws);
    tell(&address).await
}

/// Lets the store that is there, a copy that was put in its place by other means, start held.
pub(super) async fn adopt(config: &Path) -> Result<(), Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let address = config.store()?;
    let looked = store::opened(address.clone(), "").await?;
    if transfer::is_at_work(&address, &mut looked.read().await?).await? {
        let what = format!("Cannot adopt `{address}`: a bot is at work on it");
        return Err(Failure::Refused(format!("{what}\nhint: stop it first")));
    }
    drop(looked);
    let store = Store::open(address.clone()).await?;
    store.decide(Adopt(restored(None, "a copy that was put in its place"))).await?;
    store.close().await;
    say(&format!("`{address}` is another store than the one it was copied from"));
    tell(&address).await
}

/// Says which runs had not ended, and what becomes of them.
async fn tell(address: &Address) -> Result<(), Failure> {
    let store = ReadOnly::open(address.clone()).await?;
    let mut reader = store.read().await?;
    for run in runs::open(&mut reader).await? {
        say(&format!("{} of `{}` on `{}` was {}", run.id, run.plan.name, run.target, run.state));
    }
    say(HELD);
    warn("hint: the bot of the store that it was copied from must not go on beside this one");
    Ok(())
}

fn restored(made_at: Option<crate::domain::time::Time>, from: &str) -> Restored {
    let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let by = user.unwrap_or_else(|| "somebody".to_owned());
    Restored { made_at, from: from.to_owned(), by, at: SystemClock.now() }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Takes away what an interrupted restore has left under its own name, and the lock of one that was not.
fn remove(fresh: &Path) -> io::Result<()> {
    for ending in ["", "-wal", "-shm", ".lock"] {
        match fs::remove_file(beside(fresh, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_by_its_time() {
        for time in ["2026-11-24T11:45:00Z", "2026-11-24T11:45:00.123Z"] {
            assert_eq!(name(time.parse().unwrap()), "firewarden-20261124T114500Z.jsonl.gz");
        }
    }
}
