//! Files that are whole or not there: written under another name, read back, and only then given their own.
//!
//! Nothing is ever written over. What ends in `.gz` is compressed, and whatever is compressed is read as such.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};

use crate::engine::ports::Shelf;

/// A file that is being written.
pub struct Draft {
    name: PathBuf,
    own: PathBuf,
    out: Out,
}

enum Out {
    Plain(BufWriter<File>),
    Compressed(GzEncoder<BufWriter<File>>),
}

impl Draft {
    /// Begins a file that is to have this name, which is free. Only its owner may read it.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when there is a file of this name.
    pub fn begin(path: &Path) -> io::Result<Self> {
        if path.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let name = PathBuf::from(name);
        let file = BufWriter::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name)?);
        let out = if path.extension().is_some_and(|extension| extension == "gz") {
            Out::Compressed(GzEncoder::new(file, Compression::default()))
        } else {
            Out::Plain(file)
        };
        Ok(Self { name: name.clone(), own: path.to_owned(), out })
    }

    /// Ends the file; it is on disk then, and still has not its name.
    pub fn end(self) -> io::Result<Written> {
        let Self { name, own, out } = self;
        let written = Written { name, own };
        let buffered = match out {
            Out::Plain(file) => file,
            Out::Compressed(encoder) => encoder.finish()?,
        };
        buffered.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(written)
    }

    /// Gives the file up.
    pub fn discard(self) {
        drop(Written { name: self.name, own: self.own });
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Out::Plain(file) => file.write(bytes),
            Out::Compressed(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file on disk that has not its name yet; it is gone again unless it is kept.
pub struct Written {
    name: PathBuf,
    own: PathBuf,
}

impl Written {
    /// Reads it back.
    pub fn read(&self) -> io::Result<Box<dyn BufRead + Send>> {
        open(&self.name)
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when another file has got it meanwhile.
    pub fn keep(self) -> io::Result<()> {
        // A link is never made over a file that is there. Where there are no links, nobody else writes under this name.
        match fs::hard_link(&self.name, &self.own) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) if self.own.try_exists()? => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(&self.name, &self.own)?,
        }
        sync_folder(&self.own)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.name);
    }
}

/// Opens a file, compressed or not.
pub fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::new(File::open(path)?);
    let is_compressed = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_compressed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) })
}

/// Makes what was done to the names in the file's folder durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// The folder that files are put into which are read again, if ever, after years.
pub struct Folder {
    config: PathBuf,
    name: PathBuf,
}

impl Folder {
    /// The folder of this name; a relative one begins at the folder of the configuration. It is made when it is needed.
    pub fn new(config: &Path, name: &Path) -> Self {
        let config = config.parent().unwrap_or(Path::new("")).to_owned();
        Self { config, name: name.to_owned() }
    }

    /// The file at this place, as [`Shelf::put`] has named it; in the folder, if it was moved with the folder.
    pub fn find(&self, place: &str) -> PathBuf {
        let path = self.config.join(place);
        match path.file_name() {
            Some(name) if !path.exists() => self.config.join(&self.name).join(name),
            Some(_) | None => path,
        }
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<String> {
        fs::create_dir_all(self.config.join(&self.name))?;
        for number in 1.. {
            let ending = if number == 1 { String::new() } else { format!("-{number}") };
            let place = self.name.join(format!("{name}{ending}.jsonl.gz"));
            let kept = Self::write_at(&self.config.join(&place), content);
            if !kept.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
                return kept.map(|()| place.display().to_string());
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn write_at(path: &Path, content: &[u8]) -> io::Result<()> {
        let mut draft = Draft::begin(path)?;
        if let Err(error) = draft.write_all(content) {
            draft.discard();
            return Err(error);
        }
        let written = draft.end()?;
        let mut back = Vec::new();
        written.read()?.read_to_end(&mut back)?;
        if back != content {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what was written does not read back"));
        }
        written.keep()
    }
}

#[async_trait]
impl Shelf for Folder {
    async fn put(&self, name: &str, content: Vec<u8>) -> Result<String, String> {
        let (this, name) = (Self { config: self.config.clone(), name: self.name.clone() }, name.to_owned());
        let written = tokio::task::spawn_blocking(move || this.write(&name, &content)).await;
        let folder = self.config.join(&self.name);
        let why = |error: &dyn std::fmt::Display| format!("`{}` does not take it: {error}", folder.display());
        written.map_err(|error| why(&error))?.map_err(|error| why(&error))
    }

    async fn take_back(&self, place: &str) {
        if let Err(error) = tokio::fs::remove_file(self.config.join(place)).await {
            tracing::warn!(%error, place, "a file that nobody knows of is left");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut source: impl Read) -> String {
        let mut text = String::new();
        source.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_file_is_whole_or_not_there_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(folder.path()).unwrap().count();
        for name in ["a.jsonl.gz", "a.jsonl"] {
            let path = folder.path().join(name);
            let before = names();
            let mut draft = Draft::begin(&path).unwrap();
            draft.write_all(b"one\n").unwrap();
            assert!(!path.exists());
            draft.discard();
            assert_eq!(names(), before, "what is given up leaves nothing");

            let mut draft = Draft::begin(&path).unwrap();
            draft.write_all(b"two\n").unwrap();
            let written = draft.end().unwrap();
            assert_eq!(read(written.read().unwrap()), "two\n");
            fs::write(&path, "another").unwrap();
            assert_eq!(written.keep().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names()), ("another", before + 1));
            fs::remove_file(&path).unwrap();

            let mut draft = Draft::begin(&path).unwrap();
            draft.write_all(b"three\n").unwrap();
            draft.end().unwrap().keep().unwrap();
            assert_eq!(fs::read(&path).unwrap().starts_with(b"three"), name == "a.jsonl", "by its name");
            assert_eq!((read(open(&path).unwrap()).as_str(), names()), ("three\n", before + 1));
            assert_eq!(Draft::begin(&path).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        }
    }

    #[tokio::test]
    async fn a_folder_is_made_when_it_is_needed_and_two_files_of_one_name_stand_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Folder::new(&folder.path().join("firewarden.toml"), Path::new("archive"));
        let first = shelf.put("INC-1", b"one\n".to_vec()).await.unwrap();
        let second = shelf.put("INC-1", b"two\n".to_vec()).await.unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("archive/INC-1.jsonl.gz", "archive/INC-1-2.jsonl.gz"));
        assert_eq!(read(open(&shelf.find(&first)).unwrap()), "one\n");
        shelf.take_back(&first).await;
        assert!(!shelf.find(&first).exists() && shelf.find(&second).exists());

        fs::rename(folder.path().join("archive"), folder.path().join("moved")).unwrap();
        let moved = Folder::new(&folder.path().join("firewarden.toml"), Path::new("moved"));
        assert_eq!(read(open(&moved.find(&second)).unwrap()), "two\n");
        fs::write(folder.path().join("archive"), "in the way").unwrap();
        assert!(shelf.put("INC-2", Vec::new()).await.unwrap_err().contains("does not take it"));
    }
}
