//! The commands that ask the cluster, or a running agent.

use std::{process::ExitCode, time::Duration};

use gateway_model::{
    key::{GatewayKey, RouteName},
    weight::Weight,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    args::{Ask, OutputArgs, ProbeArgs, RemoteArgs, UsageError, WaitArgs},
    client::Client,
    cluster::{self, Change, Cluster, Target},
    output, table, top,
};
use crate::{
    admin::views::{DumpView, SetCondition, SetWeights, StatusView},
    config::own_admin,
};

/// Where a gateway is, in a list or alone.
struct Named {
    namespace: String,
    name: String,
}

impl Named {
    fn key(&self) -> GatewayKey {
        GatewayKey::new(self.namespace.clone(), self.name.clone())
    }
}

/// How long a probe waits.
const PROBE: Duration = Duration::from_secs(2);

/// Does what is asked, and prints the answer.
pub(super) async fn answer(ask: Ask) -> anyhow::Result<ExitCode> {
    match ask {
        Ask::Get { gateway, remote, output } => get(gateway, &remote, output).await,
        Ask::Describe { gateway, remote, output } => {
            let (target, name) = (Target::of(&remote).await?, gateway);
            let value = gateway_of(&target, &named(&name, &remote, &target)?).await?;
            output::show(output.output, &value, |value| Ok(table::description(&read(value)?)))
        }
        Ask::Weight { gateway, weights, rebalance, wait, remote, output } => {
            let target = Target::of(&remote).await?;
            let gateway = named(&gateway, &remote, &target)?;
            return set_weights(&target, gateway, weights, rebalance, wait, output).await;
        }
        Ask::Condition { gateway, route, condition, strength, clear, wait, remote, output } => {
            let target = Target::of(&remote).await?;
            let gateway = named(&gateway, &remote, &target)?;
            let condition = if clear { Some(String::new()) } else { condition };
            return change_condition(&target, gateway, (route, condition, strength), wait, output).await;
        }
        Ask::Top { gateway, once, interval, remote, output } => {
            let target = Target::of(&remote).await?;
            let gateway = gateway.map(|gateway| named(&gateway, &remote, &target)).transpose()?;
            let gateway = gateway.map(|Named { namespace, name }| (namespace, name));
            top::show(&target, gateway, (!once).then_some(interval), output.output).await
        }
        Ask::Dump { remote, output } => return dump(&Target::of(&remote).await?, output).await,
        Ask::Status { probe, remote, output } => return status(&probe, &remote, output).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn get(gateway: Option<String>, remote: &RemoteArgs, output: OutputArgs) -> anyhow::Result<()> {
    let target = Target::of(remote).await?;
    if let Some(gateway) = gateway {
        let value = gateway_of(&target, &named(&gateway, remote, &target)?).await?;
        return output::show(output.output, &value, |value| Ok(table::gateways(&[read(value)?])));
    }
    let value = match &target {
        Target::Agent(client) => {
            let mut value = client.get(&["gateways"]).await?;
            if let (Some(namespace), Value::Array(all)) = (&remote.namespace, &mut value) {
                all.retain(|gateway| gateway["namespace"] == **namespace);
            }
            value
        }
        Target::Cluster(cluster) => {
            serde_json::to_value(cluster.world(remote.namespace.as_deref()).await?.views())?
        }
    };
    output::show(output.output, &value, |value| Ok(table::gateways(&read::<Vec<_>>(value)?)))
}

async fn set_weights(
    target: &Target,
    gateway: Named,
    weights: Vec<(RouteName, Weight)>,
    rebalance: bool,
    wait: WaitArgs,
    output: OutputArgs,
) -> anyhow::Result<ExitCode> {
    let mut change = SetWeights { rebalance, ..SetWeights::default() };
    for (route, weight) in &weights {
        if change.weights.insert(route.0.clone(), weight.to_string()).is_some() {
            return Err(UsageError(format!("{route} is given two weights; expected each route once")).into());
        }
    }
    match target {
        Target::Agent(client) => {
            let path = ["gateways", &gateway.namespace, &gateway.name, "weights"];
            show_changed(&client.put(&path, &change).await?, output)
        }
        Target::Cluster(cluster) => {
            let change = Change::Weights(weights, rebalance);
            cluster::change(cluster, &gateway.key(), change, wait.timeout, output).await
        }
    }
}

async fn change_condition(
    target: &Target,
    gateway: Named,
    (route, condition, strength): (RouteName, Option<String>, Option<Weight>),
    wait: WaitArgs,
    output: OutputArgs,
) -> anyhow::Result<ExitCode> {
    match target {
        Target::Agent(client) => {
            let strength = strength.map(|strength| strength.to_string());
            let change = SetCondition { route: route.0, condition, strength };
            let path = ["gateways", &gateway.namespace, &gateway.name, "condition"];
            show_changed(&client.put(&path, &change).await?, output)
        }
        Target::Cluster(cluster) => {
            let change = Change::Condition(route, condition, strength);
            cluster::change(cluster, &gateway.key(), change, wait.timeout, output).await
        }
    }
}

fn show_changed(value: &Value, output: OutputArgs) -> anyhow::Result<ExitCode> {
    output::show(output.output, value, |value| Ok(table::gateways(&[read(value)?])))?;
    Ok(ExitCode::SUCCESS)
}

async fn dump(target: &Target, output: OutputArgs) -> anyhow::Result<ExitCode> {
    let client = match target {
        Target::Agent(client) => client,
        Target::Cluster(cluster) => return dump_all(cluster, output).await,
    };
    let value = client.get(&["dump"]).await?;
    let dump: DumpView = read(&value)?;
    output::show(output.output, &value, |_| Ok(table::dump(&dump, &output::yaml(&dump.kernel)?)))?;
    Ok(if dump.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn dump_all(cluster: &Cluster, output: OutputArgs) -> anyhow::Result<ExitCode> {
    let answers = cluster.dumps().await?;
    output::show(output.output, &serde_json::to_value(&answers)?, |_| {
        let one = |(node, dump): (&String, &DumpView)| {
            anyhow::Ok(format!("Node {node}:\n\n{}\n", table::dump(dump, &output::yaml(&dump.kernel)?)))
        };
        Ok(answers.nodes.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?.concat())
    })?;
    top::complain(&answers.missing);
    let is_good =
        answers.missing.is_empty() && answers.nodes.values().all(|dump| dump.differences.is_empty());
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The agent of this machine, or, for probes, the one in this very pod.
async fn status(probe: &ProbeArgs, remote: &RemoteArgs, output: OutputArgs) -> anyhow::Result<ExitCode> {
    let client = if probe.own {
        let uid = probe.pod_uid.as_deref().filter(|uid| !uid.is_empty());
        let uid =
            uid.ok_or_else(|| UsageError("--self: expected the uid of this pod in POD_UID".to_owned()))?;
        Client::of(own_admin(&probe.run_dir, uid))
    } else {
        Client::new(remote)
    };
    if !(probe.ready || probe.live || probe.started) {
        let value =
            if probe.own { client.get_now("/v1/status").await? } else { client.get(&["status"]).await? };
        output::show(output.output, &value, |value| Ok(table::status(&read(value)?)))?;
        return Ok(ExitCode::SUCCESS);
    }
    // An agent that does not answer by then counts as stuck.
    let answer = tokio::time::timeout(PROBE, client.get_now("/v1/status")).await;
    let value = answer.map_err(|_| anyhow::anyhow!("the agent has not answered within {PROBE:?}"))??;
    let status: StatusView = read(&value)?;
    if probe.ready && !status.ready {
        let why = status.kernel_error.unwrap_or(status.phase);
        anyhow::bail!("not ready: {why}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn gateway_of(target: &Target, gateway: &Named) -> anyhow::Result<Value> {
    let Named { namespace, name } = gateway;
    match target {
        Target::Agent(client) => client.get(&["gateways", namespace, name]).await,
        Target::Cluster(cluster) => {
            Ok(serde_json::to_value(cluster.world(Some(namespace)).await?.view(namespace, name)?)?)
        }
    }
}

fn named(gateway: &str, remote: &RemoteArgs, target: &Target) -> Result<Named, UsageError> {
    let default = match target {
        Target::Agent(_) => "default",
        Target::Cluster(cluster) => &cluster.namespace,
    };
    let (namespace, name) = match (gateway.split_once('/'), &remote.namespace) {
        (None, Some(namespace)) => (namespace.as_str(), gateway),
        (None, None) => (default, gateway),
        (Some((given, _)), Some(namespace)) if given != namespace => {
            return Err(UsageError(format!("{gateway} is not in the namespace {namespace} that -n names")));
        }
        (Some((namespace, name)), _) => (namespace, name),
    };
    if namespace.is_empty() || name.is_empty() {
        return Err(UsageError(format!("{gateway:?}: expected a gateway as NAME or NAMESPACE/NAME")));
    }
    Ok(Named { namespace: namespace.to_owned(), name: name.to_owned() })
}

/// Reads what the agent answered.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> anyhow::Result<T> {
    use anyhow::Context as _;
    T::deserialize(value).context("the agent answers in another version's words; use the `weir` that it runs")
}
