//! The demo: a canary of real traffic moves from version 1.0.3 to 2.0.1 of a service, through a real XDP
//! program, under constant load, without one failed request. `cargo xtask demo` runs it.

#![allow(clippy::cast_precision_loss, reason = "shares of counts far below 2^52")]

mod audit;
mod kept;
mod kernel;
mod screen;
mod shares;
mod stage;
mod story;
mod traffic;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use gateway_tests::{Name, take_down};

#[derive(Debug, Parser)]
#[allow(clippy::struct_excessive_bools, reason = "one per flag")]
#[command(name = "cargo xtask demo", about = "A canary of real traffic, in namespaces on this machine")]
struct Args {
    /// Fail on the first thing that is not as promised; needs no terminal
    #[arg(long)]
    check: bool,
    /// Leave everything up at the end, and print commands to try
    #[arg(long, conflicts_with = "stop")]
    keep: bool,
    /// Take down what --keep left up
    #[arg(long)]
    stop: bool,
    /// Be the process that is kept
    #[arg(long, hide = true)]
    stay: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            while GOING_DOWN.load(Ordering::Relaxed) {
                // What failed, failed because it is being taken down; the thread that does it ends the process.
                thread::park();
            }
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Set once a signal has come.
static GOING_DOWN: AtomicBool = AtomicBool::new(false);

fn run(args: &Args) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "network namespaces and BPF programs need root: run this as root"
    );
    if args.stop {
        return kept::stop();
    }
    if args.keep {
        return kept::launch(args.check);
    }
    let name = if args.stay { Name::kept() } else { Name::unique("story") };
    take_down_on_signal(&name)?;
    let pace = if args.check { story::Pace::Check } else { story::Pace::Show };
    let stage = story::tell(&name, pace)?;
    if args.stay { kept::stay(stage) } else { Ok(()) }
}

/// Has Ctrl-C and SIGTERM take everything down before the process ends.
fn take_down_on_signal(name: &Name) -> Result<()> {
    let name = name.clone();
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
            let down = take_down(&name);
            std::process::exit(if down.is_ok() { 130 } else { 1 });
        });
    })?;
    ready.recv().context("signals cannot be caught")
}
