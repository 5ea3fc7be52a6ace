//! `cargo xtask fuzz`: libFuzzer on the parsers of the language.
//!
//! Targets are the folders of `tests/fuzz-seeds`; what they promise is in `tests/fuzz`. Inputs that reached
//! something new are kept in the cache folder, so that the next run goes on where this one ends.

mod fuzzer;
mod progress;
mod run;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::{exec::root, setup};
use fuzzer::Fuzzer;

/// Arguments of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this target
    target: Option<String>,
    /// How long for each target
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// How many processes at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,
    /// Hold this one file against the target's promises instead
    #[arg(long, requires = "target", conflicts_with_all = ["seconds", "jobs"])]
    input: Option<PathBuf>,
}

/// Fuzzes, or runs one input again.
pub fn command(args: &Args) -> Result<()> {
    let mut targets = targets()?;
    if let Some(wanted) = &args.target {
        ensure!(targets.contains(wanted), "there is no target `{wanted}`: {}", targets.join(", "));
        targets.retain(|target| target == wanted);
    }
    setup::to_fuzz()?;
    let fuzzer = Fuzzer::build()?;
    match &args.input {
        Some(input) => fuzzer.again(&targets[0], input),
        None => fuzz(&fuzzer, &targets, args.seconds, args.jobs),
    }
}

/// Fuzzes every target for `seconds`.
pub fn every_target(seconds: u32) -> Result<()> {
    setup::to_fuzz()?;
    fuzz(&Fuzzer::build()?, &targets()?, seconds, 1)
}

fn fuzz(fuzzer: &Fuzzer, targets: &[String], seconds: u32, jobs: u32) -> Result<()> {
    let mut broken = Vec::new();
    for target in targets {
        if let Some(found) = run::run(fuzzer, target, seconds, jobs)? {
            eprintln!("{found}");
            broken.push(target.as_str());
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("broken promises: {}", broken.join(", ")) }
}

fn targets() -> Result<Vec<String>> {
    let seeds = root().join("tests/fuzz-seeds");
    let entries = fs::read_dir(&seeds).with_context(|| format!("reading {}", seeds.display()))?;
    let mut targets = Vec::new();
    for entry in entries {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    Ok(targets)
}
