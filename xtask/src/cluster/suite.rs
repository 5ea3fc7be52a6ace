//! `cargo xtask cluster test`: what users see of Weir on a cluster, as tests, on a cluster of its own.

use anyhow::{Context, Result};

use super::{demo::Binaries, images, life};
use crate::exec::{cargo, show};

/// Name of the suite's cluster.
const NAME: &str = "test";
/// Pods are to be on nodes that are not asked, and nodes to be left when one is away.
const NODES: u8 = 3;

/// Arguments of `cargo xtask cluster test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Use the cluster that `--name` names, which is up already, and leave it up
    #[arg(long)]
    here: bool,
    /// Only the tests whose names contain this
    filter: Option<String>,
}

/// Runs the suite.
pub fn command_line(name: &str, args: &Args) -> Result<()> {
    let binaries = Binaries::build()?;
    let tars = binaries.pack()?;
    if args.here {
        let (plan, _) = super::existing(name)?;
        tars.iter().try_for_each(|tar| images::load(&plan, tar))?;
        return run(name, args, &binaries);
    }
    let up = life::up(NAME, NODES, &tars);
    let done = up.and_then(|()| run(NAME, args, &binaries));
    let down = life::down(NAME).context("taking the suite's cluster down");
    done.and(down)
}

/// All of it, as a test.
pub fn check() -> Result<()> {
    command_line(NAME, &Args { here: false, filter: None })
}

/// One test after the other: two processors hardly carry a cluster and one load.
fn run(name: &str, args: &Args, binaries: &Binaries) -> Result<()> {
    let mut tests = cargo(&["test", "--package", "gateway-tests", "--test", "cluster"]);
    tests.args(&args.filter).args(["--", "--test-threads", "1"]).env("WEIR_CLUSTER", name);
    show(binaries.tell(&mut tests)?)
}
