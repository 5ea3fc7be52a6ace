//! The application of the cluster's tests: `weir-app serve` answers as one pod of one version, `weir-app load` is who
//! asks, and counts. Both are one binary, so that one image does.

mod ask;
mod load;
mod serve;
mod tally;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(name = "weir-app", about = "A server that says who it is, and a load that counts what it says")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer over HTTP, TCP and UDP with $VERSION, $`POD_NAME`, $`NODE_NAME` and the client as it is seen
    Serve(serve::Args),
    /// Ask at a steady rate; a line of JSON each second, and at the end
    Load(load::Args),
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-app: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let end = told_to_end()?;
        match &args.command {
            Command::Serve(args) => serve::serve(args, end).await,
            Command::Load(args) => load::load(args, end).await,
        }
    })
}

/// Completes at SIGTERM or Ctrl-C; both are caught from now on.
fn told_to_end() -> Result<impl Future<Output = ()>> {
    let [mut terminate, mut interrupt] = [
        signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?,
        signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?,
    ];
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
