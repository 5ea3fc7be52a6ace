//! `cargo xtask test`: unit tests, packets over `TEST_RUN`, the proxy on sockets, namespaces with real XDP, and
//! the demos as a check: in namespaces, and on a cluster.

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
    /// Run the slow tests too (those marked as ignored), the demo on three nodes instead of two, the tests on a cluster,
    /// the fuzzer for a while, and the commands of README.md
    #[arg(long)]
    all: bool,
    /// Only the tests whose names contain this; without the demos
    filter: Option<String>,
}

/// Runs them; all of them, also after a failure.
pub fn command(args: &Args) -> Result<()> {
    need_root("testing Weir")?;
    setup::to_test()?;
    setup::kubernetes::ensure()?;
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
    if args.filter.is_none() {
        let mut try_out = |what: &str, done: Result<()>| {
            failed.extend(done.err().map(|error| format!("{what}: {error:#}")));
        };
        try_out("demo", demo::check(&weir));
        try_out("cluster demo", cluster::demo::check(if args.all { 3 } else { 2 }));
        if args.all {
            try_out("cluster test", cluster::suite::check());
            try_out("fuzz", fuzz::every_target(FUZZING_SECONDS));
            try_out("README.md", readme::run());
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\n")) }
}
