//! A node: namespaces of its own with containerd, kubelet and kube-proxy in them.

mod config;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::{
    cgroup,
    daemon::{self, Daemon},
    network,
    plan::{Node, Plan},
};
use crate::{
    exec::{command, read, wait_for},
    setup::{kubernetes, mounts},
};

const BOOT: &str = include_str!("node/boot.sh");
/// Programs of a node, in the order in which they start; the first holds its namespaces.
pub const PROGRAMS: [&str; 4] = ["holder", "containerd", "kubelet", "kube-proxy"];
const BOOT_SECONDS: u64 = 20;

/// Makes its namespaces and starts containerd, then waits until it answers.
pub fn boot(plan: &Plan, node: Node) -> Result<Daemon> {
    let dir = dir(plan, node)?;
    network::make_node(plan, node, &plan.dir()?.join("pass.o"))?;
    for folder in ["sys", "var/lib/weir", "var/log", "var/tmp", "var/lib/kubelet", "var/lib/containerd"] {
        fs::create_dir_all(dir.join(folder)).with_context(|| format!("making {folder} of {node}"))?;
    }
    let run = dir.join("var/run");
    if !run.is_symlink() {
        std::os::unix::fs::symlink("/run", run)?;
    }
    config::write(plan, node, &dir)?;
    hold(plan, node, &dir)?;
    let arguments = ["--config".to_owned(), dir.join("containerd.toml").display().to_string()];
    let mut containerd = start(plan, node, "containerd", "containerd", &arguments)?;
    let waited = wait_for(&format!("containerd of {node}"), BOOT_SECONDS, || {
        containerd.check()?;
        Ok(read(containerd_client(plan, node)?.arg("version")).is_ok().then_some(()))
    });
    containerd.explain(waited)?;
    Ok(containerd)
}

/// Starts kubelet and kube-proxy, which wait for the API.
pub fn join(plan: &Plan, node: Node) -> Result<Vec<Daemon>> {
    let dir = dir(plan, node)?;
    let kube = kubernetes::kube()?;
    ["kubelet", "kube-proxy"]
        .into_iter()
        .map(|name| start(plan, node, name, &kube, &config::arguments(plan, node, name, &dir)?))
        .collect()
}

/// Ends everything on the node at once and removes what a reboot clears, as pulling the plug would.
pub fn stop(plan: &Plan, node: Node) -> Result<()> {
    let group = cgroup::of_node(plan, node)?;
    if group.is_dir() {
        cgroup::remove_node(&group)?;
    }
    network::remove_node(plan, node)
}

/// A process in the node's mount, UTS and network namespaces.
pub fn holder(plan: &Plan, node: Node) -> Option<u32> {
    let cgroup = program_cgroup(plan, node, PROGRAMS[0]).ok()?;
    cgroup::processes(&cgroup).first().copied()
}

/// The control group of one of its programs.
pub fn program_cgroup(plan: &Plan, node: Node, program: &str) -> Result<PathBuf> {
    Ok(cgroup::of_node(plan, node)?.join("system").join(program))
}

/// `ctr`, for what Kubernetes has in the node's containerd.
pub fn containerd_client(plan: &Plan, node: Node) -> Result<Command> {
    let holder = holder(plan, node).with_context(|| format!("{node} is down"))?;
    let mut ctr = command("ctr");
    ctr.args(["--namespace", "k8s.io", "--address"]);
    ctr.arg(format!("/proc/{holder}/root/run/containerd/containerd.sock"));
    Ok(ctr)
}

/// Where its files are.
fn dir(plan: &Plan, node: Node) -> Result<PathBuf> {
    Ok(plan.dir()?.join("nodes").join(node.to_string()))
}

/// Starts the process that holds the node's namespaces.
fn hold(plan: &Plan, node: Node, dir: &std::path::Path) -> Result<()> {
    let root = cgroup::of_node(plan, node)?;
    cgroup::make(&root)?;
    let booted = dir.join("booted");
    if booted.exists() {
        fs::remove_file(&booted)?;
    }
    let enter = [format!("--net=/run/netns/{}", plan.namespace(node))];
    let own = ["--mount", "--uts", "--propagation", "private", "sh", "-c", BOOT, "weir-node"];
    let places = [
        node.to_string(),
        dir.display().to_string(),
        mounts::cgroup2()?.display().to_string(),
        root.display().to_string(),
    ];
    let arguments: Vec<_> = own.into_iter().map(str::to_owned).chain(places).collect();
    let log = log(plan, node, PROGRAMS[0])?;
    let cgroup = program_cgroup(plan, node, PROGRAMS[0])?;
    let mut holder = daemon::start(&cgroup, log, &enter, "unshare", &arguments)?;
    let waited = wait_for(&format!("{node} to boot"), BOOT_SECONDS, || {
        holder.check()?;
        Ok(booted.exists().then_some(()))
    });
    holder.explain(waited)
}

fn start(
    plan: &Plan,
    node: Node,
    name: &str,
    program: impl AsRef<std::ffi::OsStr>,
    arguments: &[String],
) -> Result<Daemon> {
    let holder = holder(plan, node).with_context(|| format!("{node} is down"))?;
    let enter = [format!("--target={holder}"), "--mount".into(), "--uts".into(), "--net".into()];
    daemon::start(&program_cgroup(plan, node, name)?, log(plan, node, name)?, &enter, program, arguments)
}

fn log(plan: &Plan, node: Node, name: &str) -> Result<PathBuf> {
    Ok(plan.dir()?.join("logs").join(node.to_string()).join(format!("{name}.log")))
}
