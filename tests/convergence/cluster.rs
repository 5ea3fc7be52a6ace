//! The cluster under test.

use std::{
    fs,
    net::IpAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use kube::{Client, Config, config::Kubeconfig};
use serde_json::Value;

/// A cluster that `cargo xtask cluster up` started.
pub struct Cluster {
    pub client: Client,
    kubeconfig: String,
    kubectl: String,
    /// The network namespace of a client outside.
    pub client_netns: String,
    /// The network namespace of its node.
    netns: String,
    /// An address of its node.
    address: String,
    cgroup: String,
}

impl Cluster {
    /// Reads its description.
    pub async fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let described: Value = serde_json::from_str(&text)?;
        let get = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let kubeconfig = get(&described, "kubeconfig");
        let config = Kubeconfig::read_from(&kubeconfig)?;
        let config =
            Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await?;
        let node = &described["nodes"][0];
        Ok(Self {
            client: Client::try_from(config)?,
            kubectl: get(&described, "kubectl"),
            client_netns: get(&described, "client_namespace"),
            netns: get(node, "netns"),
            address: node["addresses"][0].as_str().unwrap_or_default().to_owned(),
            cgroup: get(node, "cgroup"),
            kubeconfig,
        })
    }

    /// An address of its node.
    pub fn node_address(&self) -> Result<IpAddr> {
        self.address.parse().with_context(|| format!("`{}` is no address", self.address))
    }

    /// What kubectl prints.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.kubectl)
            .args(["--kubeconfig", &self.kubeconfig])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .context("starting kubectl")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {complaint}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A program in the node's network namespace, whose output is read.
    pub fn on_node(&self, program: &str, arguments: &[&str]) -> Result<Child> {
        Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.netns))
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {program}"))
    }

    /// Processes of pods of the node whose command line contains both texts.
    pub fn processes(&self, program: &str, argument: &str) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
            let is_program = words.next().is_some_and(|word| word.ends_with(program));
            let group = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            let own = self.cgroup.rsplit_once("/unified").map_or(self.cgroup.as_str(), |(_, own)| own);
            if is_program && words.next().is_some_and(|word| word == argument) && group.contains(own) {
                found.push(pid);
            }
        }
        Ok(found)
    }
}

/// A line of /proc/PID/status, in KiB.
pub fn memory(pid: u32, line: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|of| of.strip_prefix(line)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}
