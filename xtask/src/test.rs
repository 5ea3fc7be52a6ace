//! `cargo xtask test`: unit tests, packets over `TEST_RUN`, the proxy on sockets, namespaces with real XDP, and
//! both demos as checks, one of them on a real cluster.

use anyhow::{Result, bail};

use crate::{
    build::{self, Profile},
    cluster, demo,
    exec::{cargo, need_root, show},
    fuzz, readme, setup,
};

/// How long each target is fuzzed where all tests are run.
const FUZZING_SECONDS: u32 = 20;

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run the slow tests too (those marked as ignored), the fuzzer for a while, and the commands of README.md
    #[arg(long)]
    all: bool,
    /// Only the tests whose names contain this; without the demo
    filter: Option<String>,
}

/// Runs them; all of them, also after a failure.
pub fn command(args: &Args) -> Result<()> {
    need_root("testing Weir")?;
    setup::to_test()?;
    let weir = build::build("gateway-user", "weir", Profile::Dev)?;
    let mut tests = cargo(&["test", "--workspace", "--exclude", "gateway-ebpf", "--no-fail-fast"]);
    if args.all {
        // Properties of the model, ten times as many cases as usual.
        tests.env("WEIR_PROPTEST_FACTOR", "10");
    }
    tests.env("WEIR_BIN", &weir);
    tests.env("WEIR_KUBE", setup::kubernetes::kube()?);
    tests.args(&args.filter).arg("--").args(args.all.then_some("--include-ignored"));
    let mut failed = Vec::new();
    if let Err(error) = show(&mut tests) {
        failed.push(format!("{error:#}"));
    }
    if args.filter.is_none()
        && let Err(error) = demo::check(&weir)
    {
        failed.push(format!("{error:#}"));
    }
    // The whole story on a real cluster; with all tests on as many nodes as it is told for.
    if args.filter.is_none()
        && let Err(error) = cluster::demo::check(if args.all { 3 } else { 2 })
    {
        failed.push(format!("the story on a cluster: {error:#}"));
    }
    if args.all && args.filter.is_none() {
        if let Err(error) = fuzz::every_target(FUZZING_SECONDS) {
            failed.push(format!("{error:#}"));
        }
        if let Err(error) = readme::run() {
            failed.push(format!("README.md: {error:#}"));
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\n")) }
}
