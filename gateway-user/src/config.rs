//! The agent's configuration: what the arguments resolve to.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::Serialize;

use crate::{
    admin::address::AdminAddress,
    cli::args::{AgentArgs, ControllerArgs, LogFormat, RunArgs, ServingArgs},
    control::controller::Options,
};

/// What the arguments resolve to: checked, without duplicates, paths absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Config {
    /// What is followed in a cluster; `None`: files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterConfig>,
    /// Files and folders of gateway artifacts.
    pub artifacts: Vec<PathBuf>,
    /// Files and folders of workloads.
    pub workloads: Vec<PathBuf>,
    /// Names of the devices that clients come in through; none in a cluster: they are found.
    pub interfaces: Vec<String>,
    /// Addresses that gateways answer on besides those of the devices.
    pub addresses: BTreeSet<IpAddr>,
    /// The state folder.
    pub state_dir: PathBuf,
    /// The pin folder.
    pub pin_dir: PathBuf,
    /// Where the admin API listens.
    pub admin: AdminAddress,
    /// File with the token for writes on TCP.
    pub admin_token_file: Option<PathBuf>,
    /// Where metrics and health are served.
    pub metrics: SocketAddr,
    /// cgroup of the agent's own; `None` stands for `weir` under the cgroup2 root.
    pub cgroup: Option<PathBuf>,
    /// cgroup whose processes' sockets are served; `None`: none's.
    pub services_cgroup: Option<PathBuf>,
    /// Namespace of what names none.
    pub namespace: String,
    /// How long requests in flight may take once the agent is told to stop.
    #[serde(serialize_with = "as_text")]
    pub drain_timeout: Duration,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What is logged.
    pub log: String,
}

/// An agent's place in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterConfig {
    /// Name of its node.
    pub node: String,
    /// Weir's own namespace.
    pub namespace: String,
    /// Name of its pod.
    pub pod: Option<String>,
    /// Where it answers probes, whether it serves or another agent of the node does.
    pub own_admin: Option<AdminAddress>,
    /// The folder that does not outlive the machine.
    pub run_dir: PathBuf,
}

/// What the arguments of a controller resolve to.
#[derive(Clone, Debug, Serialize)]
pub struct ControllerConfig {
    /// What it is told.
    pub options: Options,
    /// Where metrics and health are served.
    pub metrics: SocketAddr,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What is logged.
    pub log: String,
}

/// Where the agent in the pod with this uid answers probes.
pub fn own_admin(run_dir: &std::path::Path, pod_uid: &str) -> AdminAddress {
    AdminAddress::Unix(run_dir.join(format!("agent-{pod_uid}.sock")))
}

/// Arguments that contradict each other or name what cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Anyone who reaches the port could change weights.
    #[error(
        "--admin {0}: an address that is not loopback needs --admin-token-file, as whoever reaches it could change \
         weights; expected a token file, a loopback address or unix:PATH"
    )]
    AdminWithoutToken(SocketAddr),
    /// A device name that the kernel cannot have.
    #[error(
        "--interface {0:?}: expected the name of a network device: 1 to 15 characters without blank or slash"
    )]
    InterfaceName(String),
    /// An address on which nobody can be reached.
    #[error(
        "--address {0}: expected an address that clients can reach: no wildcard, multicast or loopback address"
    )]
    Address(IpAddr),
    /// A name that no namespace can have.
    #[error("--namespace {0:?}: expected a name without white space or slash")]
    Namespace(String),
    /// A name that no node can have.
    #[error(
        "--node-name {0:?}: expected the name of this node in the cluster, as `kubectl get nodes` shows it"
    )]
    NodeName(String),
    /// A path that cannot be made absolute.
    #[error("{flag} {}: {reason}", path.display())]
    Path {
        /// The flag.
        flag: &'static str,
        /// Its value.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The log filter does not parse.
    #[error(
        "--log {0:?}: {1}; expected a level (error, warn, info, debug, trace) or directives such as weir=debug"
    )]
    Log(String, String),
}

