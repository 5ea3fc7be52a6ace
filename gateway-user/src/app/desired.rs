//! What is to be in force: from files, state and node to a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use gateway_model::{
    discovery::Kept,
    finding::Finding,
    gateway::Gateway,
    key::GatewayKey,
    plan::{self, Plan},
    resolve::{self, Resolved},
    snapshot::{External, Settings, Snapshot},
    workload::Workload,
};

use super::{
    node::{DeviceAddresses, Listening},
    sources::Sources,
};

/// What the node says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// Addresses of the devices that clients come in through.
    pub(super) devices: DeviceAddresses,
    /// Ports that other programs listen on.
    pub(super) listening: BTreeSet<Listening>,
    /// Addresses of endpoints that are reached through one of the devices.
    pub(super) through_uplink: BTreeSet<IpAddr>,
}

/// What is to be in force, and what it is worked out from.
#[derive(Debug)]
pub(super) struct Desired {
    /// What the files declare.
    pub(super) sources: Sources,
    /// What is remembered.
    pub(super) kept: Kept,
    /// What all of it means.
    pub(super) resolved: Resolved,
    /// What the kernel and the proxy are to do.
    pub(super) plan: Plan,
    /// Counts changes of the plan.
    pub(super) generation: u64,
    addresses: BTreeSet<IpAddr>,
    /// The declarations that are in force.
    good: BTreeMap<GatewayKey, Gateway>,
}

impl Desired {
    /// Nothing yet, but for what is remembered; `addresses` are those besides the devices' own.
    pub(super) fn new(sources: Sources, kept: Kept, addresses: BTreeSet<IpAddr>) -> Self {
        Self {
            sources,
            kept,
            addresses,
            resolved: Resolved::default(),
            plan: Plan::default(),
            generation: 0,
            good: BTreeMap::new(),
        }
    }

    /// Works everything out anew. Level-triggered: what happened in the meantime does not matter.
    pub(super) fn work_out(&mut self, node: &Node) {
        let addresses: BTreeSet<IpAddr> =
            node.devices.values().flatten().chain(&self.addresses).copied().collect();
        let is_ours = |address: IpAddr| address.is_unspecified() || addresses.contains(&address);
        let in_use = node.listening.iter().filter(|socket| is_ours(socket.address));
        let mut snapshot = Snapshot {
            gateways: self.sources.gateways(),
            workloads: self.sources.workloads(),
            kept: self.kept.clone(),
            ports_in_use: in_use.map(|socket| (socket.protocol, socket.port)).collect(),
            through_uplink: node.through_uplink.clone(),
            external: External::default(),
            addresses: addresses.into_iter().collect(),
            now: now(),
            settings: Settings::default(),
        };
        let resolved = self.resolve(&mut snapshot);
        for note in &resolved.notes {
            tracing::info!(gateway = %note.gateway, "{}", note.message);
        }
        let is_same = self.generation > 0
            && self.resolved.gateways == resolved.gateways
            && self.resolved.addresses == resolved.addresses;
        self.kept = resolved.kept.clone();
        self.resolved = resolved;
        if !is_same {
            self.generation += 1;
            self.plan = plan::plan(&self.resolved, Some(&self.plan));
        }
    }

    /// A gateway that was in force and cannot be as it is declared now (its port belongs to another, say) stays as
    /// it was.
    fn resolve(&mut self, snapshot: &mut Snapshot) -> Resolved {
        let mut resolved = resolve::resolve(snapshot);
        let is_in = |resolved: &Resolved, key: &GatewayKey| resolved.gateways.iter().any(|of| of.key == *key);
        let mut fallen = BTreeSet::new();
        for gateway in snapshot.gateways.iter_mut().filter(|gateway| !is_in(&resolved, &gateway.key)) {
            if let Some(good) = self.good.get(&gateway.key).filter(|good| *good != gateway) {
                fallen.insert(gateway.key.clone());
                *gateway = good.clone();
            }
        }
        if !fallen.is_empty() {
            let is_of_fallen =
                |finding: &Finding| finding.gateway.as_ref().is_some_and(|key| fallen.contains(key));
            let mut why = std::mem::take(&mut resolved.findings);
            why.retain(is_of_fallen);
            resolved = resolve::resolve(snapshot);
            resolved.findings.retain(|finding| !is_of_fallen(finding));
            resolved.findings.extend(why);
        }
        let in_force = snapshot.gateways.iter().filter(|gateway| is_in(&resolved, &gateway.key));
        self.good = in_force.map(|gateway| (gateway.key.clone(), gateway.clone())).collect();
        resolved
    }

    /// Whether it is time to work it out though nothing changed.
    pub(super) fn is_due(&self) -> bool {
        self.resolved.deadline.is_some_and(|deadline| deadline <= now())
    }

