//! Configuration of a node's programs.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    cluster::plan::{DNS4, Node, PODS, Plan},
    image::PAUSE,
};

/// Writes all of it into the node's folder.
pub fn write(plan: &Plan, node: Node, dir: &Path) -> Result<()> {
    let files = [
        ("containerd.toml", containerd(dir)),
        ("cni/10-weir.conflist", format!("{:#}\n", network(node))),
        ("kubelet.json", format!("{:#}\n", kubelet(plan, node)?)),
        ("kube-proxy.json", format!("{:#}\n", kube_proxy(plan, node)?)),
        ("resolv.conf", "# A pod that asks for the node's DNS is told of none.\n".to_owned()),
    ];
    fs::create_dir_all(dir.join("cni"))?;
    for (name, text) in files {
        fs::write(dir.join(name), text).with_context(|| format!("writing {name} of {node}"))?;
    }
    Ok(())
}

/// The command line of kubelet or kube-proxy, after the program's name.
pub fn arguments(plan: &Plan, node: Node, program: &str, dir: &Path) -> Result<Vec<String>> {
    let config = dir.join(format!("{program}.json"));
    let mut arguments = vec![program.to_owned(), format!("--config={}", config.display())];
    if program == "kubelet" {
        let kubeconfig = plan.dir()?.join(format!("kubeconfig/node-{node}"));
        let (v4, v6) = (plan.v4(node.host()), plan.v6(node.host()));
        arguments.push(format!("--kubeconfig={}", kubeconfig.display()));
        arguments.push(format!("--hostname-override={node}"));
        arguments.push(format!("--node-ip={v4},{v6}"));
    }
    Ok(arguments)
}

fn containerd(dir: &Path) -> String {
    let cni = dir.join("cni");
    // restrict_oom_score_adj: without CAP_SYS_RESOURCE, as in a container, runc would die of lowering it.
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{}"
"#,
        cni.display()
    )
}

/// Pods are routed one by one, in both families, and keep their addresses towards everybody.
fn network(node: Node) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "weir",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni-addresses",
                "ranges": [[{ "subnet": node.pods4() }], [{ "subnet": node.pods6() }]],
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
            },
        }],
    })
}

fn kubelet(plan: &Plan, node: Node) -> Result<Value> {
    let dir = plan.dir()?;
    Ok(json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": dir.join("pki/ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [DNS4],
        "clusterDomain": "cluster.local",
        "resolvConf": dir.join("nodes").join(node.to_string()).join("resolv.conf"),
        "podLogsDir": "/var/log/pods",
        // Control groups are there to be found and to limit containers, not to divide this machine.
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": false,
        "failSwapOn": false,
        // A disk that is rather full is this machine's own matter.
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": 250,
    }))
}

fn kube_proxy(plan: &Plan, node: Node) -> Result<Value> {
    let kubeconfig = plan.dir()?.join("kubeconfig/kube-proxy");
    Ok(json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": { "kubeconfig": kubeconfig },
        "hostnameOverride": node.to_string(),
        "clusterCIDR": PODS,
        // Those of the machine as a whole, which a namespace may not set.
        "conntrack": { "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
    }))
}
