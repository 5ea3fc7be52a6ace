//! Every command that a developer of Weir types: `cargo xtask COMMAND`.
//!
//! Each command first sets up what it needs, by itself; where everything is there that takes milliseconds and
//! says nothing. It depends on none of the workspace's crates, so that it builds before anything else can.

mod bench;
mod build;
mod cache;
mod check;
mod cluster;
mod codegen;
mod demo;
mod exec;
mod fuzz;
mod image;
mod readme;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Every command that a developer of Weir types")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the other commands need; they do it by themselves as well
    Setup,
    /// Build target/release/weir, with the kernel programs in it, and print what the verifier makes of them
    Build,
    /// Run the tests (as root: they make network namespaces and load BPF programs)
    Test(test::Args),
    /// Try to break what the parsers of the language promise, with texts that a fuzzer makes
    Fuzz(fuzz::Args),
    /// Show a canary of real traffic moving from one version to the next (as root)
    Demo(demo::Args),
    /// Check format, lints and the rules of the house
    Check,
    /// Check the rules of the house only
    Tidy,
    /// Write the files that are generated from the code
    Codegen,
    /// A real Kubernetes of several nodes on this machine (as root)
    Cluster(cluster::Args),
    /// Pack the binary as an image, without Docker
    Image(image::Args),
    /// Measure
    Bench(bench::Args),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    match Args::parse().command {
        Command::Setup => setup::everything(),
        Command::Build => build::command_line(),
        Command::Test(args) => test::command(&args),
        Command::Fuzz(args) => fuzz::command(&args),
        Command::Demo(args) => demo::command_line(&args),
        Command::Check => check::command(),
        Command::Tidy => tidy::command(),
        Command::Codegen => codegen::command_line(),
        Command::Cluster(args) => cluster::command_line(&args),
        Command::Image(args) => image::command_line(&args),
        Command::Bench(args) => bench::command(&args),
    }
}

/// The commands there are, for the check that documents name no other.
fn subcommands() -> Vec<String> {
    use clap::CommandFactory as _;
    Args::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}
