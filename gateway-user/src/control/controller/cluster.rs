//! What is known of the cluster, and what comes of it: kept up to date change by change.

mod acks;
mod declare;
mod note;
mod silence;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use gateway_model::{
    finding::Finding,
    key::GatewayKey,
    planner::Planner,
    resolve::{Note, Resolved, ResolvedGateway},
    snapshot::Settings,
};

use self::{acks::Acks, silence::Silence};
use crate::control::{
    agent::{facts::Key, store::Store},
    translate::{GatewayFacts, LeaseFacts, NodeSeen, PoolSeen, ServiceSeen, SliceSeen},
};

/// Kinds of what makes pods.
const OWNERS: [&str; 3] = ["deployment", "statefulset", "replicaset"];

/// What is kept of a pod beside what the planner knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodSeen {
    pub(super) uid: String,
    pub(super) node: Option<Arc<str>>,
    pub(super) is_serving: bool,
    pub(super) is_terminating: bool,
    /// Whether an agent runs in it.
    is_agent: bool,
}

/// What is to be looked at again of a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stale {
    /// Its slices too, not its status and Service alone.
    pub(super) slices: bool,
}

/// What is known, and what comes of it.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Weir's own namespace.
    namespace: String,
    gateways: Store<GatewayFacts>,
    pods: Store<PodSeen>,
    owners: [Store<()>; 3],
    slices: Store<SliceSeen>,
    services: Store<ServiceSeen>,
    nodes: Store<NodeSeen>,
    pools: Store<PoolSeen>,
    /// Of addresses; which nodes hold them does not matter here.
    leases: Store<LeaseFacts>,
    acks: Acks,
    silence: Silence,
    /// Names of nodes, each once.
    node_names: HashSet<Arc<str>>,
    /// Published slices by the namespace and name of their gateway's Service.
    published: HashMap<Key, BTreeSet<String>>,
    /// Gateways by the namespace and name of their Service.
    by_service: HashMap<Key, GatewayKey>,
    planner: Planner,
    /// What is in force of each gateway, as of the last look.
    resolved: HashMap<GatewayKey, Arc<ResolvedGateway>>,
    findings: HashMap<GatewayKey, Vec<Finding>>,
    /// The last declaration that could be in force.
    last_good: HashMap<GatewayKey, Arc<GatewayFacts>>,
    news: News,
}

/// What has changed since the last look.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
struct News {
    /// Other gateways are declared.
    declared: bool,
    /// Gateways that are others of the same name.
    reborn: HashSet<GatewayKey>,
    /// Gateways that are gone.
    gone: Vec<GatewayKey>,
    /// Gateways of which somebody else wrote what is in force: one who led before.
    overwritten: HashSet<GatewayKey>,
    /// Gateways to be looked at again.
    stale: HashMap<GatewayKey, Stale>,
    /// Pods of which something changed that only slices tell.
    pods: HashSet<Key>,
    /// Nodes acknowledge something else, or others are to.
    acks: bool,
    /// Services, pools, Leases of addresses or what gateways ask of them.
    addresses: bool,
    /// Agents' acknowledgements, or nodes, came or went.
    nodes: bool,
}

/// What is to be looked at after a change.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Gateways.
    pub(super) stale: HashMap<GatewayKey, Stale>,
    /// Gateways that are gone.
    pub(super) gone: Vec<GatewayKey>,
    /// What happened by itself.
    pub(super) notes: Vec<Note>,
    /// Whether load balancer addresses, their Leases and the shared Service are.
    pub(super) addresses: bool,
    /// Whether acknowledgements of nodes that are gone are.
    pub(super) nodes: bool,
}

impl Cluster {
    /// Nothing is known yet.
    pub(super) fn new(namespace: &str, route_ttl: Duration) -> Self {
        let settings = Settings {
            route_ttl: route_ttl.as_secs(),
            // Nobody here needs a ring.
            ring_size: 1,
            given_frontends: true,
            ..Settings::default()
        };
        Self {
            namespace: namespace.to_owned(),
            gateways: Store::default(),
            pods: Store::default(),
            owners: Default::default(),
            slices: Store::default(),
            services: Store::default(),
            nodes: Store::default(),
            pools: Store::default(),
            leases: Store::default(),
            acks: Acks::default(),
            silence: Silence::default(),
            node_names: HashSet::new(),
            published: HashMap::new(),
            by_service: HashMap::new(),
            planner: Planner::new(settings, gateway_model::discovery::Kept::default()),
            resolved: HashMap::new(),
            findings: HashMap::new(),
            last_good: HashMap::new(),
            news: News::default(),
        }
    }

