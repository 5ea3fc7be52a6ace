//! `cargo xtask demo`: a canary of real traffic, in namespaces on this machine.

use std::{os::unix::process::CommandExt, path::Path};

use anyhow::{Context, Result};

use crate::{
    build::{self, Profile},
    exec::{command, need_root, show},
    setup,
};

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fail on the first thing that is not as promised; needs no terminal
    #[arg(long)]
    check: bool,
    /// Leave everything up at the end, and print commands to try
    #[arg(long, conflicts_with = "stop")]
    keep: bool,
    /// Take down what --keep left up
    #[arg(long)]
    stop: bool,
}

/// Builds what it takes and becomes the demo, so that Ctrl-C is the demo's.
pub fn command_line(args: &Args) -> Result<()> {
    need_root("the demo")?;
    setup::to_run()?;
    let mut demo = command(build::build("gateway-tests", "weir-demo", Profile::Dev)?);
    if !args.stop {
        demo.env("WEIR_BIN", build::build("gateway-user", "weir", Profile::Dev)?);
    }
    for (flag, wanted) in [("--check", args.check), ("--keep", args.keep), ("--stop", args.stop)] {
        demo.args(wanted.then_some(flag));
    }
    Err(demo.exec()).context("starting the demo")
}

/// The demo as a test, with the binary `weir`.
pub fn check(weir: &Path) -> Result<()> {
    let demo = build::build("gateway-tests", "weir-demo", Profile::Dev)?;
    show(command(demo).arg("--check").env("WEIR_BIN", weir))
}
