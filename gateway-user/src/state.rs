//! The state folder: what was changed at run time and what discovery has given names, ports and ages to.
//!
//! One process at a time holds it (`lock`, flock). A write replaces the whole document by rename, after both it
//! and the folder are on disk: whoever is killed, at whatever moment, leaves the old document or the new one.

mod document;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use serde::{Serialize, de::DeserializeOwned};

pub use document::DocumentError;

const DOCUMENT: &str = "state";
const DRAFT: &str = "state.new";
const LOCK: &str = "lock";
/// Longer than a document takes to be written.
const DRAFT_LIFE: Duration = Duration::from_mins(1);

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder or a file in it cannot be reached.
    #[error("{} cannot be {verb}: {source}; give the agent a folder that it may write with --state-dir", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a participle.
        verb: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process holds it.
    #[error(
        "the state folder {} is in use by process {holder}; one agent at a time writes it: stop that one, or give \
         another --state-dir",
        path.display()
    )]
    Held {
        /// The folder.
        path: PathBuf,
        /// Process id that the holder wrote into its lock file; `?` where it is not readable.
        holder: String,
    },
    /// The document does not read back.
    #[error(
        "{} does not read back: {source}; weights and conditions given at run time are in it: restore the file from \
         a backup, or move it away to start from the configuration files alone",
        path.display()
    )]
    Broken {
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        source: DocumentError,
    },
}

/// A document to be kept, for one that only one process writes.
#[derive(Debug)]
pub struct Document(Vec<u8>);

impl Document {
    /// The document that holds `value`.
    ///
    /// # Errors
    /// A value that has no form in JSON.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, DocumentError> {
        document::encode(value).map(Self)
    }

    /// Replaces the document at `path`, making its folder where it is missing. On return it is on disk; on an error the
    /// old one still is.
    ///
    /// # Errors
    /// Where that cannot be written.
    pub fn store(&self, path: &Path) -> Result<(), StateError> {
        replace(path, &self.0).map_err(|source| StateError::Io {
            path: path.to_owned(),
            verb: "written",
            source,
        })
    }
}

/// Removes what those left who died while they replaced the document at `path`: drafts that nobody has written to for
/// a minute.
pub fn remove_drafts(path: &Path) {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_name()) else { return };
    let is_old = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > DRAFT_LIFE))
    };
    let is_draft = |path: &Path| {
        path.extension().is_some_and(|end| end == "new")
            && path.file_stem().map(Path::new).and_then(Path::file_stem) == Some(stem)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_draft(&entry.path()) && is_old(&entry) {
            // What cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Agents in pods have the same process id, and two may write for a moment.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let draft = path.with_extension(format!("{}-{}.new", std::process::id(), now.as_nanos()));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let written = write_draft(&draft, bytes).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written?;
    // The rename is durable only once the folder is.
    File::open(folder)?.sync_all()
}

/// Reads the document at `path`; `None` where there is none.
pub fn load_document<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateError::Io { path: path.to_owned(), verb: "read", source }),
    };
    document::decode(&bytes).map(Some).map_err(|source| StateError::Broken { path: path.to_owned(), source })
}

fn write_draft(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    draft.write_all(bytes)?;
    draft.sync_all()
}

/// The folder, opened, and locked while [`StateFolder::is_held`].
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    lock: File,
    held: bool,
}

