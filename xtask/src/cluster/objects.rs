//! Objects that the cluster begins with.

use std::{fs, process::Command};

use anyhow::Result;
use serde_json::{Value, json};

use super::plan::{Node, Plan};
use crate::exec::{feed, read, wait_for};

const READY_SECONDS: u32 = 90;

/// Makes the nodes' objects, before the kubelets come: with the addresses of pods that the network routes to them.
pub fn create_nodes(plan: &Plan) -> Result<()> {
    let nodes: Vec<_> = plan.nodes().map(node).collect();
    apply(plan, &json!({ "apiVersion": "v1", "kind": "List", "items": nodes }).to_string())
}

/// Waits until every node is ready.
pub fn wait_nodes_ready(plan: &Plan) -> Result<()> {
    let timeout = format!("--timeout={READY_SECONDS}s");
    let names = plan.nodes().map(|node| format!("node/{node}"));
    let mut wait: Command = super::kubectl(plan)?;
    wait.args(["wait", "--for=condition=Ready", &timeout]).args(names);
    read(&mut wait).map(drop)
}

/// Waits until a node has told the API of the boot that it is in: its state before that is of another life.
pub fn wait_booted(plan: &Plan, node: Node) -> Result<()> {
    let id = fs::read_to_string(plan.dir()?.join("nodes").join(node.to_string()).join("boot_id"))?;
    wait_for(&format!("{node} to be ready after its boot"), READY_SECONDS.into(), || {
        let state = "jsonpath={.status.nodeInfo.bootID} {.status.conditions[?(@.type==\"Ready\")].status}";
        let mut get = super::kubectl(plan)?;
        let said = read(get.args(["get", "node", &node.to_string(), "--output", state]))?;
        Ok((said == format!("{} True", id.trim())).then_some(()))
    })
}

/// Applies objects, as YAML or JSON.
pub fn apply(plan: &Plan, objects: &str) -> Result<()> {
    let mut apply = super::kubectl(plan)?;
    apply.args(["apply", "--server-side", "--validate=false", "--filename=-"]);
    feed(&mut apply, objects).map(drop)
}

fn node(node: Node) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.to_string(),
            "labels": { "kubernetes.io/hostname": node.to_string(), "kubernetes.io/os": "linux" },
        },
        "spec": { "podCIDR": node.pods4(), "podCIDRs": [node.pods4(), node.pods6()] },
    })
}
