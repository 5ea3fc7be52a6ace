//! From texts to what they mean.

mod chains;
mod claims;
mod conditions;
mod endpoints;
mod life;
mod properties;
mod stays;
mod warnings;
mod weights;

use std::{collections::BTreeMap, net::IpAddr};

use super::*;
use crate::{
    discovery::{ConditionChange, Kept, Origin},
    gateway,
    key::{Protocol, RouteName},
    plan::{
        l4::{Ring, Target},
        l7::Entry,
        plan,
    },
    weight, workload,
};

pub(crate) const SEED: &str = "\
name: foo-ingress
kind: gateways
virtual_hosts:
- foo.bar.com
selector: label(app)(foo) && label(version)((.*))
";

pub(crate) const TCP: &str = "\
name: foo-tcp
port: 40001/tcp
selector: label(app)(foo) && label(version)((.*))
";

pub(crate) fn pod(name: &str, version: &str, address: &str) -> String {
    format!(
        "- {{name: {name}, labels: {{app: foo, version: {version}}}, addresses: [{address}], ports: [{{name: http, port: 8080}}], created: 100}}\n"
    )
}

pub(crate) fn two_pods() -> String {
    pod("a", "1.0.3", "10.0.0.1") + &pod("b", "1.0.3", "10.0.0.2")
}

/// A snapshot of these texts at second 1,000.
pub(crate) fn snapshot(gateways: &str, workloads: &str) -> Snapshot {
    let gateways = gateway::parse("g.yaml", gateways, "default");
    assert!(!gateways.has_errors(), "{:?}", gateways.findings);
    let workloads = workload::parse("w.yaml", workloads, "default");
    assert!(!workloads.has_errors(), "{:?}", workloads.findings);
    Snapshot {
        gateways: gateways.gateways,
        workloads: workloads.workloads,
        addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        now: 1_000,
        settings: Settings { ring_size: 256, ..Settings::default() },
        ..Snapshot::default()
    }
}

/// Follows a series of snapshots as an agent does.
pub(crate) struct Story {
    pub(crate) kept: Kept,
    pub(crate) now: u64,
    pub(crate) resolved: Resolved,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self { kept: Kept::default(), now: 1_000, resolved: Resolved::default() }
    }

    pub(crate) fn step(&mut self, gateways: &str, workloads: &str) -> BTreeMap<String, String> {
        let snapshot = Snapshot { kept: self.kept.clone(), now: self.now, ..snapshot(gateways, workloads) };
        self.resolved = resolve(&snapshot);
        self.kept = self.resolved.kept.clone();
        let again = resolve(&Snapshot { kept: self.kept.clone(), ..snapshot });
        assert_eq!(again.kept, self.kept, "resolving again changes nothing");
        assert_eq!(again.gateways, self.resolved.gateways);
        let stored = serde_json::to_string(&self.kept).unwrap();
        assert_eq!(
            serde_json::from_str::<Kept>(&stored).unwrap(),
            self.kept,
            "what is stored reads the same"
        );
        self.weights()
    }

    pub(crate) fn weights(&self) -> BTreeMap<String, String> {
        for gateway in &self.resolved.gateways {
            let sum = weight::sum(gateway.routes.iter().map(|route| route.weight));
            assert!(matches!(sum, 0 | 10_000), "{sum}");
        }
        let routes = self.resolved.gateways.iter().flat_map(|gateway| &gateway.routes);
        routes.map(|route| (route.name.to_string(), route.weight.to_string())).collect()
    }

    pub(crate) fn roll_back(&mut self, route: &str) {
        let key = self.resolved.gateways[0].key.clone();
        self.kept.roll_back(&self.resolved, &key, &RouteName(route.to_owned()), self.now).unwrap();
    }

    pub(crate) fn set(&mut self, changes: &[(&str, &str)], rebalance: bool) -> Result<(), String> {
        let changes: Vec<_> = changes
            .iter()
            .map(|(name, weight)| (RouteName((*name).to_owned()), weight.parse().unwrap()))
            .collect();
        let key = self.resolved.gateways[0].key.clone();
        self.kept
            .set_weights(&self.resolved, &key, &changes, rebalance, self.now)
            .map_err(|error| error.to_string())
    }
}

pub(crate) fn weights(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, weight)| ((*name).to_owned(), (*weight).to_owned())).collect()
}

/// Code, gateway and line of each finding.
pub(crate) fn told(resolved: &Resolved) -> Vec<(&str, &str, u32)> {
    let findings = resolved.findings.iter();
    let told = findings.map(|finding| {
        let (gateway, place) = (finding.gateway.as_ref().unwrap(), finding.place.as_ref().unwrap());
        assert!(!finding.message.is_empty() && !finding.advice.is_empty(), "{finding}");
        (finding.code, gateway.name.as_str(), place.line)
    });
    told.collect()
}
