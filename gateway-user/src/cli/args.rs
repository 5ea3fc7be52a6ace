//! The command line as typed.

mod offline;

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use gateway_model::{condition::Condition, key::RouteName, weight::Weight};

pub use offline::{FileArgs, Offline};

use crate::admin::address::AdminAddress;

/// Weir splits traffic between the versions of a service, in the kernel.
#[derive(Debug, Parser)]
#[command(name = "weir", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent: load the programs, follow the files, serve until told to stop
    Run(Box<RunArgs>),
    /// Run the agent of a Kubernetes node: follow the cluster, serve until told to stop
    Agent(Box<AgentArgs>),
    /// Run the controller of a Kubernetes cluster: of several one leads, and gives versions their routes
    Controller(Box<ControllerArgs>),
    /// Ask the cluster, or a running agent.
    #[command(flatten)]
    Ask(Ask),
    /// Work on files.
    #[command(flatten)]
    Offline(Offline),
    /// Write gateways of files to the cluster, as resources of Kubernetes
    ///
    /// Example: weir apply -f gateways.yaml
    Apply {
        /// Gateway artifacts or resources (YAML or JSON): files, folders, or - for standard input
        #[arg(short, long = "file", required = true, value_name = "FILE", num_args = 1..)]
        files: Vec<PathBuf>,
        /// Let the API server check everything, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Namespace of what names none [default: the kubeconfig's]
        #[arg(short, long, value_name = "NAMESPACE")]
        namespace: Option<String>,
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Detach and unpin everything of Weir's; needs no agent, and may be repeated
    Uninstall {
        /// Where the agent pinned its maps and programs
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PINS)]
        pin_dir: PathBuf,
        /// Folders of the agent's state that are removed as well, with what was set at run time
        #[arg(long = "state-dir", value_name = "DIR")]
        state_dirs: Vec<PathBuf>,
        /// Do nothing, and fail, while an agent runs
        #[arg(long)]
        unless_running: bool,
        /// Stay until told to end, as a pod that is ready has to
        #[arg(long)]
        stay: bool,
    },
}

