//! `cluster.json`, in the cluster's folder: what a test harness reads to use the cluster.
//!
//! The folder is `$WEIR_CLUSTER_DIR/NAME`, else `cluster/NAME` in the cache folder (`$WEIR_CACHE`, else
//! `$XDG_CACHE_HOME/weir`, else `~/.cache/weir`). The file is there from the beginning of `cluster up`; `ready` is true
//! once `up` has succeeded. It is replaced as a whole when a node is rebooted.
//!
//! ```json
//! {
//!   "name": "weir",
//!   "index": 0,                                 // 172.30.INDEX.0/24, fd00:30:INDEX::/64
//!   "ready": true,
//!   "kubernetes": "1.37.2",
//!   "kubeconfig": "…/cluster/weir/kubeconfig/admin",   // others beside it: node-n1, …
//!   "kubectl": "…/kubernetes-1.37.2/kubectl",
//!   "apiserver": "https://172.30.0.1:6443",     // from this machine, the client, nodes
//!   "control_namespace": "weir-control",
//!   "client_namespace": "weir-client",          // its device is eth0
//!   "client_addresses": ["172.30.0.2", "fd00:30:0::2"],
//!   "pool4": "10.200.0.0/24",                   // addresses for load balancers: on the client's link,
//!   "pool6": "fd00:200::/112",                  // nobody's until somebody answers for them
//!   "dns": "10.96.0.10",
//!   "logs": "…/cluster/weir/logs",
//!   "nodes": [{
//!     "name": "n1",                             // the Node's name
//!     "netns": "weir-n1",                       // its device is eth0, its hardware address survives a reboot
//!     "device": "eth0",
//!     "addresses": ["172.30.0.11", "fd00:30::11"],
//!     "pod_cidrs": ["10.128.1.0/24", "fd00:128:0:1::/64"],
//!     "pid": 4711,                              // a process in the node's mount, UTS and network namespaces; null if down
//!     "cgroup": "/sys/fs/cgroup/unified/weir-cluster/n1",  // the node's cgroup2 root, as this machine sees it
//!     "cgroup_mount": "/sys/fs/cgroup/unified"  // the same, as the node and its pods' hostPaths see it
//!   }]
//! }
//! ```
//! Within a node: `nsenter --target PID --mount --net --uts COMMAND`. The node has a bpffs of its own at /sys/fs/bpf, a
//! sysfs of its own network namespace at /sys, a fresh tmpfs at /run (gone after a reboot) and a /var of its own
//! (which survives), with containerd's socket at its usual place. From outside, its files are below
//! `/proc/PID/root/`, e.g. `/proc/PID/root/sys/fs/bpf`.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::plan::{self, Host, Node, Plan};
use crate::setup::{kubernetes, mounts};

/// Writes it.
pub fn write(plan: &Plan, ready: bool, holder: impl Fn(Node) -> Option<u32>) -> Result<()> {
    let dir = plan.dir()?;
    let nodes = plan.nodes().map(|node| describe(plan, node, holder(node)));
    let nodes: Vec<_> = nodes.collect::<Result<_>>()?;
    let description = json!({
        "name": plan.name,
        "index": plan.index,
        "ready": ready,
        "kubernetes": kubernetes::VERSION,
        "kubeconfig": dir.join("kubeconfig/admin"),
        "kubectl": kubernetes::kubectl()?,
        "apiserver": plan.api(),
        "control_namespace": plan.namespace("control"),
        "client_namespace": plan.namespace("client"),
        "client_addresses": [plan.v4(Host::CLIENT), plan.v6(Host::CLIENT)],
        "pool4": plan::POOL4,
        "pool6": plan::POOL6,
        "dns": plan::DNS4,
        "logs": dir.join("logs"),
        "nodes": nodes,
    });
    let new = dir.join("cluster.json.new");
    fs::write(&new, format!("{description:#}\n")).with_context(|| format!("writing {}", new.display()))?;
    fs::rename(&new, dir.join("cluster.json")).context("replacing cluster.json")
}

fn describe(plan: &Plan, node: Node, holder: Option<u32>) -> Result<Value> {
    let root = mounts::cgroup2()?;
    Ok(json!({
        "name": node.to_string(),
        "netns": plan.namespace(node),
        "device": "eth0",
        "addresses": [plan.v4(node.host()), plan.v6(node.host())],
        "pod_cidrs": [node.pods4(), node.pods6()],
        "pid": holder,
        "cgroup": root.join(plan.cgroup()).join(node.to_string()),
        "cgroup_mount": root,
    }))
}

/// The cluster `name` as it was described last; `None` where there is none.
///
/// # Errors
/// Where the file is there and cannot be read.
pub fn read(name: &str) -> Result<Option<(Plan, Value)>> {
    plan::check_name(name)?;
    let path = plan::base()?.join(name).join("cluster.json");
    if !path.is_file() {
        return Ok(None);
    }
    parse(name, &path).map(Some).with_context(|| format!("reading {}", path.display()))
}

fn parse(name: &str, path: &Path) -> Result<(Plan, Value)> {
    let description: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let index = description["index"].as_u64().and_then(|index| index.try_into().ok());
    let nodes = description["nodes"].as_array().and_then(|nodes| nodes.len().try_into().ok());
    let plan = Plan::new(name, index.context("no index")?, nodes.context("no nodes")?)?;
    Ok((plan, description))
}
