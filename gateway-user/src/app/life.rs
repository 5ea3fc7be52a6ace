//! An agent's life: start, perhaps from a predecessor; serve; leave, perhaps to a successor.

use std::{io, time::Duration};

use anyhow::Context as _;
use gateway_model::finding::Finding;
use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::{self, Instant, MissedTickBehavior},
};

use super::{
    control::Control,
    kernel::Ticks,
    node,
    sources::Sources,
    succession::{self, Claim, Predecessor},
};
use crate::{
    admin::{
        Agent, Question, Writers,
        address::AdminAddress,
        api::Api,
        listen::{self, Listener, Taking},
        metrics::Health,
        server::{self, Server},
    },
    config::Config,
    dataplane,
    state::{StateError, StateFolder},
    watch::{Texts, Watch},
};

/// How long a predecessor's lock may outlast its word that it has released it.
const LOCK_RELEASE: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);

/// What ends an agent's service.
enum End {
    /// A signal: nobody takes over.
    Told,
    /// A successor serves already.
    Succeeded,
}

/// Files, followed.
struct Files {
    artifacts: watch::Receiver<Texts>,
    workloads: watch::Receiver<Texts>,
}

impl Files {
    /// Takes over what they say now.
    fn read_into(&mut self, sources: &mut Sources) {
        sources.set_artifacts(&self.artifacts.borrow_and_update());
        sources.set_workloads(&self.workloads.borrow_and_update());
    }
}

/// Everything that is listened on for operators.
struct Servers {
    _admin: Server,
    _metrics: Server,
    _successors: Server,
}

/// Runs an agent from its start to its end.
///
/// # Errors
/// Where it cannot start. Once it serves it does not fail.
pub(super) async fn live(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let (mut files, sources) = read_files(&config)?;
    check(&config)?;
    dataplane::ensure_bpffs(&config.pin_dir).context("--pin-dir")?;
    let name = succession::name_of(&config.pin_dir)?;
    let (agent, mut questions) = Agent::new();
    let (mut control, servers) = match succession::claim(&name).await? {
        Claim::Ours(listener) => start(&config, sources, &agent, listener).await?,
        Claim::Theirs(predecessor) => succeed(&config, sources, &agent, predecessor, &name).await?,
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

fn read_files(config: &Config) -> anyhow::Result<(Files, Sources)> {
    let mut files = Files {
        artifacts: Watch::new(&config.artifacts).follow(),
        workloads: Watch::new(&config.workloads).follow(),
    };
    let mut sources = Sources::new(&config.namespace);
    files.read_into(&mut sources);
    let fatal = sources.fatal();
    if !fatal.is_empty() {
        let all: Vec<_> = fatal.iter().map(Finding::to_string).collect();
        anyhow::bail!("there is nothing to start with:\n  {}", all.join("\n  "));
    }
    Ok((files, sources))
}

/// What can be known to fail before anything is touched.
fn check(config: &Config) -> anyhow::Result<()> {
    node::device_addresses(&config.interfaces)?;
    if let Some(path) = &config.admin_token_file {
        let token = std::fs::read_to_string(path)
            .with_context(|| format!("--admin-token-file {}: cannot be read", path.display()))?;
        anyhow::ensure!(
            !token.trim().is_empty(),
            "--admin-token-file {}: expected a token, found an empty file",
            path.display()
        );
    }
    Ok(())
}

/// Starts where no agent runs.
async fn start(
    config: &Config,
    sources: Sources,
    agent: &Agent,
    listener: Listener,
) -> anyhow::Result<(Control, Servers)> {
    let mut state = StateFolder::open(&config.state_dir)?;
    state.take()?;
    let kept = state.load()?.unwrap_or_default();
    // Before the kernel is touched: an address in use is the likeliest mistake.
    let (admin, metrics) = listen(config, Taking::Fresh)?;
    let control = Control::start(config.clone(), sources, state, kept).await?;
    let successors = Api { agent: agent.clone(), writers: Writers::Everyone };
    let servers = Servers {
        _successors: server::serve(listener, successors)?,
        _admin: serve_admin(config, agent, admin)?,
        _metrics: server::serve(metrics, Health(agent.clone()))?,
    };
    Ok((control, servers))
}

/// Starts in place of `predecessor`, which serves on until we do. An error before that leaves it in its place.
async fn succeed(
    config: &Config,
    sources: Sources,
    agent: &Agent,
    mut predecessor: Predecessor,
    name: &str,
) -> anyhow::Result<(Control, Servers)> {
    let pid = predecessor.pid();
    tracing::info!(pid, "an agent runs on these pins; taking over from it");
    let mut state = StateFolder::open(&config.state_dir)?;
    predecessor.yield_to_us().await?;
    take_lock(&mut state).await?;
    let kept = state.load()?.unwrap_or_default();
    let control = Control::start(config.clone(), sources, state, kept).await?;
    let (admin, metrics) = listen(config, Taking::Over)?;
    let (admin, metrics) =
        (serve_admin(config, agent, admin)?, server::serve(metrics, Health(agent.clone()))?);
    predecessor.drain().await?;
    let successors = Api { agent: agent.clone(), writers: Writers::Everyone };
    let successors = server::serve(succession::take_name(name).await?, successors)?;
    tracing::info!(pid, "took over");
    Ok((control, Servers { _admin: admin, _metrics: metrics, _successors: successors }))
}

async fn take_lock(state: &mut StateFolder) -> Result<(), StateError> {
    let deadline = Instant::now() + LOCK_RELEASE;
    loop {
        match state.take() {
            Err(StateError::Held { .. }) if Instant::now() < deadline => {
                time::sleep(Duration::from_millis(10)).await;
            }
            taken => return taken,
        }
    }
}

fn listen(config: &Config, taking: Taking) -> anyhow::Result<(Listener, Listener)> {
    let admin = listen::listen_admin(&config.admin, taking)?;
    Ok((admin, listen::listen_tcp("--metrics", config.metrics, taking)?))
}

fn serve_admin(config: &Config, agent: &Agent, listener: Listener) -> io::Result<Server> {
    let writers = match (&config.admin, &config.admin_token_file) {
        (AdminAddress::Unix(_), _) => Writers::Everyone,
        (AdminAddress::Tcp(_), Some(token)) => Writers::Token(token.clone()),
        (AdminAddress::Tcp(_), None) => Writers::Local,
    };
    server::serve(listener, Api { agent: agent.clone(), writers })
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

/// Changes of the network that the kernel's ticks find.
#[derive(Default)]
struct Network {
    ticks: Option<watch::Receiver<Ticks>>,
    seen: u64,
}

impl Network {
    /// Another data plane has other ticks; they count from 0.
    fn follow(&mut self, ticks: Option<watch::Receiver<Ticks>>) {
        let is_same =
            |other: &watch::Receiver<Ticks>| self.ticks.as_ref().is_some_and(|own| own.same_channel(other));
        if !ticks.as_ref().is_some_and(is_same) {
            *self = Self { ticks, seen: 0 };
        }
    }

    /// Waits for a change that was not seen; without a data plane forever.
    async fn changed(&mut self) {
        let Some(ticks) = &mut self.ticks else { return std::future::pending().await };
        let Ok(found) = ticks
            .wait_for(|ticks| ticks.network_changes != self.seen)
            .await
            .map(|ticks| ticks.network_changes)
        else {
            self.ticks = None;
            return std::future::pending().await;
        };
        self.seen = found;
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
