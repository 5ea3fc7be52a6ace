//! What the objects of a cluster declare, as far as this agent serves it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use gateway_model::{
    finding::Finding, gateway::Gateway, key::GatewayKey, plan::l4::Frontends, workload::Workload,
};

use super::served;
use crate::control::agent::view::{Delta, HealthCheck};

/// What is declared, and what of it is new.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    node: String,
    /// With when they were made: the oldest has the first claim on a host.
    gateways: BTreeMap<GatewayKey, (u64, Gateway)>,
    findings: BTreeMap<GatewayKey, Vec<Finding>>,
    /// What this agent does not serve.
    lacking: BTreeMap<GatewayKey, Vec<Finding>>,
    are_gateways_new: bool,
    workloads: HashMap<String, Option<Workload>>,
    frontends: BTreeMap<GatewayKey, Frontends>,
    /// Addresses that the node answers for though no device has them.
    pub(super) virtual_addresses: BTreeSet<IpAddr>,
    /// Addresses that load balancers gave, each with whether the node may answer for it on its network.
    pub(super) load_balancer_addresses: BTreeMap<IpAddr, bool>,
    /// Addresses of the node's own pods.
    pub(super) node_pods: BTreeSet<IpAddr>,
    /// Services whose health is asked for by port.
    pub(super) health_checks: BTreeMap<u16, HealthCheck>,
    /// The highest version of a gateway that is known.
    pub(super) resource_version: u64,
}

impl Cluster {
    /// On the node with this name.
    pub(super) fn new(node: &str) -> Self {
        Self { node: node.to_owned(), ..Self::default() }
    }

    /// Takes over what has changed.
    pub(super) fn absorb(&mut self, delta: Delta) {
        for (key, gateway) in delta.gateways {
            self.are_gateways_new = true;
            let lacking = gateway.as_ref().map(|(_, gateway)| served::lacks(gateway)).unwrap_or_default();
            match gateway.filter(|_| lacking.is_empty()) {
                Some(gateway) => drop(self.gateways.insert(key.clone(), gateway)),
                None => drop(self.gateways.remove(&key)),
            }
            set(&mut self.lacking, key, lacking);
        }
        for (key, findings) in delta.findings {
            set(&mut self.findings, key, findings);
        }
        self.workloads.extend(delta.workloads);
        self.frontends.extend(delta.frontends);
        take_over(&mut self.virtual_addresses, delta.virtual_addresses);
        take_over(&mut self.load_balancer_addresses, delta.load_balancer_addresses);
        take_over(&mut self.node_pods, delta.node_pods);
        take_over(&mut self.health_checks, delta.health_checks);
        self.resource_version = delta.resource_version;
    }

    /// The node's name.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// All gateways, the oldest first.
    pub(super) fn gateways(&self) -> impl Iterator<Item = &Gateway> {
        let mut by_age: Vec<_> = self.gateways.values().collect();
        by_age.sort_by_key(|(created, _)| *created);
        by_age.into_iter().map(|(_, gateway)| gateway)
    }

    /// All gateways, where they are others than were taken last.
    pub(super) fn take_gateways(&mut self) -> Option<Vec<Gateway>> {
        std::mem::take(&mut self.are_gateways_new).then(|| self.gateways().cloned().collect())
    }

    /// Whether gateways are others than were taken last.
    pub(super) fn are_gateways_new(&self) -> bool {
        self.are_gateways_new
    }

    /// Endpoints that are not as they were taken last.
    pub(super) fn take_workloads(&mut self) -> HashMap<String, Option<Workload>> {
        std::mem::take(&mut self.workloads)
    }

    /// Where gateways answer, those that answer elsewhere than was taken last.
    pub(super) fn take_frontends(&mut self) -> BTreeMap<GatewayKey, Frontends> {
        std::mem::take(&mut self.frontends)
    }

    /// Everything that is wrong.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.values().chain(self.lacking.values()).flatten().cloned().collect()
    }
}

fn set(all: &mut BTreeMap<GatewayKey, Vec<Finding>>, key: GatewayKey, findings: Vec<Finding>) {
    if findings.is_empty() {
        all.remove(&key);
    } else {
        all.insert(key, findings);
    }
}

fn take_over<T>(known: &mut T, fresh: Option<T>) {
    if let Some(fresh) = fresh {
        *known = fresh;
    }
}
