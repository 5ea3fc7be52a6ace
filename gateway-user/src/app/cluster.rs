//! What the objects of a cluster declare, as far as this agent serves it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use gateway_model::{
    finding::Finding, gateway::Gateway, key::GatewayKey, plan::l4::Frontends, workload::Workload,
};

use super::{
    declared::{FreshGateways, external_address},
    served,
};
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
    /// Those that are declared otherwise than was taken last, or are gone.
    changed: BTreeSet<GatewayKey>,
    /// There are others, or they are in another order.
    is_order_new: bool,
    /// Addresses that routes lead to by themselves, of which only the kernel's routing knows where they are.
    external: BTreeMap<GatewayKey, BTreeSet<IpAddr>>,
    is_external_new: bool,
    workloads: HashMap<String, Option<Workload>>,
    frontends: BTreeMap<GatewayKey, Frontends>,
    /// Addresses that the node answers for though no device has them.
    pub(super) virtual_addresses: Arc<BTreeSet<IpAddr>>,
    /// Addresses that load balancers gave, each with whether the node may answer for it on its network.
    pub(super) load_balancer_addresses: BTreeMap<IpAddr, bool>,
    /// Addresses of the node's own pods.
    pub(super) node_pods: Arc<BTreeSet<IpAddr>>,
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
            let lacking = gateway.as_ref().map(|(_, gateway)| served::lacks(gateway)).unwrap_or_default();
            let gateway = gateway.filter(|_| lacking.is_empty());
            self.set_external(&key, gateway.as_ref().map(|(_, gateway)| gateway));
            let age = |one: &(u64, Gateway)| one.0;
            let new = gateway.as_ref().map(age);
            let old = match gateway {
                Some(gateway) => self.gateways.insert(key.clone(), gateway),
                None => self.gateways.remove(&key),
            };
            self.is_order_new |= old.as_ref().map(age) != new;
            self.changed.insert(key.clone());
            set(&mut self.lacking, key, lacking);
        }
        for (key, findings) in delta.findings {
            set(&mut self.findings, key, findings);
        }
        self.workloads.extend(delta.workloads);
        self.frontends.extend(delta.frontends);
        take_over(&mut self.virtual_addresses, delta.virtual_addresses.map(Arc::new));
        take_over(&mut self.load_balancer_addresses, delta.load_balancer_addresses);
        take_over(&mut self.node_pods, delta.node_pods.map(Arc::new));
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

    /// Gateways that are declared otherwise than was taken last.
    pub(super) fn take_gateways(&mut self) -> FreshGateways {
        let changed = std::mem::take(&mut self.changed);
        let changed = changed.iter().filter_map(|key| self.gateways.get(key));
        let changed = changed.map(|(_, gateway)| gateway.clone()).collect();
        if std::mem::take(&mut self.is_order_new) {
            let order = self.gateways().map(|gateway| gateway.key.clone());
            return FreshGateways::Arranged(order.collect(), changed);
        }
        FreshGateways::Some(changed)
    }

    /// Addresses of endpoints of which only the kernel's routing knows whether they are on this node.
    pub(super) fn external(&self) -> impl Iterator<Item = IpAddr> {
        self.external.values().flatten().copied()
    }

    /// Whether they may be others than the last time that this was asked.
    pub(super) fn take_is_external_new(&mut self) -> bool {
        std::mem::take(&mut self.is_external_new)
    }

    fn set_external(&mut self, key: &GatewayKey, gateway: Option<&Gateway>) {
        let routes = gateway.into_iter().flat_map(|gateway| &gateway.routes);
        let fresh: BTreeSet<IpAddr> = routes.filter_map(external_address).collect();
        let old = if fresh.is_empty() {
            self.external.remove(key).unwrap_or_default()
        } else {
            self.external.insert(key.clone(), fresh.clone()).unwrap_or_default()
        };
        self.is_external_new |= old != fresh;
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

#[cfg(test)]
mod tests {
    use gateway_model::{finding::Place, gateway::Route, key::RouteName};

    use super::*;

    fn tell(cluster: &mut Cluster, name: &str, gateway: Option<(u64, &str)>) {
        let place = || Place { file: "f".to_owned(), line: 1, column: 1, length: 1 };
        let key = GatewayKey::new("default", name);
        let gateway = gateway.map(|(created, route)| {
            let routes = vec![Route::named(RouteName(route.to_owned()), place())];
            (created, Gateway { routes, ..Gateway::new(key.clone(), place()) })
        });
        cluster.absorb(Delta { gateways: [(key, gateway)].into(), ..Delta::default() });
    }

    fn names(gateways: &[Gateway]) -> Vec<&str> {
        gateways.iter().map(|gateway| gateway.key.name.as_str()).collect()
    }

    #[test]
    fn a_gateway_that_changes_in_its_place_is_told_alone_and_otherwise_all_are_in_order() {
        let mut cluster = Cluster::new("n1");
        tell(&mut cluster, "a", Some((2, "(1)")));
        tell(&mut cluster, "b", Some((1, "(1)")));
        let all = |cluster: &mut Cluster| match cluster.take_gateways() {
            FreshGateways::Arranged(order, _) => order.into_iter().map(|key| key.name).collect(),
            FreshGateways::All(_) | FreshGateways::Some(_) => Vec::new(),
        };
        assert_eq!(all(&mut cluster), ["b", "a"]);
        assert!(matches!(cluster.take_gateways(), FreshGateways::Some(none) if none.is_empty()));
        tell(&mut cluster, "a", Some((2, "(2)")));
        assert!(matches!(cluster.take_gateways(), FreshGateways::Some(one) if names(&one) == ["a"]));
        tell(&mut cluster, "b", Some((3, "(1)")));
        assert_eq!(all(&mut cluster), ["a", "b"]);
        tell(&mut cluster, "a", Some((2, "(1)")));
        tell(&mut cluster, "b", None);
        let FreshGateways::Arranged(order, fresh) = cluster.take_gateways() else { panic!("one is gone") };
        assert_eq!((order.len(), names(&fresh)), (1, vec!["a"]));
    }

    #[test]
    fn addresses_that_routes_lead_to_by_themselves_are_known() {
        let mut cluster = Cluster::new("n1");
        tell(&mut cluster, "a", Some((1, "[198.51.100.1:80]")));
        assert!(cluster.take_is_external_new() && !cluster.take_is_external_new());
        assert_eq!(cluster.external().collect::<Vec<_>>(), [IpAddr::from([198, 51, 100, 1])]);
        tell(&mut cluster, "b", Some((1, "(1)")));
        assert!(!cluster.take_is_external_new());
        tell(&mut cluster, "a", None);
        assert!(cluster.take_is_external_new() && cluster.external().next().is_none());
    }
}
