//! What the admin API answers, as JSON; the command line reads the same types.
//!
//! Shares are texts as users write them (`95%`), sizes are bytes, durations seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A gateway: what is declared, where each value comes from, and what is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatewayView {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its own port with its type, `9050/http`.
    pub port: Option<String>,
    /// Where the port comes from: `file`, or `discovery` where the agent gave it out.
    pub port_origin: Option<String>,
    /// Host names on the shared ports.
    pub virtual_hosts: Vec<String>,
    /// Its selector.
    pub selector: Option<String>,
    /// Who chooses: `kernel`, once per connection, or `request`.
    pub level: String,
    /// Addresses that it answers on, `192.0.2.1:9050/tcp`.
    pub frontends: Vec<String>,
    /// Its routes, by name.
    pub routes: Vec<RouteView>,
    /// Where it is declared, `FILE:LINE`.
    pub declared: Option<String>,
    /// Mistakes that concern it.
    pub findings: Vec<FindingView>,
}

impl GatewayView {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// A value and where it comes from: `file`, `cli` or `discovery`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sourced {
    /// The value.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteView {
    /// Name.
    pub name: String,
    /// The gateway that it leads to, `namespace/name`, where it leads to one.
    #[serde(default)]
    pub chained: Option<String>,
    /// Its weight; those of a gateway add up to 100 % or to 0.
    pub weight: Sourced,
    /// The weight in force: while a route has no ready endpoint the others carry its share.
    pub in_force: String,
    /// Whether it was found bad: it gets no weight but from a person or a new release.
    #[serde(default)]
    pub rolled_back: bool,
    /// Its condition.
    pub condition: Option<Sourced>,
    /// Share of the matching requests that the condition captures.
    pub strength: Option<Sourced>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointView>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// Address and port.
    pub address: String,
    /// Whether it takes new connections.
    pub ready: bool,
    /// The workload behind it.
    pub workload: String,
}

/// A mistake and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingView {
    /// Stable name in kebab-case.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// `namespace/name` of the gateway that it is about.
    pub gateway: Option<String>,
    /// `FILE:LINE:COLUMN`.
    pub place: Option<String>,
    /// What is wrong, what was expected.
    pub message: String,
    /// What to do instead.
    pub advice: String,
}

/// The agent itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Counts the changes that were worked out.
    pub generation: u64,
    /// The newest generation that the kernel and the proxy hold.
    pub generation_in_force: u64,
    /// Whether everything desired is in force.
    pub ready: bool,
    /// `serving`, or `yielding` while a successor takes over.
    pub phase: String,
    /// Why the kernel does not hold what it should, where it does not.
    pub kernel_error: Option<String>,
    /// The devices.
    pub interfaces: Vec<InterfaceView>,
    /// Addresses of pools that this node answers for on its network.
    #[serde(default)]
    pub announces: Vec<String>,
    /// Kernel features that were looked for, and what was found.
    pub kernel: BTreeMap<String, String>,
    /// Numbers of gateways and routes.
    pub gateways: usize,
    /// Routes over all gateways.
    pub routes: usize,
    /// All mistakes.
    pub findings: Vec<FindingView>,
    /// Where things are kept, as given or by default.
    pub paths: BTreeMap<String, String>,
}

/// A device that clients come in through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceView {
    /// Name.
    pub name: String,
    /// How the program is attached: `native`, `tcx`.
    pub mode: String,
    /// Why not better, where it could be.
    pub reason: Option<String>,
    /// Its addresses that gateways answer on.
    pub addresses: Vec<String>,
}

/// Counters since the maps were made; they survive restarts of the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatsView {
    /// When they were read: seconds since 1970.
    pub taken_at: f64,
    /// By gateway.
    pub gateways: Vec<GatewayStats>,
    /// Packets by verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// Requests refused before they had a gateway, by reason.
    pub refused_requests: BTreeMap<String, u64>,
    /// Client connections that the proxy holds open.
    pub open_connections: u64,
    /// From a change of the cluster to its being in force; nothing without a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence: Option<Latency>,
}

/// Packets and bytes both ways; bytes are IP lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets client → endpoint.
    pub packets: u64,
    /// Bytes client → endpoint.
    pub bytes: u64,
    /// Packets endpoint → client.
    pub reply_packets: u64,
    /// Bytes endpoint → client.
    pub reply_bytes: u64,
}

/// Counters of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GatewayStats {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The client leg of connections that the proxy answers.
    pub client: Traffic,
    /// By route.
    pub routes: Vec<RouteStats>,
    /// Requests that no route took, by status class.
    pub unrouted_requests: BTreeMap<String, u64>,
}

/// Counters of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteStats {
    /// Name.
    pub name: String,
    /// Its weight in force; empty for a route that is gone.
    pub weight: String,
    /// Packets and bytes.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Connections that the kernel gave it.
    pub connections: u64,
    /// Requests by status class, `2xx`; `error` where the endpoint gave no answer.
    pub requests: BTreeMap<String, u64>,
    /// Time from a request's head to its answer's head.
    pub latency: Latency,
    /// By endpoint.
    pub endpoints: Vec<EndpointStats>,
}

/// A histogram of durations in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Upper bound of each bucket and how many fell into it (not cumulative); `inf` is kept as `null`.
    pub buckets: Vec<(Option<f64>, u64)>,
    /// Sum of all durations.
    pub sum: f64,
    /// How many.
    pub count: u64,
}

/// Counters of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointStats {
    /// Address and port.
    pub address: String,
    /// Packets and bytes.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// What the kernel holds against what it should hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DumpView {
    /// Generation that this is about.
    pub generation: u64,
    /// Where they differ, one line each; empty where they do not.
    pub differences: Vec<String>,
    /// The kernel's side, as the data plane tells it.
    pub kernel: serde_json::Value,
}

/// Asks for weights: of routes by name, as texts (`5%`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetWeights {
    /// By route.
    pub weights: BTreeMap<String, String>,
    /// Whether the routes not named make room.
    #[serde(default)]
    pub rebalance: bool,
}

/// Asks for a condition, a strength, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetCondition {
    /// The route.
    pub route: String,
    /// The condition; an empty text removes it, none leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The strength; none leaves it, or makes it 100 % for a condition that is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<String>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// What was wrong, what was expected and what to do.
    pub error: String,
}
