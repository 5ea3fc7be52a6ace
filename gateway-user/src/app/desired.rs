//! What is to be in force: from files, state and node to a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use gateway_model::{
    discovery::Kept,
    finding::Finding,
    plan::{self, Plan},
    resolve::{self, Resolved},
    snapshot::{Settings, Snapshot},
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
}

impl Desired {
    /// Nothing yet, but for what is remembered; `addresses` are those besides the devices' own.
    pub(super) fn new(sources: Sources, kept: Kept, addresses: BTreeSet<IpAddr>) -> Self {
        Self { sources, kept, addresses, resolved: Resolved::default(), plan: Plan::default(), generation: 0 }
    }

    /// Works everything out anew. Level-triggered: what happened in the meantime does not matter.
    pub(super) fn work_out(&mut self, node: &Node) {
        let addresses: BTreeSet<IpAddr> =
            node.devices.values().flatten().chain(&self.addresses).copied().collect();
        let is_ours = |address: IpAddr| address.is_unspecified() || addresses.contains(&address);
        let in_use = node.listening.iter().filter(|socket| is_ours(socket.address));
        let snapshot = Snapshot {
            gateways: self.sources.gateways(),
            workloads: self.sources.workloads(),
            kept: self.kept.clone(),
            ports_in_use: in_use.map(|socket| (socket.protocol, socket.port)).collect(),
            through_uplink: node.through_uplink.clone(),
            addresses: addresses.into_iter().collect(),
            now: now(),
            settings: Settings::default(),
        };
        let resolved = resolve::resolve(&snapshot);
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
