//! What the facts mean to this node, and what has changed of it: each event is worked out by itself, and costs in
//! proportion to what it is about.

mod meaning;
mod note;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use gateway_model::{
    finding::Finding, gateway::Gateway, key::GatewayKey, plan::l4::Frontends, workload::Workload,
};

pub use super::store::Event;
use super::{
    facts::{GatewayFacts, Key, NodeFacts, PodFacts, ServiceFacts, SliceFacts},
    kept::KeptFacts,
    services,
    store::Store,
};

/// The name of the Service that all gateways with virtual hosts share.
pub const SHARED_SERVICE: &str = "weir-agent";

/// What one of the watches tells.
#[derive(Clone, Debug)]
pub enum Change {
    /// A gateway.
    Gateway(Event<GatewayFacts>),
    /// A slice of endpoints.
    Slice(Event<SliceFacts>),
    /// A Service.
    Service(Event<ServiceFacts>),
    /// A pod of this node.
    Pod(Event<PodFacts>),
    /// This node.
    Node(Event<NodeFacts>),
}

/// What has changed since it was asked the last time.
#[derive(Debug, Default)]
pub struct Delta {
    /// Gateways as in force, with when they were made; nothing for those that are not in force any more.
    pub gateways: BTreeMap<GatewayKey, Option<(u64, Gateway)>>,
    /// What is wrong with the specs of gateways.
    pub findings: BTreeMap<GatewayKey, Vec<Finding>>,
    /// Endpoints, by identity; nothing for those that are gone.
    pub workloads: HashMap<String, Option<Workload>>,
    /// Where gateways answer; empty: nowhere.
    pub frontends: BTreeMap<GatewayKey, Frontends>,
    /// Addresses that the node is to answer for though no device has them, where they changed.
    pub virtual_addresses: Option<BTreeSet<IpAddr>>,
    /// Addresses that load balancers gave, each with whether this node may answer for it on its network, where they
    /// changed.
    pub load_balancer_addresses: Option<BTreeMap<IpAddr, bool>>,
    /// Addresses of this node's own pods, where they changed.
    pub node_pods: Option<BTreeSet<IpAddr>>,
    /// Services whose health is asked for by port, where that changed.
    pub health_checks: Option<BTreeMap<u16, HealthCheck>>,
    /// Addresses that other nodes know this one by, where they changed.
    pub internal_ips: Option<Vec<IpAddr>>,
    /// The highest version of a gateway that is known by now.
    pub resource_version: u64,
    /// When the first event in it arrived; `None` where nothing came from the API server.
    pub arrived: Option<Instant>,
}

/// What a node answers on a `healthCheckNodePort`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Namespace of the Service.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Ready endpoints on this node.
    pub local_endpoints: usize,
}

/// A gateway that is known.
#[derive(Debug)]
struct Known {
    /// As it was declared when that had no error.
    declared: Option<Gateway>,
    in_force: Option<Gateway>,
}

/// What is known.
#[derive(Debug)]
pub struct View {
    node: String,
    system_namespace: String,
    gateways: Store<GatewayFacts>,
    slices: Store<SliceFacts>,
    services: Store<ServiceFacts>,
    pods: Store<PodFacts>,
    nodes: Store<NodeFacts>,
    known: HashMap<GatewayKey, Known>,
    /// By namespace and name of their Services.
    by_service: HashMap<Key, GatewayKey>,
    /// Slices by their gateway's Service.
    of_gateway: HashMap<Key, HashSet<Key>>,
    /// Slices with endpoints on this node, by uid of the pod.
    of_pod: HashMap<String, HashSet<Key>>,
    /// Pods of this node that are not ready, or were here and are gone, by uid.
    unready: HashSet<String>,
    /// Addresses of the node's devices.
    addresses: BTreeSet<IpAddr>,
    /// Something is restored from the last good plan.
    is_restored: bool,
    delta: Delta,
    stale: Stale,
    is_news: bool,
}

/// What is worked out once for all changes.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
struct Stale {
    addresses: bool,
    pods: bool,
    health: bool,
    shared: bool,
}

impl View {
    /// Of the node with this name; the shared Service is looked for in `system_namespace`.
    pub fn new(node: &str, system_namespace: &str) -> Self {
        Self {
            node: node.to_owned(),
            system_namespace: system_namespace.to_owned(),
            gateways: Store::default(),
            slices: Store::default(),
            services: Store::default(),
            pods: Store::default(),
            nodes: Store::default(),
            known: HashMap::new(),
            by_service: HashMap::new(),
            of_gateway: HashMap::new(),
            of_pod: HashMap::new(),
            unready: HashSet::new(),
            addresses: BTreeSet::new(),
            is_restored: false,
            delta: Delta::default(),
            stale: Stale { shared: true, addresses: true, pods: true, health: true },
            is_news: false,
        }
    }

