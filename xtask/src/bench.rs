//! `cargo xtask bench`: figures of this machine.

use anyhow::Result;
use clap::Subcommand;

use crate::exec::{cargo, show};

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Resolving, planning, rings and picks: what a change costs before the kernel hears of it
    Model,
}

/// Measures.
pub fn command(args: &Args) -> Result<()> {
    match args.what {
        What::Model => show(&mut cargo(&["bench", "--package", "gateway-model", "--bench", "model"])),
    }
}