impl TryFrom<RunArgs> for Config {
    type Error = ConfigError;

    fn try_from(args: RunArgs) -> Result<Self, ConfigError> {
        Ok(Self {
            artifacts: absolute("--config", args.config)?,
            workloads: absolute("--workloads", args.workloads)?,
            interfaces: interfaces(args.interface)?,
            addresses: args.address.into_iter().map(address).collect::<Result<_, _>>()?,
            namespace: namespace(args.namespace)?,
            ..serving(args.serving, args.metrics)?
        })
    }
}

impl TryFrom<AgentArgs> for Config {
    type Error = ConfigError;

    fn try_from(args: AgentArgs) -> Result<Self, ConfigError> {
        if !is_subdomain(&args.node_name) {
            return Err(ConfigError::NodeName(args.node_name));
        }
        let run_dir = absolute_path("--run-dir", args.run_dir)?;
        let cluster = ClusterConfig {
            node: args.node_name,
            namespace: namespace(args.system_namespace)?,
            pod: args.pod_name,
            own_admin: args.pod_uid.filter(|uid| !uid.is_empty()).map(|uid| own_admin(&run_dir, &uid)),
            run_dir,
        };
        Ok(Self {
            cluster: Some(cluster),
            interfaces: interfaces(args.interface)?,
            ..serving(args.serving, args.metrics)?
        })
    }
}

impl TryFrom<ControllerArgs> for ControllerConfig {
    type Error = ConfigError;

    fn try_from(args: ControllerArgs) -> Result<Self, ConfigError> {
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&args.log) {
            return Err(ConfigError::Log(args.log, error.to_string()));
        }
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        let own_identity = || format!("{}-{}", host(), std::process::id());
        Ok(Self {
            options: Options {
                namespace: namespace(args.system_namespace)?,
                lease: args.lease_name,
                identity: args.identity.filter(|given| !given.is_empty()).unwrap_or_else(own_identity),
                route_ttl: args.route_ttl,
            },
            metrics: args.metrics,
            log_format: args.log_format,
            log: args.log,
        })
    }
}

/// What every agent has, with nothing to follow yet.
fn serving(args: ServingArgs, metrics: SocketAddr) -> Result<Config, ConfigError> {
    if let AdminAddress::Tcp(address) = args.admin
        && !address.ip().is_loopback()
        && args.admin_token_file.is_none()
    {
        return Err(ConfigError::AdminWithoutToken(address));
    }
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&args.log) {
        return Err(ConfigError::Log(args.log, error.to_string()));
    }
    Ok(Config {
        cluster: None,
        artifacts: Vec::new(),
        workloads: Vec::new(),
        interfaces: Vec::new(),
        addresses: BTreeSet::new(),
        state_dir: absolute_path("--state-dir", args.state_dir)?,
        pin_dir: absolute_path("--pin-dir", args.pin_dir)?,
        admin: match args.admin {
            AdminAddress::Unix(path) => AdminAddress::Unix(absolute_path("--admin", path)?),
            AdminAddress::Tcp(address) => AdminAddress::Tcp(address),
        },
        admin_token_file: args
            .admin_token_file
            .map(|path| absolute_path("--admin-token-file", path))
            .transpose()?,
        metrics,
        cgroup: args.cgroup.map(|path| absolute_path("--cgroup", path)).transpose()?,
        services_cgroup: args
            .services_cgroup
            .map(|path| absolute_path("--services-cgroup", path))
            .transpose()?,
        namespace: String::new(),
        drain_timeout: args.drain_timeout,
        log_format: args.log_format,
        log: args.log,
    })
}

/// Whether it can be the name of a node (RFC 1123 subdomain).
fn is_subdomain(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inside)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn absolute(flag: &'static str, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, ConfigError> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(paths.len());
    for path in paths {
        let path = absolute_path(flag, path)?;
        if seen.insert(path.clone()) {
            kept.push(path);
        }
    }
    Ok(kept)
}

