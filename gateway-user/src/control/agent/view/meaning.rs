//! What objects mean.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use gateway_model::{
    gateway::Gateway,
    key::GatewayKey,
    plan::l4::Frontends,
    snapshot::{SHARED_PORT, SHARED_TLS_PORT},
    workload::{Labels, Workload, WorkloadPort},
};

use super::{
    super::{
        facts::{EndpointFacts, Key, ServiceFacts, SliceFacts},
        in_force::{self, LABEL},
        services,
    },
    HealthCheck, SHARED_SERVICE, View,
};

impl View {
    /// Notes how workloads differ.
    pub(super) fn tell(&mut self, mut before: HashMap<String, Workload>, after: HashMap<String, Workload>) {
        for (identity, workload) in after {
            if before.remove(&identity).is_none_or(|old| old != workload) {
                self.delta.workloads.insert(identity, Some(workload));
                self.is_news = true;
            }
        }
        for identity in before.into_keys() {
            self.delta.workloads.insert(identity, None);
            self.is_news = true;
        }
    }

    /// The endpoints of a slice, by identity.
    pub(super) fn workloads(&self, slice: &SliceFacts) -> HashMap<String, Workload> {
        let label = in_force::label_value(&slice.gateway, &slice.route);
        let labels = Labels::from([(LABEL.to_owned(), label)]);
        let workload = |endpoint: &EndpointFacts| {
            let workload = Workload {
                namespace: slice.namespace.clone(),
                // An endpoint that moves from one slice to another is in both for a moment.
                kind: format!("{}/{}", slice.name, endpoint.address),
                name: endpoint.pod.clone(),
                labels: labels.clone(),
                images: Vec::new(),
                addresses: vec![endpoint.address],
                ports: vec![WorkloadPort { name: String::new(), port: slice.port }],
                ready: self.is_ready(endpoint),
                created: Some(slice.created),
                node: endpoint.node.clone(),
            };
            (workload.identity(), workload)
        };
        slice.endpoints.iter().map(workload).collect()
    }

    fn is_ready(&self, endpoint: &EndpointFacts) -> bool {
        endpoint.ready && !self.unready.contains(&endpoint.uid)
    }

    /// Works out where a gateway answers.
    pub(super) fn set_frontends(&mut self, key: &GatewayKey) {
        let Some(declared) = self.known.get(key).and_then(|known| known.declared.as_ref()) else { return };
        let service = self.services.get(&(key.namespace.clone(), declared.service_name()));
        let service = service.map(Arc::as_ref).filter(|service| service.is_of_gateway);
        let in_force = self.known.get(key).and_then(|known| known.in_force.as_ref());
        let host_port = in_force.filter(|gateway| gateway.host_port).and_then(|gateway| {
            let port = gateway.port?;
            Some((port.number, port.kind.protocol()))
        });
        let frontends = services::frontends(service, host_port, &self.addresses);
        self.delta.frontends.insert(key.clone(), frontends);
        self.is_news = true;
    }

    pub(super) fn is_shared(&self, key: &Key) -> bool {
        key.0 == self.system_namespace && key.1 == SHARED_SERVICE
    }

    /// Where gateways with virtual hosts answer: the shared Service's ports, but for the one that nobody uses.
    pub(super) fn shared_frontends(&self) -> Frontends {
        let key = (self.system_namespace.clone(), SHARED_SERVICE.to_owned());
        let Some(service) = self.services.get(&key) else { return Frontends::new() };
        let gateways = self.known.values().filter_map(|known| known.in_force.as_ref());
        let used: BTreeSet<u16> = gateways.flat_map(Gateway::shared_ports).copied().collect();
        let mut service = ServiceFacts::clone(service);
        service
            .ports
            .retain(|port| matches!(port.port, SHARED_PORT | SHARED_TLS_PORT) && used.contains(&port.port));
        services::frontends(Some(&service), None, &self.addresses)
    }

    /// What the node answers on health check ports.
    pub(super) fn health_checks(&self) -> BTreeMap<u16, HealthCheck> {
        let checks = self.services.values().filter_map(|service| {
            let key = (service.namespace.clone(), service.name.clone());
            let check =
                HealthCheck { local_endpoints: self.local_endpoints(&key), namespace: key.0, name: key.1 };
            Some((service.health_check_node_port?, check))
        });
        checks.collect()
    }

    /// Addresses that load balancers gave, each with whether a client that comes in here finds an endpoint.
    pub(super) fn load_balancer_addresses(&self) -> BTreeMap<IpAddr, bool> {
        let mut all = BTreeMap::new();
        for (key, service) in self.services.iter() {
            let may_answer = !service.is_external_local || self.local_endpoints(key) > 0;
            for address in &service.load_balancer_ips {
                *all.entry(*address).or_default() |= may_answer;
            }
        }
        all
    }

    /// How many endpoints on this node take new connections of a gateway, by name of its Service; of the shared one it
    /// is this agent.
    fn local_endpoints(&self, service: &Key) -> usize {
        if self.is_shared(service) {
            return 1;
        }
        let gateway = self.by_service.get(service).and_then(|key| self.known.get(key)?.in_force.as_ref());
        let slices =
            self.of_gateway.get(service).into_iter().flatten().filter_map(|key| self.slices.get(key));
        let used = slices.filter(|slice| gateway.is_some_and(|gateway| in_force::is_used(gateway, slice)));
        let is_here = |one: &&EndpointFacts| one.node.as_ref() == Some(&self.node) && self.is_ready(one);
        let here = used.flat_map(|slice| slice.endpoints.iter().filter(is_here));
        here.map(|endpoint| endpoint.uid.as_str()).collect::<HashSet<_>>().len()
    }
}
