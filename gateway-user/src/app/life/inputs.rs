//! What is followed: files, or a cluster.

use std::{collections::BTreeSet, net::IpAddr};

use anyhow::Context as _;
use gateway_model::finding::Finding;
use tokio::{select, sync::watch};

use super::{
    super::{cluster::Cluster, control::Voices, declared::Declared, node, sources::Sources, uplinks},
    Signals,
};
use crate::{
    config::{ClusterConfig, Config},
    control::agent::{
        acknowledge::Acknowledger,
        announce::Announcer,
        kept::Places,
        view::Delta,
        watch::{Scope, Source},
    },
    watch::{Texts, Watch},
};

/// What is followed.
pub(super) enum Inputs {
    /// Files.
    Files(Files),
    /// A cluster.
    Cluster(Source),
}

/// What is new.
pub(super) enum Input {
    /// Files say something else.
    Files,
    /// The cluster does.
    Cluster(Box<Delta>),
}

/// Files, followed.
pub(super) struct Files {
    /// Of gateway artifacts.
    artifacts: watch::Receiver<Texts>,
    /// Of workloads.
    workloads: watch::Receiver<Texts>,
}

/// Everything that an agent starts with.
pub(super) struct Opened {
    pub(super) inputs: Inputs,
    pub(super) declared: Declared,
    pub(super) voices: Voices,
}

/// What has begun to be followed.
pub(super) enum Opening {
    /// Files, which are read.
    Files(Files, Sources),
    /// A cluster, which has not told yet.
    Cluster { client: kube::Client, source: Source, cluster: ClusterConfig },
}

impl Opening {
    /// Reads files for the first time, or begins to watch the cluster.
    ///
    /// # Errors
    /// Where there is nothing to start with, with all that is wrong.
    pub(super) async fn begin(config: &Config) -> anyhow::Result<Self> {
        let Some(cluster) = config.cluster.clone() else {
            let (files, sources) = Files::open(config)?;
            return Ok(Self::Files(files, sources));
        };
        let client = kube::Client::try_default().await.context(
            "how to reach the API server is not known: an agent runs in a pod, or with KUBECONFIG",
        )?;
        let scope = Scope {
            node: cluster.node.clone(),
            namespace: cluster.namespace.clone(),
            places: Places { run: cluster.run_dir.clone(), state: config.state_dir.clone() },
        };
        let source = Source::follow(&client, scope, node_addresses()?);
        Ok(Self::Cluster { client, source, cluster })
    }

    /// Waits until the cluster has told all, or what was kept of it is read; nothing where a signal came first.
    /// Uplinks that nobody named are found.
    ///
    /// # Errors
    /// Where there are none.
    pub(super) async fn finish(
        self,
        config: &mut Config,
        signals: &mut Signals,
    ) -> anyhow::Result<Option<Opened>> {
        let (client, mut source, cluster) = match self {
            Self::Files(files, sources) => {
                let (inputs, declared) = (Inputs::Files(files), Declared::Files(sources));
                return Ok(Some(Opened { inputs, declared, voices: Voices::default() }));
            }
            Self::Cluster { client, source, cluster } => (client, source, cluster),
        };
        let delta = select! {
            delta = source.changed() => delta,
            () = signals.next() => return Ok(None),
        };
        if config.interfaces.is_empty() {
            let internal_ips = delta.internal_ips.clone().unwrap_or_default();
            config.interfaces = uplinks::find(&internal_ips, &node::all_addresses()?)?;
            tracing::info!(interfaces = config.interfaces.join(", "), "uplinks found");
        }
        let ClusterConfig { node, namespace, pod, .. } = cluster;
        let mut declared = Cluster::new(&node);
        declared.absorb(delta);
        let voices = Voices {
            announcer: Some(Announcer::start(&client, &namespace, &node)),
            acknowledger: Some(Acknowledger::start(client, node, pod)),
        };
        let (inputs, declared) = (Inputs::Cluster(source), Declared::Cluster(declared));
        Ok(Some(Opened { inputs, declared, voices }))
    }
}

impl Inputs {
    /// Waits for something new. May be dropped and called again.
    pub(super) async fn changed(&mut self) -> Input {
        match self {
            Self::Files(files) => {
                files.changed().await;
                Input::Files
            }
            Self::Cluster(source) => Input::Cluster(Box::new(source.changed().await)),
        }
    }

    /// Takes over what files say now; what a cluster says comes by itself.
    pub(super) fn read_into(&mut self, declared: &mut Declared) {
        if let (Self::Files(files), Declared::Files(sources)) = (self, declared) {
            files.read_into(sources);
        }
    }

    /// Tells those who work out where gateways answer what addresses the node has now.
    pub(super) fn tell_addresses(&self) {
        if let (Self::Cluster(source), Ok(addresses)) = (self, node_addresses()) {
            source.set_addresses(addresses);
        }
    }
}

impl Files {
    fn open(config: &Config) -> anyhow::Result<(Self, Sources)> {
        let mut files = Self {
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

    async fn changed(&mut self) {
        select! {
            Ok(()) = self.artifacts.changed() => {}
            Ok(()) = self.workloads.changed() => {}
            else => std::future::pending().await,
        }
    }

    fn read_into(&mut self, sources: &mut Sources) {
        sources.set_artifacts(&self.artifacts.borrow_and_update());
        sources.set_workloads(&self.workloads.borrow_and_update());
    }
}

/// The addresses that node ports answer on: all that devices have.
fn node_addresses() -> Result<BTreeSet<IpAddr>, node::NodeError> {
    Ok(node::all_addresses()?.into_values().flatten().map(|address| address.to_canonical()).collect())
}
