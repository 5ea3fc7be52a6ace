//! An agent's life: start, perhaps from a predecessor; serve; leave, perhaps to a successor.

mod inputs;
mod network;
mod start;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use tokio::{
    select,
    sync::mpsc,
    time::{self, MissedTickBehavior},
};

use self::{
    inputs::{Input, Inputs, Opened, Opening},
    network::Network,
    start::{Fresh, Servers, Start},
};
use super::{
    control::Control,
    declared::Declared,
    health_ports::HealthPorts,
    kernel::KernelGone,
    signals::Signals,
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
pub(super) async fn live(mut config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    start::check(&config)?;
    let opening = Opening::begin(&config).await?;
    dataplane::ensure_bpffs(&config.pin_dir).context("--pin-dir")?;
    let name = succession::name_of(&config.pin_dir)?;
    let (agent, mut questions) = Agent::new();
    // Where no agent runs, programs are loaded while the cluster tells what to do with them.
    let fresh = match succession::claim(&name).await? {
        Claim::Ours(listener) => Some(Fresh::begin(&config, &agent, listener)?),
        Claim::Theirs(_) => None,
    };
    let Some(Opened { inputs, declared, voices }) = opening.finish(&mut config, &mut signals).await? else {
        return Ok(());
    };
    let start = Start { config: &config, declared, voices, agent: &agent };
    let (control, servers) = match fresh {
        Some(fresh) => start.fresh(fresh).await?,
        // Meanwhile it may have ended.
        None => match succession::claim(&name).await? {
            Claim::Ours(listener) => start.fresh(Fresh::begin(&config, &agent, listener)?).await?,
            Claim::Theirs(predecessor) => start.succeed(predecessor, &name).await?,
        },
    };
    tracing::info!(
        admin = %config.admin,
        metrics = %config.metrics,
        "serving; `weir get` lists gateways, `weir status` says how it goes"
    );
    let health_ports = HealthPorts::default();
    let mut service = Service { control, inputs, servers, agent, health_ports };
    let end = service.serve(&config, &mut questions, &mut signals).await;
    service.leave(&config, &end, &mut questions, &mut signals).await;
    match end {
        End::Told | End::Succeeded => Ok(()),
        End::Broken => Err(KernelGone.into()),
    }
}

/// An agent in service.
struct Service {
    control: Control,
    inputs: Inputs,
    servers: Servers,
    agent: Agent,
    health_ports: HealthPorts,
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
        self.answer_health();
        loop {
            select! {
                () = signals.next() => return End::Told,
                Some(question) = questions.recv() => {
                    if let Some(end) = self.answer(config, question).await {
                        return end;
                    }
                    network.follow(self.control.ticks());
                }
                agreed = self.control.agreement() => self.control.announce(agreed),
                input = self.inputs.changed() => self.take_over(input),
                () = network.changed() => {
                    self.inputs.tell_addresses();
                    self.control.refresh();
                }
                _ = seconds.tick() => self.control.tick().await,
            }
            if self.control.is_broken() {
                return End::Broken;
            }
        }
    }

    fn take_over(&mut self, input: Input) {
        match input {
            Input::Files => {
                self.inputs.read_into(self.control.declared());
                self.control.refresh();
            }
            Input::Cluster(delta) => {
                let asks_for_health = delta.health_checks.is_some();
                self.control.follow(*delta);
                if asks_for_health {
                    self.answer_health();
                }
            }
        }
    }

    fn answer_health(&mut self) {
        if let Declared::Cluster(cluster) = self.control.declared() {
            self.health_ports.set(&cluster.health_checks);
        }
    }

    async fn answer(&mut self, config: &Config, question: Question) -> Option<End> {
        let control = &mut self.control;
        // Whoever asked may have gone; then there is nobody to tell.
        match question {
            Question::Gateways(answer) => drop(answer.send(control.gateways())),
            Question::Status(answer) => drop(answer.send(control.status())),
            Question::Stats(answer) => drop(answer.send(control.stats())),
            Question::Dump(answer) => drop(answer.send(control.dump())),
            Question::SetWeights(gateway, change, answer) => {
                drop(answer.send(control.set_weights(gateway, change)));
            }
            Question::SetCondition(gateway, change, answer) => {
                drop(answer.send(control.set_condition(gateway, change)));
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
        self.inputs.read_into(self.control.declared());
        self.control.resume().await;
    }

    /// Finishes what is in flight. L4 goes on without us.
    async fn leave(
        mut self,
        config: &Config,
        end: &End,
        questions: &mut mpsc::Receiver<Question>,
        signals: &mut Signals,
    ) {
        // Nobody is answered any more but those who ask for this very agent; a successor has its own.
        self.servers.close();
        if matches!(end, End::Told) {
            self.control.withdraw().await;
            self.control.take_back_listeners();
        }
        self.control.fall_silent();
        let what = match end {
            End::Told => {
                self.health_ports.leave();
                "told to stop; draining"
            }
            End::Succeeded => {
                self.health_ports.set(&BTreeMap::new());
                "a successor serves; draining"
            }
            End::Broken => "the data plane is broken; draining",
        };
        tracing::info!(at_most = %humantime::format_duration(config.drain_timeout), "{what}");
        select! {
            drained = self.control.proxy().drain(config.drain_timeout) => match drained.left {
                0 => tracing::info!("drained"),
                left => tracing::warn!(left, "connections were cut: they took longer than --drain-timeout"),
            },
            () = answer_probes(&self.control, questions) => {}
            () = signals.next() => tracing::warn!("told to stop again; connections were cut"),
        }
        match end {
            End::Told => {
                let pins = self.control.pin_dir();
                tracing::info!(
                    "maps and programs stay in the kernel, L4 traffic goes on; `weir uninstall --pin-dir {}` removes them",
                    pins.display()
                );
            }
            // The kubelet would start it again, and it would take over from its successor.
            End::Succeeded if config.cluster.is_some() => {
                self.control.be_succeeded();
                tracing::info!("nothing left to do; waiting to be stopped");
                select! {
                    () = answer_probes(&self.control, questions) => {}
                    () = signals.next() => {}
                }
            }
            End::Succeeded | End::Broken => {}
        }
    }
}

/// Answers those who ask how this very agent is; never ends.
async fn answer_probes(control: &Control, questions: &mut mpsc::Receiver<Question>) {
    while let Some(question) = questions.recv().await {
        // Whoever asks for anything else is told that the agent is stopping.
        if let Question::Status(answer) = question {
            let _ = answer.send(control.status());
        }
    }
    std::future::pending::<()>().await;
}
