//! Gateways as people declare them.

mod artifact;
mod check;
mod host;
mod port;
mod read;
mod read_route;
mod resource;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use artifact::{GatewayArtifact, RouteArtifact, schema};
pub(crate) use check::asks_for_connection_only;
pub use check::lint_selector;
pub use host::VirtualHost;
pub use port::{PortSpec, PortType};
pub use read::{Parsed, parse, repeated};

use crate::{
    condition::Condition,
    document::{Places, Written},
    finding::Place,
    hash,
    key::{GatewayKey, RouteName},
    rewrite::Rewrite,
    selector::Selector,
    snapshot::{SHARED_PORT, SHARED_TLS_PORT},
    sticky::Sticky,
    weight::Weight,
};

/// A declared gateway: product.md, section 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Namespace and name.
    pub key: GatewayKey,
    /// Where it is declared.
    pub place: Place,
    /// Its own port; `None`: one is given out.
    pub port: Option<PortSpec>,
    /// Whether `port` answers on node addresses as well (standalone it always does).
    pub host_port: bool,
    /// Hosts that it answers on the shared ports, each with its place.
    pub virtual_hosts: Vec<(VirtualHost, Place)>,
    /// Finds workloads; routes are then managed by discovery.
    pub selector: Option<Selector>,
    /// Routes, in the order written.
    pub routes: Vec<Route>,
    /// Whether a user keeps his route or endpoint.
    pub sticky: Option<Sticky>,
    /// Only forwarding modes that keep the client's address.
    pub preserve_client_ip: bool,
    /// Names of secrets with certificates.
    pub tls: Vec<String>,
    /// Where it is served.
    pub level: Level,
    /// Free data, kept.
    pub metadata: Map<String, Value>,
    /// Whether it is a resource of Kubernetes: its port is its Service's there, and not one of the node.
    pub is_resource: bool,
    /// Where its fields are written.
    pub places: Places,
}

/// A declared route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: RouteName,
    /// Where it is declared.
    pub place: Place,
    /// Its share of 100 %; `None`: a part of the rest.
    pub weight: Option<Weight>,
    /// Requests that it captures.
    pub condition: Option<Condition>,
    /// Share of the matching requests that it captures; `None`: all of them where a condition is given here,
    /// else none.
    pub condition_strength: Option<Weight>,
    /// Rewrites of requests.
    pub rewrites: Vec<Rewrite>,
    /// How an endpoint is chosen; `None`: maglev at L4, p2c at L7.
    pub balance: Option<Balance>,
    /// A selector of its own.
    pub selector: Option<Selector>,
    /// Free data, kept.
    pub metadata: Map<String, Value>,
    /// Conditions with a lower one are tried first; without one after all that have one, in the order written.
    pub priority: Option<i32>,
    /// Where its fields are written.
    pub places: Places,
}

/// Where a gateway's own port is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// In the kernel while nothing asks for a request.
    #[default]
    Auto,
    /// In the kernel; what asks for a request is an error.
    Kernel,
    /// By the proxy.
    Request,
}

/// How one of a route's endpoints is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastConn,
    /// Any.
    Random,
    /// Of two taken at random the one with fewer requests in flight.
    P2c,
    /// By hash of the client.
    Maglev,
}

impl Gateway {
    /// One of which only the name is known.
    pub fn new(key: GatewayKey, place: Place) -> Self {
        Self {
            key,
            place,
            port: None,
            host_port: false,
            virtual_hosts: Vec::new(),
            selector: None,
            routes: Vec::new(),
            sticky: None,
            preserve_client_ip: false,
            tls: Vec::new(),
            level: Level::Auto,
            metadata: Map::new(),
            is_resource: false,
            places: Places::default(),
        }
    }

    /// What is spoken on its port.
    pub fn kind(&self) -> PortType {
        self.port.map(|port| port.kind).unwrap_or_default()
    }

    /// The shared ports that its hosts are served on.
    pub fn shared_ports(&self) -> &'static [u16] {
        match (self.virtual_hosts.is_empty(), self.kind(), self.tls.is_empty()) {
            (true, _, _) => &[],
            (false, PortType::Tls, _) => &[SHARED_TLS_PORT],
            (false, _, true) => &[SHARED_PORT],
            (false, _, false) => &[SHARED_PORT, SHARED_TLS_PORT],
        }
    }

    /// The name of its Service: its own where that can be one (RFC 1035, section 2.3.1, lower case), else a hash of
    /// it.
    pub fn service_name(&self) -> String {
        let name = &self.key.name;
        let fits = name.len() <= 63
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && !name.ends_with('-')
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if fits { name.clone() } else { format!("weir-{:016x}", hash::bytes(0x0073_7663, name.as_bytes())) }
    }

    /// Where a field is written; the gateway's own place where it is not given.
    pub fn place_of(&self, field: &str) -> &Place {
        self.places.of(field).map_or(&self.place, Written::place)
    }

    /// Its routes that lead to other gateways of its namespace, each with the name of that one.
    pub fn chained(&self) -> impl Iterator<Item = (GatewayKey, &Route)> {
        let chained = self.routes.iter().filter(|route| route.is_chained());
        chained.map(|route| (GatewayKey::new(self.key.namespace.clone(), route.name.0.clone()), route))
    }

    /// Its selector and those of its routes.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.selector.iter().chain(self.routes.iter().filter_map(|route| route.selector.as_ref()))
    }
}

impl Route {
    /// A route of which only the name is known.
    pub fn named(name: RouteName, place: Place) -> Self {
        Self {
            name,
            place,
            weight: None,
            condition: None,
            condition_strength: None,
            rewrites: Vec::new(),
            balance: None,
            selector: None,
            metadata: Map::new(),
            priority: None,
            places: Places::default(),
        }
    }

    /// Where a field is written; the route's own place where it is not given.
    pub fn place_of(&self, field: &str) -> &Place {
        self.places.of(field).map_or(&self.place, Written::place)
    }

    /// Whether it leads to another gateway: it has a plain name, and no selector of its own.
    pub fn is_chained(&self) -> bool {
        !self.name.is_group() && self.external().is_none() && self.selector.is_none()
    }

    /// The address of an external route `[host:port]`, host and port; `None` for any other. An IPv6 address has
    /// brackets of its own, `[[2001:db8::7]:80]`: without them nobody knows whether its end is the port.
    pub fn external(&self) -> Option<(&str, u16)> {
        let inner = self.name.0.strip_prefix('[')?.strip_suffix(']')?;
        let (host, port) = inner.rsplit_once(':')?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.or_else(|| (!host.contains(':')).then_some(host))?;
        Some((host, port.parse().ok()?))
    }
}
