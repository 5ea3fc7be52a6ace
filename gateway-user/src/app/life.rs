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
    kernel::KernelGone,
    succession::{self, Claim},
};
use crate::{
    admin::{Agent, Question},
    causes,
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
    /// It cannot go on.
    Broken,
}

/// Runs an agent from its start to its end.
///
/// # Errors
/// Where it cannot start, or cannot go on.
pub(super) async fn live(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let (files, sources) = Files::open(&config)?;
    start::check(&config)?;
    dataplane::ensure_bpffs(&config.pin_dir).context("--pin-dir")?;
    let name = succession::name_of(&config.pin_dir)?;
    let (agent, mut questions) = Agent::new();
    let (control, servers) = match succession::claim(&name).await? {
        Claim::Ours(listener) => start::start(&config, sources, &agent, listener).await?,
        Claim::Theirs(predecessor) => start::succeed(&config, sources, &agent, predecessor, &name).await?,
    };
    tracing::info!(
        admin = %config.admin,
        metrics = %config.metrics,
        "serving; `weir get` lists gateways, `weir status` says how it goes"
    );
    let mut service = Service { control, files, servers, agent };
    let end = service.serve(&config, &mut questions, &mut signals).await;
    let Service { control, servers, .. } = service;
    // Nobody is answered any more; a successor has its own.
    drop(servers);
    leave(&control, &config, &end, &mut signals).await;
    match end {
        End::Told | End::Succeeded => Ok(()),
        End::Broken => Err(KernelGone.into()),
    }
}

/// An agent in service.
struct Service {
    control: Control,
    files: Files,
    servers: Servers,
    agent: Agent,
}

impl Service {
    /// Serves until told to stop or succeeded.
    async fn serve(
        &mut self,
        config: &Config,
        questions: &mut mpsc::Receiver<Question>,
        signals: &mut Signals,
    ) -> End {
        let mut seconds = time::interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut network = Network::default();
        network.follow(self.control.ticks());
        loop {
            select! {
                () = signals.next() => return End::Told,
                Some(question) = questions.recv() => {
                    if let Some(end) = self.answer(config, question).await {
                        return end;
                    }
                    network.follow(self.control.ticks());
                }
                Ok(()) = self.files.artifacts.changed() => self.read_files().await,
                Ok(()) = self.files.workloads.changed() => self.read_files().await,
                () = network.changed() => self.control.refresh().await,
                _ = seconds.tick() => self.control.tick().await,
            }
            if self.control.is_broken() {
                return End::Broken;
            }
        }
    }

    async fn read_files(&mut self) {
        self.files.read_into(self.control.sources());
        self.control.refresh().await;
    }

    async fn answer(&mut self, config: &Config, question: Question) -> Option<End> {
        let control = &mut self.control;
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
            Question::Resume => self.resume(config).await,
            Question::Drain(answer) => {
                // Names and addresses first: the successor takes them once it has the answer.
                self.servers.close();
                let _ = answer.send(Ok(()));
                return Some(End::Succeeded);
            }
        }
        None
    }

    async fn resume(&mut self, config: &Config) {
        if let Err(error) = self.servers.take_back(config, &self.agent) {
            tracing::error!("operators cannot reach this agent: {}", causes::text_of(&error));
        }
        self.files.read_into(self.control.sources());
        self.control.resume().await;
    }
}

/// Finishes what is in flight. L4 goes on without us.
async fn leave(control: &Control, config: &Config, end: &End, signals: &mut Signals) {
    let what = match end {
        End::Told => "told to stop; draining",
        End::Succeeded => "a successor serves; draining",
        End::Broken => "the data plane is broken; draining",
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