    /// Kinds of objects that are not all known yet.
    pub(super) fn unknown(&self) -> Vec<&'static str> {
        let mut all = vec![
            ("weirgateway", self.gateways.is_known()),
            ("pod", self.pods.is_known()),
            ("endpointslice", self.slices.is_known()),
            ("service", self.services.is_known()),
            ("node", self.nodes.is_known()),
            ("weirnode", self.acks.agents.is_known()),
            ("weiraddresspool", self.pools.is_known()),
        ];
        all.extend(OWNERS.into_iter().zip(&self.owners).map(|(kind, store)| (kind, store.is_known())));
        all.into_iter().filter(|(_, is_known)| !is_known).map(|(kind, _)| kind).collect()
    }

    /// Whether a list was empty where there were objects: an API server that has just begun says so as well. Nothing
    /// is taken away because of it for a while.
    pub(super) fn is_doubtful(&self) -> bool {
        let is_empty_beside_slices =
            self.pods.is_known() && self.pods.len() == 0 && self.slices.values().any(|slice| slice.ready > 0);
        is_empty_beside_slices
            || self.gateways.is_doubtful()
            || self.pods.is_doubtful()
            || self.owners.iter().any(Store::is_doubtful)
            || self.slices.is_doubtful()
            || self.services.is_doubtful()
            || self.nodes.is_doubtful()
            || self.acks.agents.is_doubtful()
            || self.pools.is_doubtful()
            || self.leases.is_doubtful()
    }

    /// Whether something has changed that was not looked at.
    pub(super) fn has_news(&self) -> bool {
        let News { declared, reborn, gone, overwritten, stale, pods, acks, addresses, nodes } = &self.news;
        *declared
            || *acks
            || *addresses
            || *nodes
            || !(reborn.is_empty() && gone.is_empty() && overwritten.is_empty())
            || !(stale.is_empty() && pods.is_empty())
            || self.silence.is_stale()
            || self.planner.has_news()
    }

    /// How many gateways and pods there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.gateways.len(), self.pods.len())
    }

    /// When to look again though nothing changes, seconds since 1970.
    pub(super) fn deadline(&self) -> Option<u64> {
        [self.planner.resolved().deadline, self.silence.deadline()].into_iter().flatten().min()
    }

    /// Works out what the changes bring about; `now` in seconds since 1970.
    pub(super) fn look(&mut self, now: u64) -> Look {
        self.listen(now);
        self.declare(now);
        let update = self.planner.update(now);
        self.compare();
        if update.are_findings_new {
            self.sort_findings();
        }
        self.find_pods();
        if std::mem::take(&mut self.news.acks) {
            self.compare_acks();
        }
        Look {
            stale: std::mem::take(&mut self.news.stale),
            gone: std::mem::take(&mut self.news.gone),
            notes: update.notes,
            addresses: std::mem::take(&mut self.news.addresses),
            nodes: std::mem::take(&mut self.news.nodes),
        }
    }

    /// Marks those gateways of which something else is in force.
    fn compare(&mut self) {
        let Resolved { gateways: all, stayed, .. } = self.planner.resolved();
        for gateway in all {
            let known = self.resolved.get(&gateway.key);
            if known.is_some_and(|known| Arc::ptr_eq(known, gateway)) {
                continue;
            }
            self.news.addresses |=
                known.is_none_or(|known| known.hosts.is_empty() != gateway.hosts.is_empty());
            self.resolved.insert(gateway.key.clone(), Arc::clone(gateway));
            self.news.stale.entry(gateway.key.clone()).or_default().slices = true;
            let declared = self.gateways.get(&(gateway.key.namespace.clone(), gateway.key.name.clone()));
            if let Some(facts) = declared.filter(|facts| facts.spec.gateway.is_some())
                && !stayed.contains(&gateway.key)
            {
                self.last_good.insert(gateway.key.clone(), Arc::clone(facts));
            }
        }
        if self.resolved.len() > all.len() {
            let there: HashSet<&GatewayKey> = all.iter().map(|gateway| &gateway.key).collect();
            self.resolved.retain(|key, _| there.contains(key));
            self.news.addresses = true;
        }
    }

    /// Marks those gateways with which something else is wrong.
    fn sort_findings(&mut self) {
        let mut fresh: HashMap<GatewayKey, Vec<Finding>> = HashMap::new();
        for finding in &self.planner.resolved().findings {
            if let Some(key) = &finding.gateway {
                fresh.entry(key.clone()).or_default().push(finding.clone());
            }
        }
        let all = fresh.keys().chain(self.findings.keys());
        let differ = all.filter(|key| fresh.get(*key) != self.findings.get(*key));
        for key in differ {
            self.news.stale.entry(key.clone()).or_default();
        }
        self.findings = fresh;
    }

    /// Marks gateways with endpoints in pods of which something changed that only slices tell.
    fn find_pods(&mut self) {
        let pods = std::mem::take(&mut self.news.pods);
        if pods.is_empty() {
            return;
        }
        let is_one = |namespace: &str, name: &str| pods.contains(&(namespace.to_owned(), name.to_owned()));
        let namespaces: BTreeSet<&str> = pods.iter().map(|(namespace, _)| namespace.as_str()).collect();
        for gateway in self.resolved.values() {
            let namespace = gateway.key.namespace.as_str();
            let mut endpoints = gateway.routes.iter().flat_map(|route| &route.endpoints);
            if namespaces.contains(namespace)
                && endpoints.any(|endpoint| is_one(namespace, &endpoint.workload))
            {
                self.news.stale.entry(gateway.key.clone()).or_default().slices = true;
            }
        }
    }

    /// What is in force of a gateway, what is wrong with it, and the last declaration that could be in force.
    pub(super) fn of(&self, key: &GatewayKey) -> Option<Of<'_>> {
        let facts = self.gateways.get(&(key.namespace.clone(), key.name.clone()))?;
        let is_as_declared =
            facts.spec.gateway.is_some() && !self.planner.resolved().stayed.contains(&facts.key);
        Some(Of {
            facts,
            resolved: self.resolved.get(key).map(AsRef::as_ref),
            kept: self.planner.resolved().kept.gateways.get(key),
            findings: self.findings.get(key).map(Vec::as_slice).unwrap_or_default(),
            last_good: self.last_good.get(key).filter(|_| !is_as_declared).map(AsRef::as_ref),
        })
    }

    /// A pod of a namespace, and the zone of its node.
    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<(&PodSeen, Option<&str>)> {
        let pod = self.pods.get(&(namespace.to_owned(), name.to_owned()))?;
        let node = pod.node.as_ref().and_then(|node| self.nodes.get(&(String::new(), node.to_string())));
        Some((pod, node.and_then(|node| node.zone.as_deref())))
    }

    /// A Service.
    pub(super) fn service(&self, namespace: &str, name: &str) -> Option<&ServiceSeen> {
        self.services.get(&(namespace.to_owned(), name.to_owned())).map(AsRef::as_ref)
    }

    /// All Services.
    pub(super) fn services(&self) -> impl Iterator<Item = &ServiceSeen> {
        self.services.values().map(AsRef::as_ref)
    }

    /// All pools, by name.
    pub(super) fn pools(&self) -> Vec<&PoolSeen> {
        let pools: BTreeMap<&Key, &PoolSeen> =
            self.pools.iter().map(|(key, pool)| (key, pool.as_ref())).collect();
        pools.into_values().collect()
    }

    /// Leases of addresses; `None` while they are not known.
    pub(super) fn leases(&self) -> Option<impl Iterator<Item = &LeaseFacts>> {
        self.leases.is_known().then(|| self.leases.values().map(AsRef::as_ref))
    }

    /// The gateway that a Service is of.
    pub(super) fn gateway_of(&self, service: &Key) -> Option<&GatewayFacts> {
        let key = self.by_service.get(service)?;
        self.gateways.get(&(key.namespace.clone(), key.name.clone())).map(AsRef::as_ref)
    }

    /// Slices that were published for a gateway.
    pub(super) fn published(&self, facts: &GatewayFacts) -> impl Iterator<Item = &SliceSeen> {
        let namespace = &facts.key.namespace;
        let names = self.published.get(&(namespace.clone(), facts.service_name.clone()));
        let names = names.into_iter().flatten();
        names.filter_map(|name| Some(self.slices.get(&(namespace.clone(), name.clone()))?.as_ref()))
    }

    /// Whether any gateway in force has virtual hosts.
    pub(super) fn has_hosts(&self) -> bool {
        self.resolved.values().any(|gateway| !gateway.hosts.is_empty())
    }

    /// Weir's own namespace.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Acknowledgements of nodes that do not exist.
    pub(super) fn acks_of_nobody(&self) -> Vec<(String, String)> {
        if !self.nodes.is_known() || self.nodes.is_doubtful() || self.nodes.len() == 0 {
            return Vec::new();
        }
        let agents = self.acks.agents.iter();
        let gone = agents.filter(|(key, _)| self.nodes.get(key).is_none());
        gone.map(|(key, agent)| (key.1.clone(), agent.uid.clone())).collect()
    }
}

/// What is known of one gateway.
pub(super) struct Of<'a> {
    /// As it is declared.
    pub(super) facts: &'a GatewayFacts,
    /// What is in force.
    pub(super) resolved: Option<&'a ResolvedGateway>,
    /// What is remembered.
    pub(super) kept: Option<&'a gateway_model::discovery::KeptGateway>,
    /// What is wrong.
    pub(super) findings: &'a [Finding],
    /// The last declaration that could be in force, where this one cannot.
    pub(super) last_good: Option<&'a GatewayFacts>,
}

#[cfg(test)]
mod tests;
