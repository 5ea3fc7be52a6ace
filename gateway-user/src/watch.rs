//! Files and folders that are followed: their contents now, and again whenever they change.
//!
//! The folders that hold them are watched, not the files: a file that is replaced by rename is another inode.
//! Events only wake the reader; what changed is found by looking. A look every [`LOOK`] besides covers what has no
//! events (a symbolic link's target, a network file system), so a change is acted upon within half a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecursiveMode, Watcher as _};
use tokio::{
    select,
    sync::{Notify, watch},
    task, time,
};

/// Time between looks without an event.
const LOOK: Duration = Duration::from_millis(300);
/// How long nothing may have changed before a change is read: a file written in several steps is read once.
const SETTLED: Duration = Duration::from_millis(40);
/// How often a change that does not settle is looked at before it is read as it is.
const SETTLING_LOOKS: usize = 4;

/// Longest text that is read, in bytes; the model's own bound is below.
const LONGEST: u64 = 16 << 20;

/// What was read: by path, the text, or why there is none.
pub type Texts = BTreeMap<PathBuf, Result<Arc<str>, ReadError>>;

/// Why a file that was named has no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It does not exist.
    #[error("there is no such file or folder")]
    Missing,
    /// It exists and cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is longer than any text that is read.
    #[error("it has more than {0} bytes")]
    TooLong(u64),
    /// It is not UTF-8; the offset counts bytes.
    #[error("it is not UTF-8 text from byte {0} on")]
    NotText(usize),
}

/// What tells one version of a file from another without reading it.
type Signature = BTreeMap<PathBuf, Option<(u64, u64, u64, i64, i64)>>;

/// Files and folders, followed. Of a folder, the files `*.yaml`, `*.yml` and `*.json` directly in it count,
/// except those whose names start with a dot.
#[derive(Debug)]
pub struct Watch {
    paths: Arc<[PathBuf]>,
    wake: Arc<Notify>,
    seen: Signature,
    texts: Texts,
    // Dropping it ends the events.
    _events: Option<notify::RecommendedWatcher>,
}

impl Watch {
    /// Follows `paths` and reads them for the first time.
    pub fn new(paths: &[PathBuf]) -> Self {
        let wake = Arc::new(Notify::new());
        let events = watch_folders(paths, &wake);
        Self { paths: paths.into(), wake, seen: look(paths), texts: read(paths), _events: events }
    }

    /// What was read last.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Goes on in a task of the current runtime, which tells what is read each time that a text has changed. The
    /// task ends with the last receiver.
    pub fn follow(mut self) -> watch::Receiver<Texts> {
        let (sender, receiver) = watch::channel(self.texts.clone());
        tokio::spawn(async move {
            loop {
                select! {
                    () = sender.closed() => return,
                    texts = self.changed() => drop(sender.send(texts.clone())),
                }
            }
        });
        receiver
    }

    /// Waits until a text differs from the last one read, and returns all of them. Whoever drops the future and
    /// calls again and again may wait forever: [`Watch::follow`] does not.
    async fn changed(&mut self) -> &Texts {
        loop {
            // An event or the next look, whichever is first.
            let _ = time::timeout(LOOK, self.wake.notified()).await;
            let mut now = self.look().await;
            if now == self.seen {
                continue;
            }
            for _ in 0..SETTLING_LOOKS {
                time::sleep(SETTLED).await;
                let later = self.look().await;
                if later == now {
                    break;
                }
                now = later;
            }
            let texts = self.read().await;
            self.seen = now;
            if texts != self.texts {
                self.texts = texts;
                return &self.texts;
            }
        }
    }

    async fn look(&self) -> Signature {
        let paths = Arc::clone(&self.paths);
        task::spawn_blocking(move || look(&paths)).await.expect("looking at files does not panic")
    }

    async fn read(&self) -> Texts {
        let paths = Arc::clone(&self.paths);
        task::spawn_blocking(move || read(&paths)).await.expect("reading files does not panic")
    }
}

fn watch_folders(paths: &[PathBuf], wake: &Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let wake = Arc::clone(wake);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading raises Access events of its own, which must not wake us.
        if !event.is_ok_and(|event| event.kind.is_access() && !is_close_after_write(event.kind)) {
            wake.notify_one();
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "no file events from the system, files are looked at every {LOOK:?} instead");
            return None;
        }
    };
    for folder in paths.iter().map(|path| folder_of(path)).collect::<BTreeSet<_>>() {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            tracing::warn!(folder = %folder.display(), %error, "no events for this folder, it is looked at instead");
        }
    }
    Some(watcher)
}

fn is_close_after_write(kind: notify::EventKind) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    kind == EventKind::Access(AccessKind::Close(AccessMode::Write))
}

fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// The files that `paths` stand for now; a path that does not exist stands for itself.
fn files(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for path in paths {
        match fs::read_dir(path) {
            Ok(entries) => {
                files.extend(entries.flatten().map(|entry| entry.path()).filter(|path| counts(path)));
            }
            Err(_) => drop(files.insert(path.clone())),
        }
    }
    files
}

fn counts(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().and_then(|extension| extension.to_str());
    !hidden && matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file()
}

