//! Coming into service, where no agent runs or in place of one.

use std::{io, time::Duration};

use anyhow::Context as _;
use tokio::time::{self, Instant};

use super::super::{
    control::{self, Control},
    node,
    sources::Sources,
    succession::{self, Predecessor},
};
use crate::{
    admin::{
        Agent, Writers,
        address::AdminAddress,
        api::Api,
        listen::{self, Listener, Taking},
        metrics::Health,
        server::{self, Server},
    },
    config::Config,
    state::{StateError, StateFolder},
};

/// How long a predecessor's lock may outlast its word that it has released it.
const LOCK_RELEASE: Duration = Duration::from_secs(5);

/// Everything that is listened on for operators and successors.
pub(super) struct Servers {
    admin: Option<Server>,
    _metrics: Option<Server>,
    _successors: Option<Server>,
}

impl Servers {
    /// Stops listening; connections that are open stay.
    pub(super) fn close(&mut self) {
        *self = Self { admin: None, _metrics: None, _successors: None };
    }

    /// Listens for operators again where a successor had begun to: a unix socket has lost its name to it.
    ///
    /// # Errors
    /// Where the address cannot be listened on any more.
    pub(super) fn take_back(&mut self, config: &Config, agent: &Agent) -> anyhow::Result<()> {
        if matches!(config.admin, AdminAddress::Unix(_)) {
            let listener = listen::listen_admin(&config.admin, Taking::Over)?;
            self.admin = Some(serve_admin(config, agent, listener)?);
        }
        Ok(())
    }
}

/// What can be known to fail before anything is touched.
pub(super) fn check(config: &Config) -> anyhow::Result<()> {
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
pub(super) async fn start(
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
    let loaded = control::load(config).await?;
    let control = Control::start(config.clone(), loaded, sources, state, kept).await?;
    let successors = Api { agent: agent.clone(), writers: Writers::Everyone };
    let servers = Servers {
        _successors: Some(server::serve(listener, successors)?),
        admin: Some(serve_admin(config, agent, admin)?),
        _metrics: Some(server::serve(metrics, Health(agent.clone()))?),
    };
    Ok((control, servers))
}

/// Starts in place of `predecessor`, which serves on until we do. An error before that leaves it in its place.
pub(super) async fn succeed(
    config: &Config,
    sources: Sources,
    agent: &Agent,
    mut predecessor: Predecessor,
    name: &str,
) -> anyhow::Result<(Control, Servers)> {
    let pid = predecessor.pid();
    tracing::info!(pid, "an agent runs on these pins; taking over from it");
    let theirs = predecessor.state_dir().await?;
    anyhow::ensure!(
        theirs == config.state_dir,
        "--state-dir {}: the agent that runs on these pins keeps its state in {}; give that folder, or what was \
         said at run time would be lost",
        config.state_dir.display(),
        theirs.display()
    );
    let mut state = StateFolder::open(&config.state_dir)?;
    // While it loads, the predecessor still follows every change.
    let loaded = control::load(config).await?;
    predecessor.yield_to_us().await?;
    take_lock(&mut state).await?;
    let kept = state.load()?.unwrap_or_default();
    let control = Control::start(config.clone(), loaded, sources, state, kept).await?;
    let (admin, metrics) = listen(config, Taking::Over)?;
    let (admin, metrics) =
        (serve_admin(config, agent, admin)?, server::serve(metrics, Health(agent.clone()))?);
    predecessor.drain().await?;
    let successors = Api { agent: agent.clone(), writers: Writers::Everyone };
    let successors = server::serve(succession::take_name(name).await?, successors)?;
    tracing::info!(pid, "took over");
    Ok((control, Servers { admin: Some(admin), _metrics: Some(metrics), _successors: Some(successors) }))
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
    // The admin socket last: it takes the name from a predecessor.
    let metrics = listen::listen_tcp("--metrics", config.metrics, taking)?;
    Ok((listen::listen_admin(&config.admin, taking)?, metrics))
}

fn serve_admin(config: &Config, agent: &Agent, listener: Listener) -> io::Result<Server> {
    let writers = match (&config.admin, &config.admin_token_file) {
        (AdminAddress::Unix(_), _) => Writers::Everyone,
        (AdminAddress::Tcp(_), Some(token)) => Writers::Token(token.clone()),
        (AdminAddress::Tcp(_), None) => Writers::Local,
    };
    server::serve(listener, Api { agent: agent.clone(), writers })
}
