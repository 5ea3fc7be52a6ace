//! `WeirGateway`: the artifact in camelCase, how its Service is to be, and what is in force.

use std::collections::BTreeMap;

use k8s_openapi::{
    apimachinery::pkg::{apis::meta::v1::Condition, util::intstr::IntOrString},
    jiff::Timestamp,
};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema as _, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A gateway: a named entry point for the versions of a service.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "weir.dev",
    version = "v1",
    kind = "WeirGateway",
    plural = "weirgateways",
    shortname = "wgw",
    category = "weir",
    namespaced,
    status = "WeirGatewayStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A named entry point that splits traffic between the versions of a service.",
    printcolumn(name = "Type", type_ = "string", json_path = ".status.type"),
    printcolumn(name = "Port", type_ = "integer", json_path = ".status.port"),
    printcolumn(name = "Hosts", type_ = "string", json_path = ".status.hosts"),
    printcolumn(name = "Routes", type_ = "integer", json_path = ".status.routeCount"),
    printcolumn(name = "Weights", type_ = "string", json_path = ".status.weights"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].status",
        priority = "1"
    ),
    printcolumn(
        name = "Programmed",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Programmed')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.hostPort) || !self.hostPort || has(self.port)")
    .message("hostPort needs a port: write port, or leave hostPort out"))]
#[x_kube(validation = Rule::new("has(self.selector) || has(self.routes)")
    .message("a gateway without selector and routes leads nowhere: write one of them"))]
pub struct WeirGatewaySpec {
    /// Port of its Service: `N` or `N/http`, `N/https`, `N/tcp`, `N/udp`, `N/tls`. Default: the next free one of 40000 to
    /// 45000, type http.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "port")]
    pub port: Option<IntOrString>,
    /// Whether `port` answers on node addresses as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<bool>,
    /// Hosts that it answers on the shared ports 80 and, with `tls`, 443: exact, or `*.example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "hosts")]
    pub virtual_hosts: Vec<String>,
    /// Finds workloads; what its capture group captures names their routes:
    /// `label(app)(foo) && label(version)((.*))`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub selector: Option<String>,
    /// Routes by name: `(2.0.1)` for what the selector captures, `[host:port]` for an external address, any other name
    /// for one with a `selector` of its own, or for another gateway.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "routes")]
    pub routes: BTreeMap<String, Option<RouteSpec>>,
    /// What a user keeps: `route` or `instance`, or a map with `keep` and one of `by`, `header`, `claim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub sticky: Option<Value>,
    /// Only forwarding that keeps the client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preserve_client_ip: Option<bool>,
    /// Secrets with certificates: `name`; the server name picks one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<String>,
    /// Where its own port is served: `auto`, `kernel` or `request`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "level")]
    pub level: Option<String>,
    /// Free data, kept.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "any_map")]
    pub metadata: Map<String, Value>,
    /// How its Service is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,
}

/// One version behind a gateway.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteSpec {
    /// Share of 100 %, with up to two decimals, `5%`; without: an equal part of the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "percent")]
    pub weight: Option<String>,
    /// Requests that it captures: `User-Agent is Firefox`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub condition: Option<String>,
    /// Share of the matching requests that it captures; default 100 % with a condition, else 0 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "percent")]
    pub condition_strength: Option<String>,
    /// Conditions with a lower one are tried first, those without one last, by the names of their routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Changes to the requests that it takes: `path`, `prefix` or `host`, each `NEW if CONDITION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub rewrites: Option<Value>,
    /// How one of its endpoints is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "balance")]
    pub balance: Option<String>,
    /// Finds its workloads; for a route with a plain name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub selector: Option<String>,
    /// Free data, kept.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "any_map")]
    pub metadata: Map<String, Value>,
}

/// How the gateway's Service is to be: fields of a Service, with the meaning that they have there.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.type) || self.type == 'LoadBalancer' || (!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges) && !has(self.loadBalancerIPs))")
    .message("loadBalancerClass, loadBalancerSourceRanges and loadBalancerIPs need type LoadBalancer"))]
#[x_kube(validation = Rule::new("!has(self.type) || self.type != 'ClusterIP' || (!has(self.nodePort) && !has(self.externalTrafficPolicy))")
    .message("nodePort and externalTrafficPolicy need type NodePort or LoadBalancer"))]
