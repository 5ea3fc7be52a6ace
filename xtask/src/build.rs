//! `cargo xtask build`, and building for the other commands.

use std::{env, path::PathBuf};

use anyhow::Result;

use crate::{
    exec::{cargo, command, read, root, show},
    setup,
};

/// How it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build; for tests.
    Dev,
    /// As it is shipped.
    Release,
}

/// Builds target/release/weir and prints what the verifier makes of its programs.
pub fn command_line() -> Result<()> {
    setup::to_build()?;
    let weir = build("gateway-user", "weir", Profile::Release)?;
    println!("{}", weir.display());
    if read(command("id").arg("-u"))?.trim() == "0" {
        setup::mounts::ensure()?;
        let report = ["run", "--quiet", "--release", "--package", "gateway-user", "--example", "programs"];
        show(&mut cargo(&report))
    } else {
        eprintln!("weir: run this as root to see what the verifier makes of the kernel programs");
        Ok(())
    }
}

/// Builds the binary `name` of `package`; where it is.
pub fn build(package: &str, name: &str, profile: Profile) -> Result<PathBuf> {
    let mut cargo = cargo(&["build", "--package", package, "--bin", name]);
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            cargo.arg("--release");
            "release"
        }
    };
    show(&mut cargo)?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(root().join(target).join(folder).join(name))
}
