//! The demo on a cluster: a canary of real traffic on a real Kubernetes of several nodes, from a Deployment to its
//! successor, under load from outside and from pods, without one failed request. `cargo xtask cluster demo` runs it.

#![allow(clippy::cast_precision_loss, reason = "shares of counts far below 2^52")]

mod paths;
mod screen;
mod stage;
mod story;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context, Result};
use clap::Parser;
use gateway_tests::Cluster;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask cluster demo",
    about = "A canary of real traffic, on a Kubernetes on this machine"
)]
struct Args {
    /// The cluster, which is up and has the images
    #[arg(long)]
    cluster: String,
    /// Fail on the first thing that is not as promised; needs no terminal
    #[arg(long)]
    check: bool,
    /// Leave the cluster up at the end
    #[arg(long)]
    keep: bool,
}

/// Set once a signal has come.
static GOING_DOWN: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args = Args::parse();
    let told = run(&args);
    while GOING_DOWN.load(Ordering::Relaxed) {
        // What failed, failed because it is being taken down; the thread that does it ends the process.
        thread::park();
    }
    let down = if args.keep { Ok(()) } else { Cluster::down(&args.cluster) };
    match told.and(down) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    take_down_on_signal(args)?;
    let cluster = Cluster::open(&args.cluster)?;
    let pace = if args.check { story::Pace::Check } else { story::Pace::Show };
    let told = story::tell(cluster.clone(), pace, args.keep);
    if told.is_err() && !GOING_DOWN.load(Ordering::Relaxed) {
        stage::say_how_it_is(&cluster);
    }
    told
}

/// Has Ctrl-C and SIGTERM take the cluster down before the process ends.
fn take_down_on_signal(args: &Args) -> Result<()> {
    let (name, keep) = (args.cluster.clone(), args.keep);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (armed, ready) = std::sync::mpsc::channel();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
            let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return };
            let _ = armed.send(());
            tokio::select! {
                _ = interrupt.recv() => eprintln!("\ndemo: taking everything down"),
                _ = terminate.recv() => {}
            }
            GOING_DOWN.store(true, Ordering::Relaxed);
            let down = if keep { Ok(()) } else { Cluster::down(&name) };
            std::process::exit(if down.is_ok() { 130 } else { 1 });
        });
    })?;
    ready.recv().context("signals cannot be caught")
}
