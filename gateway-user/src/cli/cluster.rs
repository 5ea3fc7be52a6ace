//! Asking a cluster, and writing to it.

mod agents;
mod apply;
mod change;
mod managed;
mod settle;
mod world;

use std::{env, path::PathBuf};

use anyhow::Context as _;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::args::{ClusterArgs, RemoteArgs};

pub(super) use agents::Stats;
pub(super) use apply::apply;
pub(super) use change::{Change, change};
pub(super) use world::{World, settings};

/// Field manager of what the command line writes.
const MANAGER: &str = "weir-cli";

/// A cluster.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    /// Where names are that have no namespace.
    pub(super) namespace: String,
    /// Weir's own namespace.
    system_namespace: String,
}

impl Cluster {
    /// The cluster that is meant; none where nothing says how to reach one.
    ///
    /// # Errors
    /// A kubeconfig that cannot be used, or a context that it does not have.
    pub(super) async fn find(args: &ClusterArgs) -> anyhow::Result<Option<Self>> {
        let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
        let config = match &args.kubeconfig {
            Some(path) => {
                let read = Kubeconfig::read_from(path);
                let read = read.with_context(|| format!("--kubeconfig {}", path.display()))?;
                let config = Config::from_custom_kubeconfig(read, &options).await;
                config.with_context(|| format!("--kubeconfig {}", path.display()))?
            }
            None if args.context.is_some() || has_kubeconfig() => {
                Config::from_kubeconfig(&options).await.context("the kubeconfig cannot be used")?
            }
            None => match Config::incluster() {
                Ok(config) => config,
                Err(_) => return Ok(None),
            },
        };
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
        Ok(Some(Self { client, namespace, system_namespace: args.system_namespace.clone() }))
    }

    /// The same, where there must be one.
    pub(super) async fn need(args: &ClusterArgs) -> anyhow::Result<Self> {
        Self::find(args).await?.context(
            "there is neither a kubeconfig nor a cluster around; name one with --kubeconfig, or give files",
        )
    }
}

/// Whom a command asks.
pub(super) enum Target {
    /// One agent.
    Agent(super::client::Client),
    /// A cluster.
    Cluster(Box<Cluster>),
}

impl Target {
    /// The agent that is named, else the cluster that is around, else the agent of this machine.
    pub(super) async fn of(remote: &RemoteArgs) -> anyhow::Result<Self> {
        if remote.admin.is_none()
            && let Some(cluster) = Cluster::find(&remote.cluster).await?
        {
            return Ok(Self::Cluster(Box::new(cluster)));
        }
        Ok(Self::Agent(super::client::Client::new(remote)))
    }
}

fn has_kubeconfig() -> bool {
    let home = env::var_os("HOME").map(PathBuf::from);
    env::var_os("KUBECONFIG").is_some_and(|paths| !paths.is_empty())
        || home.is_some_and(|home| home.join(".kube/config").exists())
}

/// An answer of the API server that is no good, in words.
fn refused(error: kube::Error, what: &str) -> anyhow::Error {
    let kube::Error::Api(status) = error else {
        let advice = format!("{what}: the API server cannot be asked; --admin asks an agent");
        return anyhow::Error::new(error).context(advice);
    };
    if status.code == 404 && status.message.contains("page not found") {
        let advice =
            "the cluster does not know Weir's resources; install them with `kubectl apply -f deploy/crd`";
        return anyhow::anyhow!("{what}: {advice}");
    }
    anyhow::anyhow!("{what}: {}", status.message)
}