    /// Takes over the last good plan, which counts until the API server has told all.
    pub fn restore(&mut self, kept: KeptFacts) {
        let KeptFacts { gateways, slices, services, pods, node } = kept;
        for fact in services.into_iter().map(Arc::unwrap_or_clone) {
            self.handle(Change::Service(Event::Applied(fact)));
        }
        for fact in gateways.into_iter().map(Arc::unwrap_or_clone) {
            self.handle(Change::Gateway(Event::Applied(fact)));
        }
        for fact in pods.into_iter().map(Arc::unwrap_or_clone) {
            self.handle(Change::Pod(Event::Applied(fact)));
        }
        for fact in slices.into_iter().map(Arc::unwrap_or_clone) {
            self.handle(Change::Slice(Event::Applied(fact)));
        }
        if let Some(fact) = node {
            self.handle(Change::Node(Event::Applied(fact)));
        }
        self.is_restored = true;
    }

    /// Everything that is needed to serve, to be kept.
    pub fn facts(&self) -> KeptFacts {
        KeptFacts {
            gateways: self.gateways.values().cloned().collect(),
            slices: self.slices.values().cloned().collect(),
            services: self.services.values().cloned().collect(),
            pods: self.pods.values().cloned().collect(),
            node: self.nodes.values().next().map(|node| NodeFacts::clone(node)),
        }
    }

    /// Whether everything is known from the API server.
    pub fn is_known(&self) -> bool {
        self.gateways.is_known()
            && self.slices.is_known()
            && self.services.is_known()
            && self.pods.is_known()
            && self.nodes.is_known()
    }

    /// Kinds of objects that are not known yet.
    pub fn unknown(&self) -> Vec<&'static str> {
        let kinds = [
            ("WeirGateways", self.gateways.is_known()),
            ("EndpointSlices", self.slices.is_known()),
            ("Services", self.services.is_known()),
            ("Pods", self.pods.is_known()),
            ("Nodes", self.nodes.is_known()),
        ];
        kinds.into_iter().filter(|(_, is_known)| !is_known).map(|(kind, _)| kind).collect()
    }

    /// Whether a list was empty where there were objects before.
    pub fn is_doubtful(&self) -> bool {
        self.gateways.is_doubtful()
            || self.slices.is_doubtful()
            || self.services.is_doubtful()
            || self.pods.is_doubtful()
            || self.nodes.is_doubtful()
    }

    /// Believes lists that were empty.
    pub fn believe(&mut self) {
        let gone = self.gateways.believe();
        self.set_gateways(gone);
        let gone = self.slices.believe();
        self.set_slices(gone);
        let gone = self.services.believe();
        self.set_services(gone);
        let gone = self.pods.believe();
        self.set_pods(gone);
        let gone = self.nodes.believe();
        self.set_nodes(gone);
    }

    /// Takes note of what a watch tells.
    pub fn handle(&mut self, change: Change) {
        match change {
            Change::Gateway(event) => {
                if let Event::Deleted(_, version) = &event {
                    self.delta.resource_version = self.delta.resource_version.max(*version);
                    self.is_news = true;
                }
                let fresh = self.gateways.note(event);
                self.set_gateways(fresh);
            }
            Change::Slice(event) => {
                let fresh = self.slices.note(event);
                self.set_slices(fresh);
            }
            Change::Service(event) => {
                let fresh = self.services.note(event);
                self.set_services(fresh);
            }
            Change::Pod(event) => {
                let fresh = self.pods.note(event);
                self.set_pods(fresh);
            }
            Change::Node(event) => {
                let fresh = self.nodes.note(event);
                self.set_nodes(fresh);
            }
        }
    }

    /// The addresses of the node's devices are these from now on.
    pub fn set_addresses(&mut self, addresses: BTreeSet<IpAddr>) {
        if addresses == self.addresses {
            return;
        }
        self.addresses = addresses;
        (self.stale.addresses, self.stale.shared, self.is_news) = (true, true, true);
        for key in self.known.keys().cloned().collect::<Vec<_>>() {
            self.set_frontends(&key);
        }
    }

    /// What has changed; nothing while not everything is known.
    pub fn take(&mut self) -> Option<Delta> {
        if !self.has_news() {
            return None;
        }
        self.is_news = false;
        let stale = std::mem::take(&mut self.stale);
        let services = || self.services.values().map(Arc::as_ref);
        if stale.addresses {
            self.delta.virtual_addresses = Some(services::virtual_addresses(services(), &self.addresses));
        }
        if stale.pods {
            let pods = self.pods.values().flat_map(|pod| pod.addresses.iter().copied());
            self.delta.node_pods = Some(pods.collect());
        }
        if stale.addresses || stale.health {
            self.delta.load_balancer_addresses = Some(self.load_balancer_addresses());
        }
        if stale.health {
            self.delta.health_checks = Some(self.health_checks());
        }
        if stale.shared {
            self.delta.frontends.insert(GatewayKey::shared(), self.shared_frontends());
        }
        let fresh = Delta { resource_version: self.delta.resource_version, ..Delta::default() };
        Some(std::mem::replace(&mut self.delta, fresh))
    }

    /// What there is to tell, whether or not everything is known.
    pub fn tell_all(mut self) -> Delta {
        (self.is_restored, self.is_news) = (true, true);
        self.take().unwrap_or_default()
    }

    /// Whether there is something to tell.
    pub fn has_news(&self) -> bool {
        self.is_news && (self.is_restored || self.is_known())
    }
}

#[cfg(test)]
mod tests;
