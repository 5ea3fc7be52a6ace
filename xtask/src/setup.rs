//! What the commands need: parts of the Rust toolchain, bpf-linker, Debian packages, mounts. Each part looks
//! whether it is there, and says nothing if so.

pub mod coredns;
pub mod debian;
pub mod fuzzer;
pub mod go;
pub mod h2spec;
pub mod kubernetes;
pub mod kwok;
pub mod linker;
pub mod mounts;
pub mod toolchain;

use anyhow::Result;

/// All of it.
pub fn everything() -> Result<()> {
    toolchain::ensure_lints()?;
    to_test()?;
    to_fuzz()?;
    eprintln!("weir: everything is set up");
    Ok(())
}

/// What building takes.
pub fn to_build() -> Result<()> {
    debian::ensure(debian::TO_BUILD)?;
    toolchain::ensure_source()?;
    linker::ensure()
}

/// What running Weir in namespaces takes.
pub fn to_run() -> Result<()> {
    to_build()?;
    debian::ensure(debian::TO_RUN)?;
    mounts::ensure()
}

/// What fuzzing takes.
pub fn to_fuzz() -> Result<()> {
    fuzzer::ensure()
}

/// What the tests take.
pub fn to_test() -> Result<()> {
    to_run()?;
    kubernetes::ensure()?;
    h2spec::ensure()
}
