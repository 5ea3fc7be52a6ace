//! The commands of `cargo xtask`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// Root of the workspace.
pub(super) fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a folder")
}

/// Runs `cargo xtask` with these arguments; its standard output. `WEIR_XTASK` names the program where that is what
/// runs all this.
pub(super) fn run(arguments: &[&str]) -> Result<String> {
    let mut command = if let Some(program) = env::var_os("WEIR_XTASK") {
        Command::new(PathBuf::from(program))
    } else {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["run", "--quiet", "--package", "xtask", "--"]);
        cargo
    };
    crate::netns::run(command.current_dir(root()?).args(arguments))
}
