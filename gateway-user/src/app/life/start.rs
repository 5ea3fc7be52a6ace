//! Coming into service, where no agent runs or in place of one.

use std::{io, time::Duration};

use anyhow::Context as _;
use gateway_model::discovery::Kept;
use tokio::time::{self, Instant};

use super::super::{
    control::{Control, Loading, Voices},
    declared::Declared,
    node,
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
    dataplane::Loaded,
    state::{StateError, StateFolder},
};

/// How long a predecessor's lock may outlast its word that it has released it.
const LOCK_RELEASE: Duration = Duration::from_secs(5);

/// Everything that is listened on for operators and successors.
pub(super) struct Servers {
    admin: Option<Server>,
    _metrics: Option<Server>,
    _successors: Option<Server>,
    /// For those who ask for this very agent.
    own: Option<Server>,
}

impl Servers {
    /// Stops listening, but for those who ask for this very agent; connections that are open stay.
    pub(super) fn close(&mut self) {
        let own = self.own.take();
        *self = Self { admin: None, _metrics: None, _successors: None, own };
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

/// An agent where none runs, as far as it comes without knowing what is declared.
pub(super) struct Fresh {
    /// Of the agent's name.
    listener: Listener,
    state: StateFolder,
    admin: Listener,
    metrics: Listener,
    own: Option<Server>,
    loading: Loading,
}

impl Fresh {
    /// Takes what there can be one of, and begins to load the programs.
    ///
    /// # Errors
    /// Where another has any of it.
    pub(super) fn begin(config: &Config, agent: &Agent, listener: Listener) -> anyhow::Result<Self> {
        let mut state = StateFolder::open(&config.state_dir)?;
        state.take()?;
        // Before the kernel is touched: an address in use is the likeliest mistake.
        let (admin, metrics) = listen(config, Taking::Fresh)?;
        let own = serveown(config, agent)?;
        Ok(Self { listener, state, admin, metrics, own, loading: Loading::begin(&config.pin_dir) })
    }
}

/// What an agent starts with.
pub(super) struct Start<'a> {
    pub(super) config: &'a Config,
    pub(super) declared: Declared,
    pub(super) voices: Voices,
    pub(super) agent: &'a Agent,
}

impl Start<'_> {
    /// Starts where no agent runs.
    pub(super) async fn fresh(self, fresh: Fresh) -> anyhow::Result<(Control, Servers)> {
        let Self { config, agent, .. } = self;
        let Fresh { listener, state, admin, metrics, own, loading } = fresh;
        let control = self.control(loading.done().await?, state).await?;
        let successors = Api { agent: agent.clone(), writers: Writers::Everyone };
        let servers = Servers {
            _successors: Some(server::serve(listener, successors)?),
            admin: Some(serve_admin(config, agent, admin)?),
            _metrics: Some(serve_metrics(config, agent, metrics)?),
            own,
        };
        Ok((control, servers))
    }

    /// Starts in place of `predecessor`, which serves on until we do. An error before that leaves it in its place.
    pub(super) async fn succeed(
        self,
        mut predecessor: Predecessor,
        name: &str,
    ) -> anyhow::Result<(Control, Servers)> {
        let Self { config, agent, .. } = self;
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
        let own = serveown(config, agent)?;
        let mut state = StateFolder::open(&config.state_dir)?;
        // While it loads, the predecessor still follows every change.
        let loaded = Loading::begin(&config.pin_dir).done().await?;
        predecessor.yield_to_us().await?;
        take_lock(&mut state).await?;
        let control = self.control(loaded, state).await?;
        let (admin, metrics) = listen(config, Taking::Over)?;
        let (admin, metrics) = (serve_admin(config, agent, admin)?, serve_metrics(config, agent, metrics)?);
        predecessor.drain().await?;
        let successors = Api { agent: agent.clone(), writers: Writers::Everyone };
        let successors = server::serve(succession::take_name(name).await?, successors)?;
        tracing::info!(pid, "took over");
        let servers =
            Servers { admin: Some(admin), _metrics: Some(metrics), _successors: Some(successors), own };
        Ok((control, servers))
    }

    async fn control(self, loaded: Loaded, state: StateFolder) -> anyhow::Result<Control> {
        let is_ours = matches!(self.declared, Declared::Files(_));
        let kept = if is_ours { state.load()?.unwrap_or_default() } else { Kept::default() };
        Control::start(self.config.clone(), loaded, self.declared, state, kept, self.voices).await
    }
}

/// Where this very agent answers probes.
fn serveown(config: &Config, agent: &Agent) -> anyhow::Result<Option<Server>> {
    let Some(own) = config.cluster.as_ref().and_then(|cluster| cluster.own_admin.as_ref()) else {
        return Ok(None);
    };
    let listener = listen::listen_admin(own, Taking::Over)?;
    let api = Api { agent: agent.clone(), writers: Writers::Everyone };
    Ok(Some(server::serve(listener, api)?))
}

/// In a cluster operators ask all nodes: what can be read of the admin API is served there as well.
fn serve_metrics(config: &Config, agent: &Agent, listener: Listener) -> io::Result<Server> {
    let reads = config.cluster.is_some().then(|| Api { agent: agent.clone(), writers: Writers::Nobody });
    server::serve(listener, Health { agent: agent.clone(), reads })
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
