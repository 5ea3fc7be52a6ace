//! Objects that the cluster begins with.

use std::{fs, process::Command};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    dns,
    plan::{Node, Plan},
};
use crate::exec::{feed, read, wait_for};

const READY_SECONDS: u64 = 90;

/// Makes the nodes' objects, before the kubelets come: with the addresses of pods that the network routes to them;
/// and those of DNS.
pub fn create(plan: &Plan) -> Result<()> {
    let nodes: Vec<_> = plan.nodes().map(node).collect();
    let nodes = json!({ "apiVersion": "v1", "kind": "List", "items": nodes });
    let mut apply = super::kubectl(plan)?;
    apply.args(["apply", "--server-side", "--validate=false", "--filename=-"]);
    feed(&mut apply, format!("{nodes}\n---\n{}", dns::objects())).map(drop)
}

/// What waits until every node is ready.
pub fn nodes_ready(plan: &Plan) -> Result<Command> {
    let mut wait = super::kubectl(plan)?;
    wait.args(["wait", "--for=condition=Ready", "--timeout=10m"]);
    wait.args(plan.nodes().map(|node| format!("node/{node}")));
    Ok(wait)
}

/// What the API has to say on something that does not become ready: the last events.
pub fn why_not_ready(plan: &Plan) -> String {
    let events = super::kubectl(plan).and_then(|mut kubectl| {
        let flags = ["--all-namespaces", "--types=Warning", "--request-timeout=10s"];
        read(kubectl.arg("events").args(flags))
    });
    events.map_or_else(|error| format!("{error:#}"), |events| format!("warnings of the cluster:\n{events}"))
}

/// Waits until a node has told the API of the boot that it is in: its state before that is of another life.
pub fn wait_booted(plan: &Plan, node: Node) -> Result<()> {
    let id = fs::read_to_string(plan.dir()?.join("nodes").join(node.to_string()).join("boot_id"))?;
    wait_for(&format!("{node} to be ready after its boot"), READY_SECONDS, || {
        let state = "jsonpath={.status.nodeInfo.bootID} {.status.conditions[?(@.type==\"Ready\")].status}";
        let mut get = super::kubectl(plan)?;
        let said = read(get.args(["get", "node", &node.to_string(), "--output", state]))?;
        Ok((said == format!("{} True", id.trim())).then_some(()))
    })
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
