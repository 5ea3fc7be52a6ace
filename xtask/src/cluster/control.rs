//! The control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, in the control namespace.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    cgroup,
    daemon::{self, Daemon},
    network,
    plan::{API_PORT, Host, PODS, Plan, SERVICES},
};
use crate::{
    exec::{command, read, wait_for},
    setup::kubernetes,
};

/// Its programs.
pub const PROGRAMS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
/// The one that an outage of the API ends.
pub const API_SERVER: &str = "kube-apiserver";
const READY_SECONDS: u64 = 60;
/// Of those who give way: a third of a share.
const NICENESS: &str = "5";

/// Starts etcd and the API server, which finds etcd when both are up.
pub fn start_api(plan: &Plan) -> Result<(Daemon, Daemon)> {
    Ok((start(plan, "etcd")?, start(plan, API_SERVER)?))
}

/// Starts what works through the API; each waits for it.
pub fn start_controllers(plan: &Plan) -> Result<Vec<Daemon>> {
    PROGRAMS[2..].iter().map(|name| start(plan, name)).collect()
}

/// Starts one of the programs.
pub fn start(plan: &Plan, name: &str) -> Result<Daemon> {
    let dir = plan.dir()?;
    let arguments = match name {
        "etcd" => etcd(&dir),
        API_SERVER => api_server(plan, &dir),
        "kube-controller-manager" => controller_manager(&dir),
        _ => with_kubeconfig(&dir, name, &["--leader-elect=false", "--bind-address=127.0.0.1"]),
    };
    if name == "etcd" {
        return run(plan, name, "etcd", &arguments);
    }
    let arguments: Vec<_> = std::iter::once(name.to_owned()).chain(arguments).collect();
    run(plan, name, kubernetes::kube()?, &arguments)
}

/// Runs any program beside them, called `name`.
pub fn run(plan: &Plan, name: &str, program: impl AsRef<OsStr>, arguments: &[String]) -> Result<Daemon> {
    let enter = [format!("--net=/run/netns/{}", plan.namespace("control"))];
    let log = plan.dir()?.join("logs").join(format!("{name}.log"));
    daemon::start(&group(plan, name)?, log, &enter, program, arguments)
}

/// Has all that runs there give way to the nodes: in life it has machines of its own, and a node's time is the node's.
pub fn give_way(plan: &Plan) -> Result<()> {
    let programs = groups(plan)?;
    for program in fs::read_dir(&programs).with_context(|| format!("reading {}", programs.display()))? {
        // Each leads a session, and so a process group.
        for leader in cgroup::processes(&program?.path()) {
            read(command("renice").args(["-n", NICENESS, "-g", &leader.to_string()]))?;
            let of_session = PathBuf::from(format!("/proc/{leader}/autogroup"));
            if of_session.is_file() {
                // Where sessions share the processors niceness counts within each only.
                fs::write(&of_session, NICENESS)
                    .with_context(|| format!("writing {}", of_session.display()))?;
            }
        }
    }
    Ok(())
}

/// The control group of one of them.
pub fn group(plan: &Plan, name: &str) -> Result<PathBuf> {
    Ok(groups(plan)?.join(name))
}

/// Where the control groups of all of them are.
fn groups(plan: &Plan) -> Result<PathBuf> {
    Ok(cgroup::of_cluster(plan)?.join("control"))
}

/// Waits until the API answers that it is ready.
pub fn wait_ready(plan: &Plan, daemons: &mut [&mut Daemon]) -> Result<()> {
    let waited = wait_for("the API server to be ready", READY_SECONDS, || {
        for daemon in daemons.iter_mut() {
            daemon.check()?;
        }
        Ok(is_ready(plan)?.then_some(()))
    });
    match daemons.last() {
        Some(daemon) => daemon.explain(waited),
        None => waited,
    }
}

/// Whether the API is ready to serve.
pub fn is_ready(plan: &Plan) -> Result<bool> {
    let url = format!("{}/readyz", plan.api());
    let mut curl = network::inside(&plan.namespace("control"), "curl");
    curl.args(["--silent", "--fail", "--max-time", "5", "--noproxy", "*", "--cacert"]);
    Ok(read(curl.arg(plan.dir()?.join("pki/ca.crt")).arg(url)).is_ok())
}

fn etcd(dir: &Path) -> Vec<String> {
    let data = format!("--data-dir={}", dir.join("etcd").display());
    // It forgets nothing that a crash of this machine would not take away as well.
    let rest = [
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--logger=zap",
        "--log-level=warn",
    ];
    std::iter::once(data).chain(rest.map(str::to_owned)).collect()
}

fn api_server(plan: &Plan, dir: &Path) -> Vec<String> {
    let pki = |file: &str| dir.join("pki").join(file).display().to_string();
    let flags = [
        ("etcd-servers", "http://127.0.0.1:2379".to_owned()),
        ("advertise-address", plan.v4(Host::CONTROL).to_string()),
        ("secure-port", API_PORT.to_string()),
        ("tls-cert-file", pki("apiserver.crt")),
        ("tls-private-key-file", pki("apiserver.key")),
        ("client-ca-file", pki("ca.crt")),
        ("kubelet-client-certificate", pki("kubelet-client.crt")),
        ("kubelet-client-key", pki("kubelet-client.key")),
        ("kubelet-preferred-address-types", "InternalIP".to_owned()),
        ("token-auth-file", pki("tokens.csv")),
        ("service-account-issuer", "https://kubernetes.default.svc.cluster.local".to_owned()),
        ("service-account-key-file", pki("accounts.key")),
        ("service-account-signing-key-file", pki("accounts.key")),
        ("service-cluster-ip-range", SERVICES.to_owned()),
        ("authorization-mode", "Node,RBAC".to_owned()),
        ("enable-admission-plugins", "NodeRestriction".to_owned()),
        ("allow-privileged", "true".to_owned()),
        // Webhooks are called at the addresses of their pods: there is no kube-proxy here.
        ("enable-aggregator-routing", "true".to_owned()),
        ("profiling", "false".to_owned()),
    ];
    flags.map(|(name, value)| format!("--{name}={value}")).to_vec()
}

fn controller_manager(dir: &Path) -> Vec<String> {
    let pki = |file: &str| dir.join("pki").join(file).display().to_string();
    let flags = [
        format!("--cluster-cidr={PODS}"),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--root-ca-file={}", pki("ca.crt")),
        format!("--service-account-private-key-file={}", pki("accounts.key")),
        format!("--cluster-signing-cert-file={}", pki("ca.crt")),
        format!("--cluster-signing-key-file={}", pki("ca.key")),
    ];
    let constant = [
        "--allocate-node-cidrs=true",
        "--node-cidr-mask-size-ipv4=24",
        "--node-cidr-mask-size-ipv6=64",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ];
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(constant).collect();
    with_kubeconfig(dir, "kube-controller-manager", &flags)
}

/// Flags of a program that authenticates, and asks who others are, by its own kubeconfig.
fn with_kubeconfig(dir: &Path, name: &str, flags: &[&str]) -> Vec<String> {
    let own = dir.join("kubeconfig").join(name).display().to_string();
    let kinds = ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"];
    let kubeconfigs = kinds.map(|kind| format!("--{kind}={own}"));
    kubeconfigs.into_iter().chain(flags.iter().map(|&flag| flag.to_owned())).collect()
}
