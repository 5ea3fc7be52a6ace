//! The fuzzer's binary: how it is built and called.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::progress::complaint;
use crate::{
    cache,
    exec::{cargo, command, read, root, show},
};

/// What libFuzzer looks at to see whether an input reached something new: edges, and what is compared with what.
const GUIDED: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Seconds after which one input is one that hangs; a slow machine takes milliseconds.
const TIMEOUT: u32 = 10;
/// Seconds that are spent on each attempt to make an input shorter.
const SHORTENING: u32 = 5;

/// The built binary.
pub struct Fuzzer {
    binary: PathBuf,
}

impl Fuzzer {
    /// Builds it.
    pub fn build() -> Result<Self> {
        let version = read(command("rustc").arg("-vV"))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc says no host")?;
        // Named, so that the flags are not those of build scripts as well.
        let package = ["build", "--package", "gateway-fuzz", "--features", "libfuzzer"];
        let mut build = cargo(&package);
        build.args(["--profile", "fuzz", "--target", host]);
        show(build.env("RUSTFLAGS", GUIDED).env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        Ok(Self { binary: root().join(target).join(host).join("fuzz/weir-fuzz") })
    }

    /// Holds one input against a target's promises.
    pub fn again(&self, target: &str, input: &Path) -> Result<()> {
        let input = input.canonicalize().with_context(|| format!("{}", input.display()))?;
        let output = self.command(target).arg(input).output().context("starting the fuzzer")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().map(str::to_owned).collect();
        ensure!(output.status.success(), "{target} breaks a promise: {}", complaint(&lines));
        eprintln!("weir: {target} keeps its promises on this input");
        Ok(())
    }

    /// The command that fuzzes a target for `seconds`.
    pub fn search(&self, target: &str, seconds: u32) -> Result<Command> {
        let [corpus, broken] = [corpus(target)?, broken(target)?];
        for folder in [&corpus, &broken] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let tests = root().join("tests");
        let mut command = self.command(target);
        command
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", broken.display()))
            .arg(format!("-dict={}/fuzz/dictionaries/{target}.dict", tests.display()))
            .args(["-print_final_stats=1", "-print_funcs=0"])
            // New inputs go to the first folder.
            .args([corpus, tests.join("fuzz-seeds").join(target)]);
        Ok(command)
    }

    /// Makes a shorter input that breaks a promise as well; `None` where there is none.
    pub fn shorten(&self, target: &str, input: &Path) -> Result<Option<PathBuf>> {
        let shorter = input.with_extension("short");
        let mut command = self.command(target);
        command
            .args(["-minimize_crash=1".to_owned(), format!("-max_total_time={SHORTENING}")])
            .arg(format!("-exact_artifact_path={}", shorter.display()))
            .arg(input);
        // Whether something could be left out, the file tells.
        command.output().context("starting the fuzzer")?;
        Ok(shorter.is_file().then_some(shorter))
    }

    fn command(&self, target: &str) -> Command {
        let mut command = command(&self.binary);
        command.env("WEIR_FUZZ_TARGET", target).env("RUST_BACKTRACE", "0").arg(format!("-timeout={TIMEOUT}"));
        command
    }
}

/// Where inputs are kept that reached something new.
fn corpus(target: &str) -> Result<PathBuf> {
    Ok(cache::dir()?.join("fuzz").join(target).join("corpus"))
}

/// Where inputs are kept that broke a promise.
fn broken(target: &str) -> Result<PathBuf> {
    Ok(cache::dir()?.join("fuzz").join(target).join("broken"))
}
