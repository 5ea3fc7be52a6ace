//! Objects of which only little counts: what the leader itself publishes, nodes, pools.

use std::{collections::BTreeMap, hash::Hasher as _, net::IpAddr};

use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::ResourceExt as _;

use super::version;
use crate::control::{
    agent::facts::{Fact, Key},
    resource::{GATEWAY_LABEL, WeirAddressPool, WeirNode},
};

/// Name of the Service that all gateways with virtual hosts share, in Weir's own namespace.
pub const SHARED_SERVICE: &str = "weir-agent";
/// Label of nodes that says in which zone they are.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// A slice that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceSeen {
    /// Namespace and name.
    pub key: Key,
    /// What tells it from another of its name.
    pub uid: String,
    /// Its version.
    pub version: u64,
    /// The name of its gateway's Service.
    pub gateway: String,
    /// Of its [content](slice_content).
    pub content: u64,
    /// How many of its endpoints take new connections.
    pub ready: usize,
}

/// A Service: all of it where it is Weir's, else only that there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSeen {
    /// Namespace and name.
    pub key: Key,
    /// Its version.
    pub version: u64,
    /// The whole of it.
    pub service: Option<Box<Service>>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its name.
    pub key: Key,
    /// In which zone it is.
    pub zone: Option<String>,
    /// Whether its kubelet is heard of, as far as Kubernetes knows.
    pub is_heard: bool,
}

/// What a node's agent acknowledges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSeen {
    /// The node's name.
    pub key: Key,
    /// What tells it from another of its name.
    pub uid: String,
    /// The highest version of a gateway that it has in force.
    pub programmed: u64,
    /// Gateways that it cannot have as they are, `namespace/name`.
    pub failed: Vec<String>,
}

/// A pool of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSeen {
    /// Its name.
    pub key: Key,
    /// What it says, as it is written.
    pub addresses: Vec<String>,
    /// Whether Services without class get addresses of it.
    pub auto_assign: bool,
}

/// A number for what a slice says: equal where nothing is to be written.
///
/// # Panics
/// Never: texts and numbers can be written.
pub fn slice_content(slice: &EndpointSlice) -> u64 {
    let labels: BTreeMap<_, _> = slice.labels().iter().filter(|(name, _)| is_published(name)).collect();
    let annotations: BTreeMap<_, _> =
        slice.annotations().iter().filter(|(name, _)| is_published(name)).collect();
    let owners: Vec<&str> = slice.owner_references().iter().map(|owner| owner.uid.as_str()).collect();
    let all = (labels, annotations, owners, &slice.address_type, &slice.endpoints, &slice.ports);
    // Only compared within one process.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&serde_json::to_vec(&all).expect("texts and numbers can be written"));
    hasher.finish()
}

fn is_published(name: &str) -> bool {
    name.starts_with("weir.dev/")
        || name == "app.kubernetes.io/managed-by"
        || name == "endpointslice.kubernetes.io/managed-by"
}

/// Reads a slice.
#[expect(clippy::needless_pass_by_value, reason = "what arrives is not kept")]
pub fn slice(slice: EndpointSlice) -> SliceSeen {
    let is_ready = |ready: Option<bool>| ready.unwrap_or(true);
    let endpoints = slice.endpoints.iter().flatten();
    let conditions = endpoints.map(|one| one.conditions.as_ref());
    SliceSeen {
        key: (slice.namespace().unwrap_or_default(), slice.name_any()),
        uid: slice.uid().unwrap_or_default(),
        version: version(&slice.metadata),
        gateway: slice.labels().get(GATEWAY_LABEL).cloned().unwrap_or_default(),
        content: slice_content(&slice),
        ready: conditions.filter(|one| is_ready(one.and_then(|one| one.ready))).count(),
    }
}

/// Reads a Service; `namespace` is Weir's own.
pub fn service(mut service: Service, namespace: &str) -> ServiceSeen {
    let key = (service.namespace().unwrap_or_default(), service.name_any());
    let is_shared = key.0 == namespace && key.1 == SHARED_SERVICE;
    let version = version(&service.metadata);
    service.metadata.managed_fields = None;
    let is_kept = is_shared || service.labels().contains_key(GATEWAY_LABEL);
    ServiceSeen { key, version, service: is_kept.then(|| Box::new(service)) }
}

/// Reads a node.
#[expect(clippy::needless_pass_by_value, reason = "what arrives is not kept")]
pub fn node(node: Node) -> NodeSeen {
    let status = node.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is_silent = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "Unknown");
    NodeSeen {
        key: (String::new(), node.name_any()),
        zone: node.labels().get(ZONE_LABEL).cloned(),
        is_heard: !is_silent,
    }
}

/// Reads an acknowledgement.
#[expect(clippy::needless_pass_by_value, reason = "what arrives is not kept")]
pub fn agent(node: WeirNode) -> AgentSeen {
    let status = node.status.clone().unwrap_or_default();
    let programmed = status.programmed.and_then(|version| version.parse().ok());
    AgentSeen {
        key: (String::new(), node.name_any()),
        uid: node.uid().unwrap_or_default(),
        programmed: programmed.unwrap_or(0),
        failed: status.errors.into_iter().filter_map(|error| error.gateway).collect(),
    }
}

/// Reads a pool.
pub fn pool(pool: WeirAddressPool) -> PoolSeen {
    PoolSeen {
        key: (String::new(), pool.name_any()),
        addresses: pool.spec.addresses,
        auto_assign: pool.spec.auto_assign,
    }
}

/// Addresses that a load balancer gave a Service.
pub fn load_balancer_addresses(service: &Service) -> Vec<IpAddr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_ref()).into_iter().flatten();
    ingress.filter_map(|one| one.ip.as_ref()?.parse().ok()).collect()
}

impl Fact for SliceSeen {
    fn key(&self) -> Key {
        self.key.clone()
    }
}

impl Fact for ServiceSeen {
    fn key(&self) -> Key {
        self.key.clone()
    }
}

impl Fact for NodeSeen {
    fn key(&self) -> Key {
        self.key.clone()
    }
}

impl Fact for AgentSeen {
    fn key(&self) -> Key {
        self.key.clone()
    }
}

impl Fact for PoolSeen {
    fn key(&self) -> Key {
        self.key.clone()
    }
}
