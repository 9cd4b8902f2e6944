//! A folder that only this program uses, gone when it is dropped.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// A folder that only this program uses, gone when it is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A new folder in this one, which nobody else may look into.
    pub(super) fn new(within: &Path) -> io::Result<Self> {
        let folder = within.join(format!("firewarden-{}", uuid::Uuid::now_v7()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