fn look(paths: &[PathBuf]) -> Signature {
    let signature = |path: &PathBuf| {
        let of = fs::metadata(path).ok()?;
        Some((of.dev(), of.ino(), of.size(), of.mtime(), of.mtime_nsec()))
    };
    files(paths).into_iter().map(|path| (path.clone(), signature(&path))).collect()
}

/// Reads files, and of folders the files that count.
pub fn read(paths: &[PathBuf]) -> Texts {
    files(paths).into_iter().map(|path| (path.clone(), read_text(&path))).collect()
}

fn read_text(path: &Path) -> Result<Arc<str>, ReadError> {
    let file = fs::File::open(path).map_err(|error| {
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        if is_missing { ReadError::Missing } else { ReadError::Unreadable(error.to_string()) }
    })?;
    read_from(file)
}

/// Reads a text to its end, which some things that can be read have not.
pub fn read_from(source: impl io::Read) -> Result<Arc<str>, ReadError> {
    let mut bytes = Vec::new();
    let read = source.take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| ReadError::Unreadable(error.to_string()))?;
    if bytes.len() as u64 > LONGEST {
        return Err(ReadError::TooLong(LONGEST));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => Err(ReadError::NotText(error.utf8_error().valid_up_to())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Acting takes as long as reading, once noticed; half a second is what is promised to users.
    const PROMISED: Duration = Duration::from_millis(500);

    fn current_thread() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// Does `change` and returns what is read because of it.
    fn after(watch: &mut Watch, change: impl FnOnce()) -> Texts {
        current_thread().block_on(async {
            change();
            let changed = Instant::now();
            let texts =
                time::timeout(Duration::from_secs(5), watch.changed()).await.expect("never noticed").clone();
            assert!(changed.elapsed() < PROMISED, "noticed after {:?}", changed.elapsed());
            texts
        })
    }

    fn text(texts: &Texts, path: &Path) -> String {
        texts[path].clone().unwrap().to_string()
    }

    #[test]
    fn a_file_written_in_place_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&file));
        assert_eq!(text(watch.texts(), &file), "one");
        let texts = after(&mut watch, || fs::write(&file, "two").unwrap());
        assert_eq!(text(&texts, &file), "two");
    }

    #[test]
    fn a_follower_who_is_busy_with_other_things_misses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, "one").unwrap();
        current_thread().block_on(async {
            let mut texts = Watch::new(std::slice::from_ref(&file)).follow();
            fs::write(&file, "two").unwrap();
            let changed = Instant::now();
            // Never patient for as long as a change takes to settle.
            while time::timeout(Duration::from_millis(5), texts.changed()).await.is_err() {
                assert!(changed.elapsed() < Duration::from_secs(5), "never noticed");
            }
            assert_eq!(text(&texts.borrow_and_update(), &file), "two");
        });
    }

    #[test]
    fn a_file_replaced_by_rename_is_followed_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, "0").unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&file));
        for round in 1..=5 {
            let texts = after(&mut watch, || {
                let draft = dir.path().join("draft");
                fs::write(&draft, round.to_string()).unwrap();
                fs::rename(&draft, &file).unwrap();
            });
            assert_eq!(text(&texts, &file), round.to_string());
        }
    }

    #[test]
    fn files_that_appear_in_and_leave_a_folder_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(&[dir.path().to_owned()]);
        assert!(watch.texts().is_empty());
        let file = dir.path().join("b.json");
        let texts = after(&mut watch, || fs::write(&file, "{}").unwrap());
        assert_eq!(text(&texts, &file), "{}");
        let texts = after(&mut watch, || fs::remove_file(&file).unwrap());
        assert!(texts.is_empty());
    }

    #[test]
    fn a_link_to_another_version_of_its_folder_is_followed() {
        // As Kubernetes mounts a ConfigMap: `a.yaml` → `..data/a.yaml`, and `..data` is replaced by rename.
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (folder, content) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(at(folder)).unwrap();
            fs::write(at(folder).join("a.yaml"), content).unwrap();
        }
        std::os::unix::fs::symlink("..1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.yaml", at("a.yaml")).unwrap();
        let mut watch = Watch::new(&[dir.path().to_owned()]);
        assert_eq!(text(watch.texts(), &at("a.yaml")), "one");
        let texts = after(&mut watch, || {
            std::os::unix::fs::symlink("..2", at("..new")).unwrap();
            fs::rename(at("..new"), at("..data")).unwrap();
        });
        assert_eq!(text(&texts, &at("a.yaml")), "two");
    }

    #[test]
    fn a_named_file_that_is_missing_or_no_text_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (missing, binary) = (dir.path().join("none.yaml"), dir.path().join("binary.yaml"));
        fs::write(&binary, b"ab\xff").unwrap();
        let watch = Watch::new(&[missing.clone(), binary.clone()]);
        assert_eq!(watch.texts()[&missing], Err(ReadError::Missing));
        assert_eq!(watch.texts()[&binary], Err(ReadError::NotText(2)));
    }

    #[test]
    fn other_files_of_a_folder_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["notes.txt", ".hidden.yaml", "a.yaml~", "good.yml"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let watch = Watch::new(&[dir.path().to_owned()]);
        assert_eq!(watch.texts().keys().collect::<Vec<_>>(), [&dir.path().join("good.yml")]);
    }
}
