//! What the agent keeps of the objects that it watches: plain data, which is stored as the last good plan as well.

use std::net::IpAddr;

use gateway_model::{key::Protocol, weight::Weight};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Namespace and name of an object; the namespace is empty where objects of its kind have none.
pub type Key = (String, String);

/// What all objects have.
pub trait Fact {
    /// Namespace and name.
    fn key(&self) -> Key;
}

/// A `WeirGateway`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// When it was made, seconds since 1970.
    pub created: u64,
    /// Its version, a number since Kubernetes 1.35.
    pub resource_version: u64,
    /// Kind, name and `spec` as JSON.
    pub document: String,
    /// The routes in force, from its status; `None` before the leader has put any in force.
    pub routes: Option<Vec<RouteFacts>>,
    /// The port that the leader gave it.
    pub port: Option<u16>,
}

/// A route in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFacts {
    /// Name.
    pub name: String,
    /// Its own weight.
    pub weight: Weight,
}

/// An `EndpointSlice` that the leader published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SliceFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The name of its gateway's Service.
    pub gateway: String,
    /// Its route.
    pub route: String,
    /// When it was made, seconds since 1970.
    pub created: u64,
    /// The port of all its endpoints.
    pub port: u16,
    /// Endpoints.
    pub endpoints: Vec<EndpointFacts>,
}

/// An endpoint of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointFacts {
    /// Address.
    pub address: IpAddr,
    /// Whether it takes new connections.
    pub ready: bool,
    /// Its node.
    pub node: Option<String>,
    /// Name of its pod.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
}

/// A Service of a gateway, or the shared one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own in a Service")]
pub struct ServiceFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Whether a gateway's label is on it.
    pub is_of_gateway: bool,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// Addresses within the cluster.
    pub cluster_ips: Vec<IpAddr>,
    /// Addresses that others bring to the nodes.
    pub external_ips: Vec<IpAddr>,
    /// Addresses that a load balancer gave.
    pub load_balancer_ips: Vec<IpAddr>,
    /// Whether it has IPv4 addresses.
    pub has_ipv4: bool,
    /// Whether it has IPv6 addresses.
    pub has_ipv6: bool,
    /// `externalTrafficPolicy: Local`.
    pub is_external_local: bool,
    /// `internalTrafficPolicy: Local`.
    pub is_internal_local: bool,
    /// `sessionAffinity: ClientIP`.
    pub is_by_client: bool,
    /// `loadBalancerSourceRanges`.
    pub source_ranges: Vec<IpNet>,
    /// `healthCheckNodePort`.
    pub health_check_node_port: Option<u16>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// On the Service's own addresses.
    pub port: u16,
    /// On addresses of nodes.
    pub node_port: Option<u16>,
    /// Protocol.
    pub protocol: Protocol,
}

/// A pod of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What tells it from another of its name.
    pub uid: String,
    /// Whether the kubelet says that it is ready, and it is not on its way out.
    pub is_ready: bool,
    /// Addresses of its own; none where it has those of the node, or has ended.
    pub addresses: Vec<IpAddr>,
}

/// This node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeFacts {
    /// Name.
    pub name: String,
    /// Addresses that other nodes know it by.
    pub internal_ips: Vec<IpAddr>,
}

impl Fact for GatewayFacts {
    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
}

impl Fact for SliceFacts {
    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
}

impl Fact for ServiceFacts {
    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
}

impl Fact for PodFacts {
    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
}

impl Fact for NodeFacts {
    fn key(&self) -> Key {
        (String::new(), self.name.clone())
    }
}
