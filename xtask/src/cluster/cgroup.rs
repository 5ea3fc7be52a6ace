//! Control groups, by which everything that a cluster started is found again, whatever it became.
//!
//! ```text
//! weir-cluster/             one for each cluster, at the root of cgroup2
//!   control/PROGRAM         etcd, kube-apiserver, …
//!   n1/                     root of a node: mounted there as if it were the root of all
//!     system/PROGRAM        holder, containerd, kubelet, kube-proxy
//!     k8s.io/ID             containers, by runc
//! ```
//! Where the controllers are those of version 1, runc makes `k8s.io/ID` there as well, outside of all this: they are
//! known by the same identities.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::plan::{Node, Plan};
use crate::{exec::wait_for, setup::mounts};

/// Parent of containers, in every hierarchy: the name of their namespace in containerd.
const CONTAINERS: &str = "k8s.io";

/// The cluster's.
pub fn of_cluster(plan: &Plan) -> Result<PathBuf> {
    Ok(mounts::cgroup2()?.join(plan.cgroup()))
}

/// A node's, which it takes for the root.
pub fn of_node(plan: &Plan, node: Node) -> Result<PathBuf> {
    Ok(of_cluster(plan)?.join(node.to_string()))
}

/// Makes it.
pub fn make(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))
}

/// Lets the groups below `path` have every controller that `path` has.
pub fn delegate(path: &Path) -> Result<()> {
    let available = fs::read_to_string(path.join("cgroup.controllers"))?;
    for controller in available.split_whitespace() {
        // What is refused here is missing below, where whoever needs it says so.
        fs::write(path.join("cgroup.subtree_control"), format!("+{controller}")).ok();
    }
    Ok(())
}

/// Whether a process is in it, or below.
pub fn is_populated(path: &Path) -> bool {
    let events = fs::read_to_string(path.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "populated 1")
}

/// The processes directly in it.
pub fn processes(path: &Path) -> Vec<u32> {
    let ids = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    ids.lines().filter_map(|id| id.parse().ok()).collect()
}

/// Ends every process in it and below, and waits until they are gone.
pub fn kill(path: &Path) -> Result<()> {
    if !path.is_dir() {
        return Ok(());
    }
    fs::write(path.join("cgroup.kill"), "1").with_context(|| format!("killing {}", path.display()))?;
    wait_for(&format!("the processes of {} to end", path.display()), 20, || {
        Ok((!is_populated(path)).then_some(()))
    })
}

/// Ends what is in a node's group and removes all that its containers had, everywhere.
pub fn remove_node(path: &Path) -> Result<()> {
    kill(path)?;
    let containers = fs::read_dir(path.join(CONTAINERS)).into_iter().flatten();
    let containers: Vec<_> = containers.flatten().map(|container| container.file_name()).collect();
    for hierarchy in mounts::cgroup1()? {
        let parent = hierarchy.join(CONTAINERS);
        for container in &containers {
            remove_empty(&parent.join(container))?;
        }
        // There may be others, of another node or cluster.
        fs::remove_dir(parent).ok();
    }
    remove_empty(path)
}

/// Ends what is in a cluster's group, nodes included, and removes it.
pub fn remove_cluster(path: &Path) -> Result<()> {
    kill(path)?;
    for group in fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?.flatten() {
        if group.path().join(CONTAINERS).is_dir() {
            remove_node(&group.path())?;
        }
    }
    remove_empty(path)
}

/// Removes a tree of groups without processes. One stays busy for a moment after its last process.
fn remove_empty(path: &Path) -> Result<()> {
    if !path.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("reading {}", path.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty(&entry.path())?;
        }
    }
    wait_for(&format!("{} to be removable", path.display()), 10, || match fs::remove_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => Ok(None),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(Some(())),
    })
}
