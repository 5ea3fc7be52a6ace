//! The commands that ask a running agent.

use std::process::ExitCode;

use gateway_model::{key::RouteName, weight::Weight};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    args::{Ask, OutputArgs, RemoteArgs, UsageError},
    client::Client,
    output, table, top,
};
use crate::admin::views::{DumpView, SetCondition, SetWeights};

/// Where a gateway is, in a list or alone.
struct Named {
    namespace: String,
    name: String,
}

/// Does what is asked, and prints the answer.
pub(super) async fn answer(ask: Ask) -> anyhow::Result<ExitCode> {
    match ask {
        Ask::Get { gateway, remote, output } => get(gateway, &remote, output).await,
        Ask::Describe { gateway, remote, output } => {
            let value = gateway_of(&remote, &named(&gateway, &remote)?).await?;
            output::show(output.output, &value, |value| Ok(table::description(&read(value)?)))
        }
        Ask::Weight { gateway, weights, rebalance, remote, output } => {
            set_weights(&named(&gateway, &remote)?, weights, rebalance, &remote, output).await
        }
        Ask::Condition { gateway, route, condition, strength, clear, remote, output } => {
            let condition = if clear { Some(String::new()) } else { condition };
            let change =
                SetCondition { route: route.0, condition, strength: strength.map(|s| s.to_string()) };
            change_condition(&named(&gateway, &remote)?, change, &remote, output).await
        }
        Ask::Top { gateway, once, interval, remote, output } => {
            let gateway = gateway.map(|gateway| named(&gateway, &remote)).transpose()?;
            let gateway = gateway.map(|Named { namespace, name }| (namespace, name));
            top::show(&Client::new(&remote), gateway, (!once).then_some(interval), output.output).await
        }
        Ask::Dump { remote, output } => return dump(&remote, output).await,
        Ask::Status { remote, output } => {
            let value = Client::new(&remote).get(&["status"]).await?;
            output::show(output.output, &value, |value| Ok(table::status(&read(value)?)))
        }
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn get(gateway: Option<String>, remote: &RemoteArgs, output: OutputArgs) -> anyhow::Result<()> {
    if let Some(gateway) = gateway {
        let value = gateway_of(remote, &named(&gateway, remote)?).await?;
        return output::show(output.output, &value, |value| Ok(table::gateways(&[read(value)?])));
    }
    let mut value = Client::new(remote).get(&["gateways"]).await?;
    if let (Some(namespace), Value::Array(all)) = (&remote.namespace, &mut value) {
        all.retain(|gateway| gateway["namespace"] == **namespace);
    }
    output::show(output.output, &value, |value| Ok(table::gateways(&read::<Vec<_>>(value)?)))
}

async fn set_weights(
    gateway: &Named,
    weights: Vec<(RouteName, Weight)>,
    rebalance: bool,
    remote: &RemoteArgs,
    output: OutputArgs,
) -> anyhow::Result<()> {
    let mut change = SetWeights { rebalance, ..SetWeights::default() };
    for (route, weight) in weights {
        if change.weights.insert(route.0.clone(), weight.to_string()).is_some() {
            return Err(UsageError(format!("{route} is given two weights; expected each route once")).into());
        }
    }
    let path = ["gateways", &gateway.namespace, &gateway.name, "weights"];
    let value = Client::new(remote).put(&path, &change).await?;
    output::show(output.output, &value, |value| Ok(table::gateways(&[read(value)?])))
}

async fn change_condition(
    gateway: &Named,
    change: SetCondition,
    remote: &RemoteArgs,
    output: OutputArgs,
) -> anyhow::Result<()> {
    let path = ["gateways", &gateway.namespace, &gateway.name, "condition"];
    let value = Client::new(remote).put(&path, &change).await?;
    output::show(output.output, &value, |value| Ok(table::gateways(&[read(value)?])))
}

async fn dump(remote: &RemoteArgs, output: OutputArgs) -> anyhow::Result<ExitCode> {
    let value = Client::new(remote).get(&["dump"]).await?;
    let dump: DumpView = read(&value)?;
    output::show(output.output, &value, |_| Ok(table::dump(&dump, &output::yaml(&dump.kernel)?)))?;
    Ok(if dump.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn gateway_of(remote: &RemoteArgs, gateway: &Named) -> anyhow::Result<Value> {
    Client::new(remote).get(&["gateways", &gateway.namespace, &gateway.name]).await
}

fn named(gateway: &str, remote: &RemoteArgs) -> Result<Named, UsageError> {
    let (namespace, name) = match (gateway.split_once('/'), &remote.namespace) {
        (None, Some(namespace)) => (namespace.as_str(), gateway),
        (None, None) => ("default", gateway),
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