fn absolute_path(flag: &'static str, path: PathBuf) -> Result<PathBuf, ConfigError> {
    std::path::absolute(&path).map_err(|error| ConfigError::Path { flag, path, reason: error.to_string() })
}

fn interfaces(names: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let mut kept: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let valid = (1..=15).contains(&name.len())
            && !name.contains(|c: char| c.is_whitespace() || c == '/')
            && name != "."
            && name != "..";
        if !valid {
            return Err(ConfigError::InterfaceName(name));
        }
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    Ok(kept)
}

fn address(address: IpAddr) -> Result<IpAddr, ConfigError> {
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return Err(ConfigError::Address(address));
    }
    Ok(address)
}

fn namespace(name: String) -> Result<String, ConfigError> {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(ConfigError::Namespace(name));
    }
    Ok(name)
}

fn as_text<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn config(more: &[&str]) -> Result<Config, ConfigError> {
        let args = ["weir", "run", "--config", "a.yaml", "--interface", "eth0"].iter().chain(more);
        let Command::Run(args) = Cli::try_parse_from(args).unwrap().command else {
            panic!("`run` parsed as another command")
        };
        Config::try_from(*args)
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let config = config(&[]).unwrap();
        assert_eq!(config.state_dir, PathBuf::from("/var/lib/weir"));
        assert_eq!(config.pin_dir, PathBuf::from("/sys/fs/bpf/weir"));
        assert_eq!(config.admin.to_string(), "unix:/run/weir/admin.sock");
        assert_eq!(config.metrics.to_string(), "127.0.0.1:9191");
        assert_eq!(config.namespace, "default");
    }

    #[test]
    fn an_admin_port_that_others_reach_needs_a_token() {
        assert!(matches!(config(&["--admin", "192.0.2.1:9190"]), Err(ConfigError::AdminWithoutToken(_))));
        assert!(matches!(config(&["--admin", "0.0.0.0:9190"]), Err(ConfigError::AdminWithoutToken(_))));
        config(&["--admin", "0.0.0.0:9190", "--admin-token-file", "/token"]).unwrap();
        config(&["--admin", "127.0.0.1:9190"]).unwrap();
        config(&["--admin", "[::1]:9190"]).unwrap();
    }

    #[test]
    fn names_and_addresses_that_cannot_be_are_refused() {
        for (flag, value) in [
            ("--interface", ""),
            ("--interface", "sixteencharacter"),
            ("--interface", "a/b"),
            ("--address", "0.0.0.0"),
            ("--address", "::1"),
            ("--address", "ff02::1"),
            ("--namespace", "a b"),
            ("--log", "weir=loud"),
        ] {
            assert!(config(&[flag, value]).is_err(), "{flag} {value} was accepted");
        }
    }

    #[test]
    fn an_agent_of_a_node_answers_probes_under_its_pod_s_uid() {
        let args = ["weir", "agent", "--node-name", "n1", "--pod-uid", "1-2", "--metrics", "192.0.2.1:9191"];
        let Command::Agent(args) = Cli::try_parse_from(args).unwrap().command else {
            panic!("`agent` parsed as another command")
        };
        let config = Config::try_from(*args).unwrap();
        let cluster = config.cluster.unwrap();
        assert_eq!(cluster.own_admin.unwrap().to_string(), "unix:/run/weir/agent-1-2.sock");
        assert_eq!((cluster.namespace.as_str(), config.interfaces.len()), ("weir-system", 0));
        let args = ["weir", "agent", "--node-name", "N 1"];
        let Command::Agent(args) = Cli::try_parse_from(args).unwrap().command else {
            panic!("`agent` parsed as another command")
        };
        assert!(matches!(Config::try_from(*args), Err(ConfigError::NodeName(_))));
    }

    #[test]
    fn repeated_values_count_once() {
        let config = config(&["--interface", "eth0", "--config", "a.yaml"]).unwrap();
        assert_eq!((config.interfaces.len(), config.artifacts.len()), (1, 1));
        assert!(config.artifacts[0].is_absolute());
    }
}
