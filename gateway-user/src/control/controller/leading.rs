//! What the leader works out: the model's planner, fed with what the watches tell. A new leader begins with what
//! gateways' statuses remember.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use gateway_model::{
    discovery::{Kept, KeptGateway},
    finding::Finding,
    gateway::Gateway,
    key::GatewayKey,
    planner::Planner,
    resolve::{Note, ResolvedGateway},
    snapshot::Settings,
    workload::Workload,
};

use super::{
    status,
    world::{Changed, World, gateway_key},
};
use crate::control::table::{Key, Table};

/// What one who leads knows beside the world.
#[derive(Debug)]
pub(super) struct Leading {
    planner: Planner,
    has_begun: bool,
    /// Specs that were good, of gateways whose present one is not.
    last_good: HashMap<GatewayKey, Gateway>,
    are_gateways_new: bool,
    /// What is in force, by name.
    in_force: HashMap<GatewayKey, Arc<ResolvedGateway>>,
    findings: HashMap<GatewayKey, Vec<Finding>>,
}

impl Leading {
    /// One who has just begun.
    pub(super) fn new(route_ttl: u64) -> Self {
        // No ring is needed here.
        let settings = Settings { route_ttl, ring_size: 1, given_frontends: true, ..Settings::default() };
        Self {
            planner: Planner::new(settings, Kept::default()),
            has_begun: false,
            last_good: HashMap::new(),
            are_gateways_new: true,
            in_force: HashMap::new(),
            findings: HashMap::new(),
        }
    }

    /// Notes what is not as it was.
    pub(super) fn note(&mut self, changed: &Changed, world: &World) {
        if !self.has_begun {
            return;
        }
        match changed {
            Changed::Pods(keys) => {
                for key in keys {
                    let pod = world.pods.get(key).map(|pod| pod.workload.clone());
                    self.set_workload("pod", key, pod);
                }
            }
            Changed::Deployments(keys) => self.set_workloads("deployment", keys, &world.deployments),
            Changed::StatefulSets(keys) => self.set_workloads("statefulset", keys, &world.stateful_sets),
            Changed::ReplicaSets(keys) => self.set_workloads("replicaset", keys, &world.replica_sets),
            Changed::Gateways(news) => {
                for (key, old) in news {
                    let (gateway, now) = (gateway_key(key), world.gateways.get(key));
                    let is_another = |uid: &str| old.as_ref().is_some_and(|old| old.uid != uid);
                    if now.is_none_or(|now| is_another(&now.uid)) {
                        self.planner.forget(&gateway);
                        self.last_good.remove(&gateway);
                        self.in_force.remove(&gateway);
                    }
                    let is_spec = |now: &crate::control::translate::GatewayFacts| {
                        old.as_ref().is_none_or(|old| old.spec != now.spec || old.uid != now.uid)
                    };
                    self.are_gateways_new |= now.is_none_or(is_spec);
                }
            }
            Changed::Published(_) | Changed::Nodes | Changed::Pools => {}
        }
    }

    fn set_workloads(&mut self, kind: &str, keys: &[Key], table: &Table<Workload>) {
        for key in keys {
            self.set_workload(kind, key, table.get(key).cloned());
        }
    }

    fn set_workload(&mut self, kind: &str, key: &Key, workload: Option<Workload>) {
        match workload {
            Some(workload) => self.planner.upsert_workload(workload),
            None => self.planner.remove_workload(&format!("{}/{kind}/{}", key.0, key.1)),
        }
    }

    /// Works out what is to be; gateways that are not as they were published, and what is worth telling.
    pub(super) fn work_out(&mut self, world: &World) -> (BTreeSet<GatewayKey>, Vec<Note>) {
        if !self.has_begun {
            self.begin(world);
        }
        if std::mem::take(&mut self.are_gateways_new) {
            self.declare(world);
        }
        let update = self.planner.update(now());
        let resolved = self.planner.resolved();
        let mut changed = BTreeSet::new();
        if update.are_findings_new {
            let fresh = by_gateway(&resolved.findings);
            let all = fresh.keys().chain(self.findings.keys());
            changed.extend(all.filter(|key| fresh.get(key) != self.findings.get(key)).cloned());
            self.findings = fresh;
        }
        let all: HashMap<GatewayKey, Arc<ResolvedGateway>> =
            resolved.gateways.iter().map(|gateway| (gateway.key.clone(), gateway.clone())).collect();
        for (key, gateway) in &all {
            if self.in_force.get(key).is_none_or(|told| !Arc::ptr_eq(told, gateway)) {
                changed.insert(key.clone());
            }
        }
        changed.extend(self.in_force.keys().filter(|key| !all.contains_key(*key)).cloned());
        self.in_force = all;
        (changed, update.notes)
    }

    /// Begins with what is known and remembered.
    fn begin(&mut self, world: &World) {
        let gateways: BTreeMap<GatewayKey, KeptGateway> =
            world.gateways.iter().map(|(key, facts)| (gateway_key(key), status::remembered(facts))).collect();
        self.planner.set_kept(Kept { gateways, ..Kept::default() });
        let owners = [&world.deployments, &world.stateful_sets, &world.replica_sets];
        let owners = owners.into_iter().flat_map(Table::iter).map(|(_, workload)| workload.clone());
        let pods = world.pods.iter().map(|(_, pod)| pod.workload.clone());
        for workload in owners.chain(pods) {
            self.planner.upsert_workload(workload);
        }
        (self.has_begun, self.are_gateways_new) = (true, true);
    }

    /// Declares all gateways, the oldest first. One whose spec is wrong stays as it was, where that is known.
    fn declare(&mut self, world: &World) {
        let mut all: Vec<_> = world.gateways.iter().map(|(_, facts)| facts).collect();
        all.sort_by(|left, right| (left.created, &left.key).cmp(&(right.created, &right.key)));
        let mut declared = Vec::with_capacity(all.len());
        for facts in all {
            self.planner.introduce(&facts.key, facts.created);
            match &facts.spec.gateway {
                Some(gateway) => {
                    self.last_good.insert(facts.key.clone(), gateway.clone());
                    declared.push(gateway.clone());
                }
                None => declared.extend(self.last_good.get(&facts.key).cloned()),
            }
        }
        self.planner.set_gateways(declared);
    }

    /// What is in force of a gateway.
    pub(super) fn resolved(&self, key: &GatewayKey) -> Option<&ResolvedGateway> {
        self.in_force.get(key).map(AsRef::as_ref)
    }

    /// What is remembered of a gateway.
    pub(super) fn kept(&self, key: &GatewayKey) -> Option<&KeptGateway> {
        self.planner.resolved().kept.gateways.get(key)
    }

    /// What is wrong with a gateway beside its spec.
    pub(super) fn findings(&self, key: &GatewayKey) -> Vec<&Finding> {
        self.findings.get(key).into_iter().flatten().collect()
    }
}

fn by_gateway(findings: &[Finding]) -> HashMap<GatewayKey, Vec<Finding>> {
    let mut all: HashMap<GatewayKey, Vec<Finding>> = HashMap::new();
    for finding in findings {
        if let Some(key) = &finding.gateway {
            all.entry(key.clone()).or_default().push(finding.clone());
        }
    }
    all
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