    /// Every address that may be an endpoint.
    pub(super) fn endpoint_addresses(&self) -> BTreeSet<IpAddr> {
        let workloads = self.sources.workloads();
        let gateways = self.sources.gateways();
        let external =
            gateways.iter().flat_map(|gateway| &gateway.routes).filter_map(|route| route.external());
        let external = external.filter_map(|(host, _)| host.parse().ok());
        workloads
            .iter()
            .flat_map(|Workload { addresses, .. }| addresses.iter().copied())
            .chain(external)
            .collect()
    }

    /// What is wrong with what is declared.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = self.sources.findings();
        findings.extend(self.resolved.findings.iter().cloned());
        gateway_model::finding::sort(&mut findings);
        findings
    }
}

/// What is wrong now, by what is logged of it: each is logged when it appears, and when it is gone.
#[derive(Debug, Default)]
pub(super) struct FindingLog(BTreeMap<String, bool>);

impl FindingLog {
    /// Logs what differs from the last time.
    pub(super) fn update(&mut self, findings: &[Finding]) {
        let now: BTreeMap<String, bool> = findings.iter().map(|f| (f.to_string(), f.is_error())).collect();
        for (text, is_error) in &now {
            match (self.0.contains_key(text), is_error) {
                (true, _) => {}
                (false, true) => tracing::error!("{text}"),
                (false, false) => tracing::warn!("{text}"),
            }
        }
        for text in self.0.keys().filter(|text| !now.contains_key(*text)) {
            tracing::info!("no longer: {text}");
        }
        self.0 = now;
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, path::PathBuf};

    use gateway_model::key::Protocol;

    use super::*;
    use crate::watch::Texts;

    fn gateways(ports: &[(&str, u16)]) -> Texts {
        let text = |(name, port): &(&str, u16)| {
            format!(
                "---\nname: {name}\nport: {port}/tcp\nselector: label(app)(foo) && label(version)((.*))\n"
            )
        };
        let text: String = ports.iter().map(text).collect();
        Texts::from([(PathBuf::from("/a.yaml"), Ok(text.into()))])
    }

    fn node() -> Node {
        let addresses = BTreeSet::from([IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))]);
        Node { devices: DeviceAddresses::from([("eth0".to_owned(), addresses)]), ..Node::default() }
    }

    fn desired(ports: &[(&str, u16)]) -> Desired {
        let mut sources = Sources::new("default");
        sources.set_artifacts(&gateways(ports));
        let mut desired = Desired::new(sources, Kept::default(), BTreeSet::new());
        desired.work_out(&node());
        desired
    }

    fn ports(desired: &Desired) -> Vec<(String, u16)> {
        desired.resolved.gateways.iter().map(|gateway| (gateway.key.name.clone(), gateway.port)).collect()
    }

    fn errors(desired: &Desired) -> Vec<&'static str> {
        desired.findings().iter().filter(|finding| finding.is_error()).map(|finding| finding.code).collect()
    }

    #[test]
    fn a_gateway_that_asks_for_another_one_s_port_stays_where_it_is() {
        let mut desired = desired(&[("a", 1001), ("b", 1002)]);
        desired.sources.set_artifacts(&gateways(&[("a", 1001), ("b", 1001)]));
        desired.work_out(&node());
        assert_eq!(ports(&desired), [("a".to_owned(), 1001), ("b".to_owned(), 1002)]);
        assert_eq!(errors(&desired), ["port-conflict"]);
        assert_eq!(desired.generation, 1, "nothing in force has changed");
        desired.sources.set_artifacts(&gateways(&[("a", 1003), ("b", 1001)]));
        desired.work_out(&node());
        assert_eq!(ports(&desired), [("a".to_owned(), 1003), ("b".to_owned(), 1001)]);
        assert!(errors(&desired).is_empty());
    }

    #[test]
    fn a_gateway_that_asks_for_a_port_in_use_stays_where_it_is() {
        let mut desired = desired(&[("a", 1001)]);
        let socket = Listening { protocol: Protocol::Tcp, address: Ipv4Addr::UNSPECIFIED.into(), port: 1005 };
        let node = Node { listening: BTreeSet::from([socket]), ..node() };
        desired.sources.set_artifacts(&gateways(&[("a", 1005)]));
        desired.work_out(&node);
        assert_eq!(ports(&desired), [("a".to_owned(), 1001)]);
        assert_eq!(errors(&desired), ["port-in-use"]);
    }

    #[test]
    fn the_same_again_is_no_new_generation() {
        let mut desired = desired(&[("a", 1001)]);
        desired.work_out(&node());
        assert_eq!(desired.generation, 1);
    }
}
