//! bpf-linker, which links the kernel programs: one pinned version, built once per machine.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    cache,
    exec::{command, read, step},
};

/// Its LLVM must be the one of the toolchain in rust-toolchain.toml: change them together.
const VERSION: &str = "0.10.4";
const FEATURES: &str = "rust-llvm-22";

/// Folder of its binary.
pub fn bin_dir() -> Result<PathBuf> {
    Ok(install_dir()?.join("bin"))
}

/// Builds it where it is missing.
pub fn ensure() -> Result<()> {
    if bin_dir()?.join("bpf-linker").is_file() {
        return Ok(());
    }
    step(&format!("building bpf-linker {VERSION}, once per machine (about two minutes)"), || {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut install = command(cargo);
        install
            .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--quiet"])
            .args(["--no-default-features", "--features", FEATURES, "--root"])
            .arg(install_dir()?);
        read(&mut install).map(drop)
    })
}

fn install_dir() -> Result<PathBuf> {
    Ok(cache::dir()?.join(format!("bpf-linker-{VERSION}")))
}
