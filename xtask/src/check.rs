//! `cargo xtask check`: format, lints, and the rules of the house.

use anyhow::{Result, bail};

use crate::{
    exec::{cargo, show, step},
    setup, tidy,
};

/// One check.
type Check = fn() -> Result<()>;

/// Does all of them, also after a failure.
pub fn command() -> Result<()> {
    setup::toolchain::ensure_lints()?;
    setup::to_build()?;
    let checks: [(&str, Check); 4] = [
        ("checking the format", format),
        ("checking the lints of the workspace", lints),
        ("checking the lints of the kernel programs", kernel_lints),
        ("checking the rules of the house", tidy::command),
    ];
    let failed: Vec<_> = checks.into_iter().filter_map(|(what, check)| step(what, check).err()).collect();
    for error in &failed {
        eprintln!("weir: {error:#}");
    }
    if failed.is_empty() { Ok(()) } else { bail!("{} of {} checks failed", failed.len(), checks.len()) }
}

fn format() -> Result<()> {
    show(&mut cargo(&["fmt", "--all", "--check"]))
}

fn lints() -> Result<()> {
    let workspace = ["clippy", "--workspace", "--exclude", "gateway-ebpf", "--all-targets"];
    // The fuzzer is behind a feature.
    let features = ["--features", "gateway-fuzz/driver"];
    show(cargo(&workspace).args(features).args(["--", "-D", "warnings"]))
}

/// The kernel programs only build for their own target, against a `core` built on the way, which takes a flag
/// that the stable toolchain has to be talked into.
fn kernel_lints() -> Result<()> {
    let kernel =
        ["clippy", "--package", "gateway-ebpf", "--target", "bpfel-unknown-none", "-Zbuild-std=core"];
    let mut cargo = cargo(&kernel);
    cargo.args(["--target-dir", "target/ebpf-check", "--", "-D", "warnings"]).env("RUSTC_BOOTSTRAP", "1");
    show(&mut cargo)
}
