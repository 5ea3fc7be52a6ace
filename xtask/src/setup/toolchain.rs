//! Parts of the Rust toolchain: the source of `core`, which the kernel programs are built from, rustfmt and
//! clippy. The toolchain itself is the one that rust-toolchain.toml names; cargo would not run otherwise.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use anyhow::{Context, Result, ensure};

use super::debian;
use crate::exec::{command, is_installed, read, step};

/// The source of the standard library.
pub fn ensure_source() -> Result<()> {
    let place = sysroot()?.join("lib/rustlib/src/rust");
    if place.join("library/core/src/lib.rs").is_file() {
        return Ok(());
    }
    if is_installed("rustup") && component("rust-src").is_ok() {
        return Ok(());
    }
    debian_source(&place).context(
        "the source of the standard library is missing: `rustup component add rust-src`, or the package \
         rust-src of the same version as rustc",
    )
}

/// rustfmt and clippy.
pub fn ensure_lints() -> Result<()> {
    for (name, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if read(crate::exec::cargo(&[subcommand, "--version"]).env("RUSTUP_AUTO_INSTALL", "0")).is_err() {
            component(name).with_context(|| format!("{name} is missing: `rustup component add {name}`"))?;
        }
    }
    Ok(())
}

fn component(name: &str) -> Result<()> {
    step(&format!("adding {name} to the Rust toolchain"), || {
        read(command("rustup").args(["component", "add", name])).map(drop)
    })
}

/// Debian keeps the source of its own rustc under /usr/src; it serves where the versions agree.
fn debian_source(place: &PathBuf) -> Result<()> {
    debian::ensure(&[("/usr/src/rustc", "rust-src")])?;
    let version = read(command("rustc").arg("--version"))?;
    let version = version.split_whitespace().nth(1).context("rustc says no version")?;
    let source = PathBuf::from(format!("/usr/src/rustc-{version}"));
    ensure!(source.join("library").is_dir(), "{} is not there", source.display());
    fs::create_dir_all(place.parent().expect("a path below the sysroot"))?;
    symlink(&source, place).with_context(|| format!("linking {}", place.display()))
}

fn sysroot() -> Result<PathBuf> {
    Ok(PathBuf::from(read(command("rustc").args(["--print", "sysroot"]))?.trim()))
}