impl StateFolder {
    /// Opens `path`, creating it with mode 0700 where it does not exist. Takes no lock yet.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let fail = |verb, at: &Path| {
            let at = at.to_owned();
            move |source| StateError::Io { path: at, verb, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail("created", path))?;
        let lock = path.join(LOCK);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .map_err(fail("opened", &lock))?;
        Ok(Self { path: path.to_owned(), lock: file, held: false })
    }

    /// Takes the lock and writes this process's id into it.
    ///
    /// # Errors
    /// [`StateError::Held`] where another process has it: the lock is tried, not waited for.
    pub fn take(&mut self) -> Result<(), StateError> {
        if self.held {
            return Ok(());
        }
        match flock(&self.lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StateError::Held { path: self.path.clone(), holder: self.holder() });
            }
            Err(error) => return Err(self.fail("locked", LOCK)(error.into())),
        }
        self.held = true;
        let write = || {
            self.lock.set_len(0)?;
            std::os::unix::fs::FileExt::write_all_at(&self.lock, std::process::id().to_string().as_bytes(), 0)
        };
        write().map_err(self.fail("written", LOCK))
    }

    /// Gives the lock back, for a successor to take.
    pub fn release(&mut self) {
        if self.held && flock(&self.lock, FlockOperation::Unlock).is_ok() {
            self.held = false;
        }
    }

    /// Whether this process may write the document.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Reads the document; `None` where none was ever written.
    pub fn load<T: DeserializeOwned>(&self) -> Result<Option<T>, StateError> {
        load_document(&self.path.join(DOCUMENT))
    }

    /// Replaces the document. On return it is on disk; on an error the old one still is.
    ///
    /// # Panics
    /// Without the lock.
    pub fn store<T: Serialize>(&self, value: &T) -> Result<(), StateError> {
        assert!(self.held, "the state folder is written by the holder of its lock only");
        let bytes = document::encode(value)
            .map_err(|source| StateError::Broken { path: self.path.join(DOCUMENT), source })?;
        write_draft(&self.path.join(DRAFT), &bytes).map_err(self.fail("written", DRAFT))?;
        fs::rename(self.path.join(DRAFT), self.path.join(DOCUMENT))
            .map_err(self.fail("replaced", DOCUMENT))?;
        // The rename is durable only once the folder is.
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(self.fail("synced", DOCUMENT))
    }

    fn holder(&self) -> String {
        match fs::read_to_string(self.path.join(LOCK)) {
            Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
            Ok(_) | Err(_) => "?".to_owned(),
        }
    }

    fn fail(&self, verb: &'static str, file: &str) -> impl FnOnce(io::Error) -> StateError + use<> {
        let path = self.path.join(file);
        move |source| StateError::Io { path, verb, source }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Value = BTreeMap<String, u32>;

    fn opened(path: &Path) -> StateFolder {
        let mut folder = StateFolder::open(path).unwrap();
        folder.take().unwrap();
        folder
    }

    #[test]
    fn what_was_stored_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = opened(dir.path());
        assert_eq!(folder.load::<Value>().unwrap(), None);
        let value = Value::from([("weight".to_owned(), 95)]);
        folder.store(&value).unwrap();
        assert_eq!(folder.load::<Value>().unwrap(), Some(value));
    }

    #[test]
    fn a_second_holder_is_refused_and_told_the_first_one_s_process_id() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = opened(dir.path());
        let mut second = StateFolder::open(dir.path()).unwrap();
        let error = second.take().unwrap_err();
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        first.release();
        second.take().unwrap();
        assert!(second.is_held() && !first.is_held());
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = opened(dir.path());
        folder.store(&Value::from([("a".to_owned(), 1)])).unwrap();
        let good = fs::read(dir.path().join(DOCUMENT)).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(dir.path().join(DOCUMENT), &bad).unwrap();
            let error = folder.load::<Value>().expect_err("a flipped bit was read as the state");
            assert!(matches!(error, StateError::Broken { .. }), "{error}");
        }
    }

    #[test]
    fn every_truncation_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = opened(dir.path());
        folder.store(&Value::from([("a".to_owned(), 1)])).unwrap();
        let good = fs::read(dir.path().join(DOCUMENT)).unwrap();
        for length in 0..good.len() {
            fs::write(dir.path().join(DOCUMENT), &good[..length]).unwrap();
            assert!(
                folder.load::<Value>().is_err(),
                "{length} bytes of {} were read as the state",
                good.len()
            );
        }
    }
}
