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

impl Inputs {
    /// Reads files for the first time, or waits until the cluster has told all, or what was kept of it is read;
    /// nothing where a signal came first. Uplinks that nobody named are found.
    ///
    /// # Errors
    /// Where there is nothing to start with, with all that is wrong.
    pub(super) async fn open(config: &mut Config, signals: &mut Signals) -> anyhow::Result<Option<Opened>> {
        if let Some(cluster) = config.cluster.clone() {
            return open_cluster(config, cluster, signals).await;
        }
        let (files, sources) = Files::open(config)?;
        let (inputs, declared) = (Self::Files(files), Declared::Files(sources));
        Ok(Some(Opened { inputs, declared, voices: Voices::default() }))
    }

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

async fn open_cluster(
    config: &mut Config,
    cluster: ClusterConfig,
    signals: &mut Signals,
) -> anyhow::Result<Option<Opened>> {
    let client = kube::Client::try_default()
        .await
        .context("how to reach the API server is not known: an agent runs in a pod, or with KUBECONFIG")?;
    let ClusterConfig { node, namespace, pod, run_dir, .. } = cluster;
    let scope = Scope {
        node: node.clone(),
        namespace: namespace.clone(),
        places: Places { run: run_dir, state: config.state_dir.clone() },
    };
    let mut source = Source::follow(&client, scope, node_addresses()?);
    let mut declared = Cluster::new(&node);
    let delta = select! {
        delta = source.changed() => delta,
        () = signals.next() => return Ok(None),
    };
    if config.interfaces.is_empty() {
        let internal_ips = delta.internal_ips.clone().unwrap_or_default();
        config.interfaces = uplinks::find(&internal_ips, &node::all_addresses()?)?;
        tracing::info!(interfaces = config.interfaces.join(", "), "uplinks found");
    }
    declared.absorb(delta);
    let voices = Voices {
        announcer: Some(Announcer::start(&client, &namespace, &node)),
        acknowledger: Some(Acknowledger::start(client, node, pod)),
    };
    let (inputs, declared) = (Inputs::Cluster(source), Declared::Cluster(declared));
    Ok(Some(Opened { inputs, declared, voices }))
}

/// The addresses that node ports answer on: all that devices have.
fn node_addresses() -> Result<BTreeSet<IpAddr>, node::NodeError> {
    Ok(node::all_addresses()?.into_values().flatten().map(|address| address.to_canonical()).collect())
}
