//! The halt file: an order to change nothing that needs neither the store nor a running bot.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Where the halt file of this store stands: beside it, with `.halt` at the end of its name.
pub fn file_of(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".halt");
    name.into()
}

/// Whether the file orders a halt. One that cannot be looked for counts as there.
pub fn is_ordered(file: &Path) -> bool {
    file.try_exists().unwrap_or(true)
}

/// Orders a halt, with words for whoever finds the file.
pub fn order(file: &Path, reason: &str) -> io::Result<()> {
    std::fs::write(file, format!("{reason}\n\nWhile this file is here, firewarden changes nothing.\n"))
}

/// Takes the order back. Says whether there was one.
pub fn lift(file: &Path) -> io::Result<bool> {
    match std::fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_stands_until_it_is_lifted() {
        let folder = tempfile::tempdir().unwrap();
        let file = file_of(&folder.path().join("firewarden.db"));
        assert!(file.ends_with("firewarden.db.halt") && !is_ordered(&file));
        order(&file, "the deploy tool is broken").unwrap();
        assert!(is_ordered(&file));
        assert!(lift(&file).unwrap() && !lift(&file).unwrap() && !is_ordered(&file));
    }
}
