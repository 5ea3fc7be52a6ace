//! Programs in Go: each a small module below xtask/go that pins everything it is built from, built once per machine
//! into the cache folder.

use std::{
    env::consts::ARCH,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::debian;
use crate::{
    cache,
    exec::{command, is_installed, read, step},
};

/// The minor version of Go 1 that the modules ask for, and a release of it.
const MINOR: u32 = 26;
const VERSION: &str = "1.26.8";
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

/// A Go that is new enough: this machine's, else one of the cache folder, fetched by whichever Go there is.
fn find() -> Result<PathBuf> {
    let own = cache::dir()?.join(format!("go-{VERSION}"));
    let places = [PathBuf::from("go"), PathBuf::from(USUAL), own.join("bin/go")];
    let is_there = |go: &&PathBuf| go.is_file() || is_installed(&go.to_string_lossy());
    for go in places.iter().filter(is_there) {
        let version = read(command(go).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local"))?;
        if minor(version.trim()).is_some_and(|minor| minor >= MINOR) {
            return Ok(go.clone());
        }
    }
    debian::ensure(&[("go", "golang-go")])?;
    step(&format!("fetching Go {VERSION}"), || fetch(&own))
        .with_context(|| format!("Go 1.{MINOR} is needed: unpack https://go.dev/dl to /usr/local/go"))?;
    Ok(own.join("bin/go"))
}

/// Fetches the toolchain as the module that it also is, which an old Go can do (and check), though not use.
fn fetch(place: &Path) -> Result<()> {
    let architecture = if ARCH == "aarch64" { "arm64" } else { "amd64" };
    let module = format!("golang.org/toolchain@v0.0.1-go{VERSION}.linux-{architecture}");
    let part = place.with_added_extension("part");
    fs::create_dir_all(&part)?;
    let mut download = command("go");
    download.current_dir(&part).env("GOMODCACHE", part.join("modules")).env("GOFLAGS", "-modcacherw");
    read(download.args(["mod", "download", &module]))?;
    let unpacked = part.join("modules").join(module);
    // A module's files are never executable.
    read(command("chmod").args(["-R", "+x"]).arg(unpacked.join("bin")).arg(unpacked.join("pkg/tool")))?;
    fs::rename(unpacked, place).context("moving Go into place")?;
    fs::remove_dir_all(&part).with_context(|| format!("removing {}", part.display()))
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
