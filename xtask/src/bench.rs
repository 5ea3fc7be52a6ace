//! `cargo xtask bench`: figures of this machine.

use anyhow::Result;
use clap::Subcommand;

use crate::{
    cluster,
    exec::{cargo, need_root, show},
    setup,
};

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Nanoseconds per packet, by `BPF_PROG_TEST_RUN` (as root)
    Packet,
    /// How fast a change is followed by Weir and by kube-proxy, on a cluster with thousands of endpoints (as root)
    Convergence(cluster::convergence::Args),
    /// Resolving, planning, rings and picks: what a change costs before the kernel hears of it
    Model,
}

/// Measures.
pub fn command(args: &Args) -> Result<()> {
    match &args.what {
        What::Packet => {
            need_root("measuring the packet path")?;
            setup::to_run()?;
            // The kernel programs are the same in every profile.
            let packets = ["test", "--package", "gateway-tests", "--test", "packet", "--"];
            show(cargo(&packets).args(["--ignored", "--nocapture", "speed"]))
        }
        What::Convergence(args) => {
            need_root("measuring on a cluster")?;
            cluster::convergence::measure(args)
        }
        What::Model => {
            show(&mut cargo(&["bench", "--package", "gateway-model", "--bench", "model", "--bench", "rings"]))
        }
    }
}