/// A command that the cluster answers, or a running agent.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// List gateways with their routes, weights and where each value comes from
    Get {
        /// Only this gateway
        gateway: Option<String>,
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show everything about one gateway: frontends, routes, conditions, endpoints, findings
    Describe {
        /// The gateway: NAME or NAMESPACE/NAME
        gateway: String,
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Set weights of routes, all in one change; returns when every node has it
    ///
    /// Example: weir weight foo-ingress '(1.0.3)=95%' '(2.0.1)=5%'
    Weight {
        /// The gateway: NAME or NAMESPACE/NAME
        gateway: String,
        /// ROUTE=NN%, up to two decimals
        #[arg(required = true, value_name = "ROUTE=NN%", value_parser = parse_share)]
        weights: Vec<(RouteName, Weight)>,
        /// Let the routes not named make room, in proportion to their weights
        #[arg(long)]
        rebalance: bool,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Set or clear the condition of a route; returns when it is in force on every node
    ///
    /// Example: weir condition foo-ingress '(2.0.1)' 'User-Agent = Firefox' --strength 50%
    Condition {
        /// The gateway: NAME or NAMESPACE/NAME
        gateway: String,
        /// The route
        #[arg(value_parser = parse_route)]
        route: RouteName,
        /// The condition; left out, only the strength changes
        #[arg(value_name = "EXPR", value_parser = parse_condition, required_unless_present_any = ["clear", "strength"])]
        condition: Option<String>,
        /// Share of the matching requests that the route takes; 100% where none was set
        #[arg(long, value_name = "NN%", value_parser = parse_weight)]
        strength: Option<Weight>,
        /// Remove the condition
        #[arg(long, conflicts_with_all = ["condition", "strength"])]
        clear: bool,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Rates per gateway and route, live
    Top {
        /// Only this gateway
        gateway: Option<String>,
        /// Print the counters once and exit
        #[arg(long)]
        once: bool,
        /// Time between two readings
        #[arg(long, default_value = "1s", value_parser = parse_time)]
        interval: Duration,
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// What the kernel holds, against what it should hold; exits with 1 where they differ
    Dump {
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// The agent of this machine: generation, interfaces, kernel features, findings
    Status {
        #[command(flatten)]
        probe: ProbeArgs,
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// How long to wait for nodes.
#[derive(Args, Clone, Copy, Debug)]
pub struct WaitArgs {
    /// How long to wait until every node has it; then those that have not are named, and the exit code is 1
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    pub timeout: Duration,
}

/// A question of the kubelet's.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct ProbeArgs {
    /// The agent in this very pod, of the two that share a node for a while
    #[arg(long = "self")]
    pub own: bool,
    /// Say nothing, exit with 0 where the agent has everything in force
    #[arg(long, group = "probe")]
    pub ready: bool,
    /// Say nothing, exit with 0 where the agent answers
    #[arg(long, group = "probe")]
    pub live: bool,
    /// Say nothing, exit with 0 where the agent has started
    #[arg(long, group = "probe")]
    pub started: bool,
    /// uid of the pod
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pub pod_uid: Option<String>,
    /// Where the agent has its sockets
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    pub run_dir: PathBuf,
}

const DEFAULT_PINS: &str = "/sys/fs/bpf/weir";

/// Arguments of `weir run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Gateway artifacts (YAML or JSON): a file or a folder; may be repeated
    #[arg(long, required = true, value_name = "PATH", num_args = 1..)]
    pub config: Vec<PathBuf>,
    /// Workloads (YAML or JSON list): a file or a folder; may be repeated
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub workloads: Vec<PathBuf>,
    /// Network device that clients come in through; may be repeated
    #[arg(long, required = true, value_name = "IF", num_args = 1..)]
    pub interface: Vec<String>,
    /// Address that gateways answer on besides those of the devices; may be repeated
    #[arg(long, value_name = "IP", num_args = 1.., value_parser = parse_address)]
    pub address: Vec<IpAddr>,
    /// Namespace of artifacts and workloads that name none
    #[arg(short, long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    pub namespace: String,
    /// Where metrics and health are served
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9191", value_parser = parse_socket)]
    pub metrics: SocketAddr,
    /// What every agent has.
    #[command(flatten)]
    pub serving: ServingArgs,
}

/// Arguments of `weir agent`.
#[derive(Args, Debug)]
pub struct AgentArgs {
    /// Name of this node
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: String,
    /// Network device that clients come in through; may be repeated [default: those of the default routes and of the node's own address]
    #[arg(long, value_name = "IF", num_args = 1..)]
    pub interface: Vec<String>,
    /// Weir's own namespace, where its shared Service is
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE", default_value = SYSTEM_NAMESPACE)]
    pub system_namespace: String,
    /// Name of the pod that this is
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,
    /// uid of the pod that this is: the agent answers probes under that name, as two share a node for a while
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pub pod_uid: Option<String>,
    /// Keeps the last good plan as long as the machine runs
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    pub run_dir: PathBuf,
    /// Where metrics, health and what `weir` asks of all nodes are served
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:9191", value_parser = parse_socket)]
    pub metrics: SocketAddr,
    /// What every agent has.
    #[command(flatten)]
    pub serving: ServingArgs,
}

/// Arguments of `weir controller`.
#[derive(Args, Debug)]
pub struct ControllerArgs {
    /// Weir's own namespace, where the lease and the shared Service are
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE", default_value = SYSTEM_NAMESPACE)]
    pub system_namespace: String,
    /// Name of the lease that the leader holds
    #[arg(long, value_name = "NAME", default_value = "weir-controller")]
    pub lease_name: String,
    /// What tells this controller from others [default: the host's name and the process id]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub identity: Option<String>,
    /// For how long a route keeps its settings once no workload of it exists
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    pub route_ttl: Duration,
    /// Where metrics and health are served
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:9192", value_parser = parse_socket)]
    pub metrics: SocketAddr,
    /// How the log is written
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// What is logged: a level, or directives such as `weir=debug`; `kube_client=info` adds the Kubernetes client's own
    #[arg(long, env = "WEIR_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Print the configuration that results from the arguments, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// What every agent has.
#[derive(Args, Debug)]
pub struct ServingArgs {
    /// Keeps what was changed at run time, and the last good plan
    #[arg(long, value_name = "DIR", default_value = "/var/lib/weir")]
    pub state_dir: PathBuf,
    /// Where maps and programs are pinned, on a BPF file system
    #[arg(long, value_name = "DIR", default_value = DEFAULT_PINS)]
    pub pin_dir: PathBuf,
    /// Where the admin API listens: unix:PATH or IP:PORT
    #[arg(long, env = "WEIR_ADMIN", value_name = "ADDRESS", default_value = DEFAULT_ADMIN)]
    pub admin: AdminAddress,
    /// File with the token that writes on IP:PORT must show; without it only loopback addresses are accepted
    #[arg(long, env = "WEIR_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// cgroup of the agent's own, in which packets to endpoints are counted [default: weir under the cgroup2 root]
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// cgroup2 folder whose processes, and those of the cgroups below, reach gateways by connect(2): the root stands
    /// for every process of this machine
    #[arg(long, value_name = "PATH")]
    pub services_cgroup: Option<PathBuf>,
    /// How long requests in flight may take once the agent is told to stop
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    pub drain_timeout: Duration,
    /// How the log is written
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// What is logged: a level, or directives such as `weir=debug`; `kube_client=info` adds the Kubernetes client's own
    #[arg(long, env = "WEIR_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Print the configuration that results from the arguments, and exit
    #[arg(long)]
    pub print_config: bool,
}

pub(super) const SYSTEM_NAMESPACE: &str = "weir-system";
/// Where agents have their sockets.
pub(super) const RUN_DIR: &str = "/run/weir";
pub(super) const DEFAULT_ADMIN: &str = "unix:/run/weir/admin.sock";
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Whom to ask: the cluster, or one agent.
#[derive(Args, Clone, Debug, Default)]
pub struct RemoteArgs {
    /// Ask this agent, not the cluster: unix:PATH or IP:PORT [without a cluster: `unix:/run/weir/admin.sock`]
    #[arg(long, env = "WEIR_ADMIN", value_name = "ADDRESS")]
    pub admin: Option<AdminAddress>,
    /// File with the token for writes on IP:PORT
    #[arg(long, env = "WEIR_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Namespace; lists are of all namespaces where none is given, names are of the kubeconfig's, or of `default`
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

/// How to reach a cluster.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// The kubeconfig [default: KUBECONFIG, ~/.kube/config, or that of the pod]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Weir's own namespace, where its agents are
    #[arg(long, env = "WEIR_NAMESPACE", value_name = "NAMESPACE", default_value = SYSTEM_NAMESPACE)]
    pub system_namespace: String,
}

/// Arguments that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(pub(super) String);

/// How to print.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

fn parse_share(text: &str) -> Result<(RouteName, Weight), String> {
    // A route's name may hold an equals sign, a weight never does.
    let (route, weight) = text.rsplit_once('=').ok_or("expected ROUTE=NN%, as in '(2.0.1)=5%'")?;
    if route.is_empty() {
        return Err("expected the route's name before the equals sign, as in '(2.0.1)=5%'".to_owned());
    }
    Ok((RouteName(route.to_owned()), parse_weight(weight)?))
}

#[expect(clippy::unnecessary_wraps, reason = "what clap expects of a parser")]
fn parse_route(text: &str) -> Result<RouteName, Infallible> {
    Ok(RouteName(text.to_owned()))
}

/// Checks the text and keeps it as it was typed.
fn parse_condition(text: &str) -> Result<String, String> {
    Condition::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn parse_weight(text: &str) -> Result<Weight, String> {
    text.parse::<Weight>().map_err(|error| error.to_string())
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "expected an IP address, as in 203.0.113.5 or 2001:db8::5".to_owned())
}

fn parse_socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected IP:PORT, as in 127.0.0.1:9191 or [::1]:9191".to_owned())
}

fn parse_time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; expected a number and a unit, as in 30s or 2min"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn the_last_equals_sign_ends_the_route() {
        let (route, weight) = parse_share("(a=b)=0.05%").unwrap();
        assert_eq!((route.0.as_str(), weight.hundredths()), ("(a=b)", 5));
    }
}