pub struct ServiceSpec {
    /// `NodePort` (the default), `ClusterIP` or `LoadBalancer`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "service_type")]
    pub type_: Option<String>,
    /// The port on node addresses; default: a free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub node_port: Option<i32>,
    /// Its addresses within the cluster; default: free ones.
    #[serde(default, rename = "clusterIPs", skip_serializing_if = "Vec::is_empty")]
    pub cluster_ips: Vec<String>,
    /// `Cluster`, or `Local`: connections from outside stay on the node that they come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "traffic_policy")]
    pub external_traffic_policy: Option<String>,
    /// `Cluster`, or `Local`: connections from pods stay on their node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "traffic_policy")]
    pub internal_traffic_policy: Option<String>,
    /// `None`, or `ClientIP`: connections of one client address go to one endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "affinity")]
    pub session_affinity: Option<String>,
    /// Who gives load balancer addresses; `weir.dev/pool` is Weir's own pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
    /// Where clients of load balancer addresses may come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_source_ranges: Vec<String>,
    /// Load balancer addresses that it asks Weir's pool for.
    #[serde(default, rename = "loadBalancerIPs", skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_ips: Vec<String>,
    /// Addresses that others bring to the nodes.
    #[serde(default, rename = "externalIPs", skip_serializing_if = "Vec::is_empty")]
    pub external_ips: Vec<String>,
    /// `SingleStack`, `PreferDualStack` or `RequireDualStack`; default: `SingleStack` where one family or one of its
    /// addresses is named, else `PreferDualStack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "family_policy")]
    pub ip_family_policy: Option<String>,
    /// `IPv4`, `IPv6`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_families: Vec<String>,
    /// The port on which nodes say whether they have an endpoint, with `externalTrafficPolicy: Local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub health_check_node_port: Option<i32>,
    /// Further labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Further annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What is in force, written by the leader alone.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeirGatewayStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// What is spoken on it: `http`, `https`, `tcp`, `udp` or `tls`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Its hosts, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<String>,
    /// How many routes it has.
    #[serde(default)]
    pub route_count: i32,
    /// Its weights, for people: `(1.0.3)=95% (2.0.1)=5%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Routes in force; their weights add up to 100 % or to 0.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub routes: Vec<RouteStatus>,
    /// Its Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceStatus>,
    /// Which nodes have it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodesStatus>,
    /// The last spec that could be in force, while the one declared cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub in_force: Option<Value>,
    /// `Accepted`, `Programmed`, `ServiceReady`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A route in force.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// Name.
    pub name: String,
    /// Its own weight, `95%`.
    pub weight: String,
    /// Who said so: `file` (the spec), `cli`, or `discovery`.
    pub origin: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub since: Option<Timestamp>,
    /// Pods (and external addresses) that take new connections, each counted once, whatever addresses it has.
    #[serde(default)]
    pub endpoints: i32,
    /// All that exist.
    #[serde(default)]
    pub total: i32,
    /// How it is.
    #[serde(default)]
    #[schemars(schema_with = "route_state")]
    pub state: RouteState,
    /// The weight in the spec when `weight` was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// Since when no workload of it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub gone_since: Option<Timestamp>,
    /// It was found bad: it gets no weight but from a person or a new release.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
}

/// How a route is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteState {
    /// It has endpoints that take new connections.
    Serving,
    /// It has none: its weight is lent to others.
    #[default]
    Waiting,
    /// Its workload is gone. It keeps its settings for a while; one that the spec lists is called so after that, and has
    /// no weight until the spec says something new of it.
    Gone,
    /// It was found bad.
    RolledBack,
}

/// A gateway's Service.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its name: the gateway's where that can be a Service's, else a hash.
    pub name: String,
    /// Its type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Its addresses within the cluster.
    #[serde(default, rename = "clusterIPs", skip_serializing_if = "Vec::is_empty")]
    pub cluster_ips: Vec<String>,
    /// Its port on node addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<i32>,
    /// The port on which nodes say whether they have an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_node_port: Option<i32>,
    /// Its load balancer addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// Which nodes have a gateway as it is.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodesStatus {
    /// How many have.
    pub programmed: i32,
    /// How many should.
    pub total: i32,
    /// Names of some that have not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lagging: Vec<String>,
}

fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "x-kubernetes-validations": [{
            "rule": "type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[0-9]{1,5}(/(http|https|tcp|udp|tls))?$') && int(self.split('/')[0]) >= 1 && int(self.split('/')[0]) <= 65535",
            "message": "expected a port from 1 to 65535, or one with its type like 9050/tcp; types are http, https, tcp, udp and tls",
        }],
    })
}

fn hosts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 253,
            "pattern": r"^(\*\.)?[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*\.?$",
        },
    })
}

fn routes(generator: &mut SchemaGenerator) -> Schema {
    let mut route = RouteSpec::json_schema(generator);
    route.insert("nullable".to_owned(), true.into());
    json_schema!({ "type": "object", "maxProperties": 1024, "additionalProperties": route })
}

fn percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"^\s*[0-9]{1,3}(\.[0-9]+)?\s*%\s*$" })
}

fn level(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["auto", "kernel", "request"] })
}

fn balance(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["roundrobin", "leastconn", "random", "p2c", "maglev"] })
}

fn service_type(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["NodePort", "ClusterIP", "LoadBalancer"] })
}

fn traffic_policy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["Cluster", "Local"] })
}

fn affinity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["None", "ClientIP"] })
}

fn family_policy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["SingleStack", "PreferDualStack", "RequireDualStack"] })
}

fn route_state(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["Serving", "Waiting", "Gone", "RolledBack"] })
}

fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

fn any_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
