//! Programs in Go: each a small module below xtask/go that pins everything it is built from, built once per machine
//! into the cache folder.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    cache,
    exec::{command, is_installed, read, step},
};

/// The minor version of Go 1 that the modules ask for.
const MINOR: u32 = 26;
/// Where the archive of go.dev goes.
const USUAL: &str = "/usr/local/go/bin/go";

/// A program to build.
#[derive(Debug)]
pub struct Program {
    /// What the binary is called.
    pub name: &'static str,
    /// Its folder in the cache folder, with the version.
    pub folder: &'static str,
    /// Name and text of the module's files.
    pub files: &'static [(&'static str, &'static str)],
    /// For the linker, besides leaving out symbols.
    pub definitions: &'static [&'static str],
    /// How long it takes, for the impatient.
    pub takes: &'static str,
}

impl Program {
    /// Builds it where it is missing; where it is.
    ///
    /// # Errors
    /// With what the compiler said; a part of a binary is never left behind.
    pub fn ensure(&self) -> Result<PathBuf> {
        let dir = cache::dir()?.join(self.folder);
        let binary = dir.join(self.name);
        if binary.is_file() {
            return Ok(binary);
        }
        let go = find()?;
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        // Of two that come at once, one builds and the other waits.
        let lock = File::open(&dir).with_context(|| format!("opening {}", dir.display()))?;
        lock.lock().with_context(|| format!("locking {}", dir.display()))?;
        if !binary.is_file() {
            let what = format!("building {} ({}), once per machine ({})", self.name, self.folder, self.takes);
            step(&what, || self.build(&go, &dir, &binary))?;
        }
        Ok(binary)
    }

    fn build(&self, go: &Path, dir: &Path, binary: &Path) -> Result<()> {
        let source = dir.join("src");
        fs::create_dir_all(&source)?;
        for (name, text) in self.files {
            fs::write(source.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        let part = dir.join(format!("{}.part", self.name));
        let definitions = self.definitions.iter().map(|definition| format!(" -X {definition}"));
        let flags: String = std::iter::once("-s -w".to_owned()).chain(definitions).collect();
        let mut build = command(go);
        build.current_dir(&source).env("CGO_ENABLED", "0");
        build.args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &flags, "-o"]).arg(&part).arg(".");
        read(&mut build)?;
        fs::rename(&part, binary).context("moving the finished binary into place")
    }
}

/// Builds the program `name` of a published module that pins what it needs itself, where it is missing from `folder` of
/// the cache folder; where it is.
pub fn install(name: &str, module: &str, folder: &str) -> Result<PathBuf> {
    let dir = cache::dir()?.join(folder);
    let binary = dir.join(name);
    if !binary.is_file() {
        let go = find()?;
        step(&format!("building {name} ({folder}), once per machine"), || {
            // Moved into place by Go once it is whole.
            let flags = ["install", "-trimpath", "-ldflags", "-s -w", module];
            read(command(go).args(flags).env("CGO_ENABLED", "0").env("GOBIN", &dir)).map(drop)
        })?;
    }
    Ok(binary)
}

/// A Go that is new enough, or one that fetches such a one by itself.
fn find() -> Result<PathBuf> {
    let found = ["go", USUAL].into_iter().filter(|go| is_installed(go) || Path::new(go).is_file());
    let mut seen = Vec::new();
    for go in found {
        let version = read(command(go).args(["env", "GOVERSION"]))?;
        let version = version.trim();
        if minor(version).is_some_and(|minor| minor >= MINOR) {
            return Ok(go.into());
        }
        seen.push(format!("{go} is {version}"));
    }
    let seen = if seen.is_empty() { "there is none".to_owned() } else { seen.join(", ") };
    bail!("Go 1.{MINOR} or newer is needed; {seen}: unpack https://go.dev/dl to /usr/local/go")
}

/// 26 of `go1.26.8`.
fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_read() {
        assert_eq!(minor("go1.26.8"), Some(26));
        assert_eq!(minor("go1.27rc1"), Some(27));
        assert_eq!(minor("devel"), None);
    }
}
