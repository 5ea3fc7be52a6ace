//! An agent's life: start, perhaps from a predecessor; serve; leave, perhaps to a successor.

mod files;
mod network;
mod start;

use std::{io, time::Duration};

use anyhow::Context as _;
use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{self, MissedTickBehavior},
};

use self::{files::Files, network::Network, start::Servers};
use super::{
    control::Control,
    succession::{self, Claim},
};
use crate::{
    admin::{Agent, Question},
    config::Config,
    dataplane,
};

const SECOND: Duration = Duration::from_secs(1);

/// What ends an agent's service.
enum End {
    /// A signal: nobody takes over.
    Told,
    /// A successor serves already.
    Succeeded,
}

/// Runs an agent from its start to its end.
///
/// # Errors
/// Where it cannot start. Once it serves it does not fail.
pub(super) async fn live(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let (mut files, sources) = Files::open(&config)?;
    start::check(&config)?;
    dataplane::ensure_bpffs(&config.pin_dir).context("--pin-dir")?;
    let name = succession::name_of(&config.pin_dir)?;
    let (agent, mut questions) = Agent::new();
    let (mut control, servers) = match succession::claim(&name).await? {
        Claim::Ours(listener) => start::start(&config, sources, &agent, listener).await?,
        Claim::Theirs(predecessor) => start::succeed(&config, sources, &agent, predecessor, &name).await?,
    };
    tracing::info!(
        admin = %config.admin,
        metrics = %config.metrics,
        "serving; `weir get` lists gateways, `weir status` says how it goes"
    );
    let end = serve(&mut control, &mut files, &mut questions, &mut signals, servers).await;
    leave(&control, &config, end, &mut signals).await;
    Ok(())
}

/// Serves until told to stop or succeeded; closes what operators connect to before it returns.
async fn serve(
    control: &mut Control,
    files: &mut Files,
    questions: &mut mpsc::Receiver<Question>,
    signals: &mut Signals,
    servers: Servers,
) -> End {
    let mut seconds = time::interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut network = Network::default();
    network.follow(control.ticks());
    loop {
        select! {
            () = signals.next() => return End::Told,
            Some(question) = questions.recv() => {
                if let Question::Drain(answer) = question {
                    if !control.is_yielding() {
                        continue;
                    }
                    drop(servers);
                    let _ = answer.send(Ok(()));
                    return End::Succeeded;
                }
                answer(control, files, question).await;
                network.follow(control.ticks());
            }
            Ok(()) = files.artifacts.changed() => {
                files.read_into(control.sources());
                control.refresh().await;
            }
            Ok(()) = files.workloads.changed() => {
                files.read_into(control.sources());
                control.refresh().await;
            }
            () = network.changed() => control.refresh().await,
            _ = seconds.tick() => control.tick().await,
        }
    }
}

async fn answer(control: &mut Control, files: &mut Files, question: Question) {
    // Whoever asked may have gone; then there is nobody to tell.
    match question {
        Question::Gateways(answer) => drop(answer.send(control.gateways())),
        Question::Status(answer) => drop(answer.send(control.status().await)),
        Question::Stats(answer) => drop(answer.send(control.stats().await)),
        Question::Dump(answer) => drop(answer.send(control.dump().await)),
        Question::SetWeights(gateway, change, answer) => {
            drop(answer.send(control.set_weights(gateway, change).await));
        }
        Question::SetCondition(gateway, change, answer) => {
            drop(answer.send(control.set_condition(gateway, change).await));
        }
        Question::Yield(answer) => drop(answer.send(control.yield_to_successor())),
        Question::Resume => {
            files.read_into(control.sources());
            control.resume().await;
        }
        Question::Drain(answer) => drop(answer.send(Ok(()))),
    }
}

/// Finishes what is in flight. L4 goes on without us.
async fn leave(control: &Control, config: &Config, end: End, signals: &mut Signals) {
    let what = match end {
        End::Told => "told to stop; draining",
        End::Succeeded => "a successor serves; draining",
    };
    tracing::info!(at_most = %humantime::format_duration(config.drain_timeout), "{what}");
    select! {
        drained = control.proxy().drain(config.drain_timeout) => match drained.left {
            0 => tracing::info!("drained"),
            left => tracing::warn!(left, "connections were cut: they took longer than --drain-timeout"),
        },
        () = signals.next() => tracing::warn!("told to stop again; connections were cut"),
    }
    if matches!(end, End::Told) {
        let pins = control.pin_dir();
        tracing::info!(
            "maps and programs stay in the kernel, L4 traffic goes on; `weir uninstall --pin-dir {}` removes them",
            pins.display()
        );
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
