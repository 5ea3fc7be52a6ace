//! bpf-linker, which links the kernel programs: one pinned version, built once per machine.

use anyhow::Result;

use crate::{
    cache,
    exec::{command, read, step},
};

/// The build script of gateway-user looks for the same one. Its LLVM must be the one of the toolchain in
/// rust-toolchain.toml: change them together.
const VERSION: &str = "0.10.4";
const FEATURES: &str = "rust-llvm-22";

/// Builds it where it is missing.
pub fn ensure() -> Result<()> {
    let dir = cache::dir()?.join(format!("bpf-linker-{VERSION}"));
    if dir.join("bin/bpf-linker").is_file() {
        return Ok(());
    }
    step(&format!("building bpf-linker {VERSION}, once per machine (about two minutes)"), || {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut install = command(cargo);
        install
            .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--quiet"])
            .args(["--no-default-features", "--features", FEATURES, "--root"])
            .arg(&dir);
        read(&mut install).map(drop)
    })
}
