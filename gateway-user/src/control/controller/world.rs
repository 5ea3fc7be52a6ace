//! What the controller knows: the objects that it watches, trimmed to what matters.

use std::{collections::HashMap, time::Instant};

use futures::{StreamExt as _, stream};
use gateway_model::{key::GatewayKey, workload::Workload};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    core::v1::{Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, runtime::watcher};
use tokio::sync::mpsc;

use super::slices::{MANAGED_BY, MANAGED_BY_LABEL};
use crate::control::{
    resource::{
        GATEWAY_LABEL, NodesStatus, SERVICE_PROXY, SERVICE_PROXY_LABEL, WeirAddressPool, WeirGateway,
        WeirNode,
    },
    table::{Key, News, Seen, Table, follow},
    translate::{self, GatewayFacts, PodFacts},
};

/// How many lagging nodes are named.
const NAMED: usize = 5;

/// What one of the watches tells.
#[derive(Debug)]
pub(super) enum Change {
    Pod(Seen<PodFacts>),
    Deployment(Seen<Workload>),
    StatefulSet(Seen<Workload>),
    ReplicaSet(Seen<Workload>),
    Gateway(Box<Seen<GatewayFacts>>),
    Service(Box<Seen<Service>>),
    Slice(Seen<EndpointSlice>),
    Node(Seen<()>),
    Ack(Seen<Ack>),
    Pool(Seen<WeirAddressPool>),
}

/// What is not as it was, by kind.
#[derive(Debug)]
pub(super) enum Changed {
    Pods(Vec<Key>),
    Deployments(Vec<Key>),
    StatefulSets(Vec<Key>),
    ReplicaSets(Vec<Key>),
    /// With what they were.
    Gateways(Vec<(Key, Option<GatewayFacts>)>),
    /// Gateways' Services or slices: namespace, and the Service's name.
    Published(Vec<Key>),
    Nodes,
    Pools,
}

/// What a node acknowledges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ack {
    /// The highest version of a gateway that it has.
    programmed: u64,
    /// Gateways that it cannot have as they are.
    failed: Vec<String>,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) pods: Table<PodFacts>,
    pub(super) deployments: Table<Workload>,
    pub(super) stateful_sets: Table<Workload>,
    pub(super) replica_sets: Table<Workload>,
    pub(super) gateways: Table<GatewayFacts>,
    pub(super) services: Table<Service>,
    pub(super) slices: Table<EndpointSlice>,
    nodes: Table<()>,
    acks: Table<Ack>,
    pub(super) pools: Table<WeirAddressPool>,
    /// Slices by namespace and name of their gateway's Service.
    by_gateway: HashMap<Key, Vec<Key>>,
    /// The version in which a gateway's spec or routes last changed.
    versions: HashMap<Key, u64>,
    /// Gateways by namespace and name of their Services.
    by_service: HashMap<Key, Key>,
}

/// Watches everything, for ever.
pub(super) async fn watch(client: Client, changes: mpsc::Sender<Change>) {
    let any = || watcher::Config::default();
    let labelled = |label: &str| watcher::Config::default().labels(label);
    let all = |client: &Client| client.clone();
    let proxied = format!("{SERVICE_PROXY_LABEL}={SERVICE_PROXY}");
    let ours = format!("{MANAGED_BY_LABEL}={MANAGED_BY}");
    let c = all(&client);
    let mut streams = stream::select_all([
        follow(Api::<Pod>::all(c.clone()), any(), |pod| translate::pod(&pod)).map(Change::Pod).boxed(),
        follow(Api::<Deployment>::all(c.clone()), any(), |one| translate::owner(&one))
            .map(Change::Deployment)
            .boxed(),
        follow(Api::<StatefulSet>::all(c.clone()), any(), |one| translate::owner(&one))
            .map(Change::StatefulSet)
            .boxed(),
        follow(Api::<ReplicaSet>::all(c.clone()), any(), |one| translate::owner(&one))
            .map(Change::ReplicaSet)
            .boxed(),
        follow(Api::<WeirGateway>::all(c.clone()), any(), |one| Some(translate::gateway(&one)))
            .map(|seen| Change::Gateway(Box::new(seen)))
            .boxed(),
        follow(Api::<Service>::all(c.clone()), labelled(&proxied), |one| Some(trimmed(one)))
            .map(|seen| Change::Service(Box::new(seen)))
            .boxed(),
        follow(Api::<EndpointSlice>::all(c.clone()), labelled(&ours), |one| Some(trimmed(one)))
            .map(Change::Slice)
            .boxed(),
        follow(Api::<Node>::all(c.clone()), any(), |_| Some(())).map(Change::Node).boxed(),
        follow(Api::<WeirNode>::all(c.clone()), any(), |one| Some(ack(&one))).map(Change::Ack).boxed(),
        follow(Api::<WeirAddressPool>::all(c.clone()), any(), |one| Some(trimmed(one)))
            .map(Change::Pool)
            .boxed(),
    ]);
    while let Some(change) = streams.next().await {
        if changes.send(change).await.is_err() {
            return;
        }
    }
}

/// Without what nobody here reads.
pub(super) fn trimmed<K: kube::Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}

fn ack(node: &WeirNode) -> Ack {
    let status = node.status.clone().unwrap_or_default();
    Ack {
        programmed: status.programmed.and_then(|version| version.parse().ok()).unwrap_or(0),
        failed: status.errors.into_iter().filter_map(|error| error.gateway).collect(),
    }
}

impl World {
    /// Takes a change over.
    pub(super) fn handle(&mut self, change: Change) -> Changed {
        let now = Instant::now();
        match change {
            Change::Pod(seen) => Changed::Pods(keys(self.pods.handle(seen, now))),
            Change::Deployment(seen) => Changed::Deployments(keys(self.deployments.handle(seen, now))),
            Change::StatefulSet(seen) => Changed::StatefulSets(keys(self.stateful_sets.handle(seen, now))),
            Change::ReplicaSet(seen) => Changed::ReplicaSets(keys(self.replica_sets.handle(seen, now))),
            Change::Gateway(seen) => {
                let news = self.gateways.handle(*seen, now);
                self.note_gateways(news)
            }
            Change::Service(seen) => {
                let news = self.services.handle(*seen, now);
                Changed::Published(keys(news))
            }
            Change::Slice(seen) => {
                let news = self.slices.handle(seen, now);
                self.note_slices(news)
            }
            Change::Node(seen) => {
                self.nodes.handle(seen, now);
                Changed::Nodes
            }
            Change::Ack(seen) => {
                self.acks.handle(seen, now);
                Changed::Nodes
            }
            Change::Pool(seen) => {
                self.pools.handle(seen, now);
                Changed::Pools
            }
        }
    }

    /// Believes what has been doubted for long.
    pub(super) fn tick(&mut self) -> Vec<Changed> {
        let now = Instant::now();
        let gateways = self.gateways.tick(now);
        let slices = self.slices.tick(now);
        self.nodes.tick(now);
        self.acks.tick(now);
        self.pools.tick(now);
        vec![
            Changed::Pods(keys(self.pods.tick(now))),
            Changed::Deployments(keys(self.deployments.tick(now))),
            Changed::StatefulSets(keys(self.stateful_sets.tick(now))),
            Changed::ReplicaSets(keys(self.replica_sets.tick(now))),
            self.note_gateways(gateways),
            Changed::Published(keys(self.services.tick(now))),
            self.note_slices(slices),
        ]
    }

    fn note_gateways(&mut self, news: Vec<News<GatewayFacts>>) -> Changed {
        for News { key, old } in &news {
            let Some(facts) = self.gateways.get(key) else {
                self.versions.remove(key);
                self.by_service.retain(|_, gateway| gateway != key);
                continue;
            };
            let is_same = old.as_ref().is_some_and(|old| {
                old.generation == facts.generation && old.status.routes == facts.status.routes
            });
            if !is_same {
                self.versions.insert(key.clone(), facts.version);
            }
            self.by_service.insert((key.0.clone(), service_name(facts)), key.clone());
        }
        Changed::Gateways(news.into_iter().map(|News { key, old }| (key, old)).collect())
    }

    fn note_slices(&mut self, news: Vec<News<EndpointSlice>>) -> Changed {
        let mut touched = Vec::new();
        for News { key, old } in news {
            if let Some(owner) = old.as_ref().and_then(|slice| gateway_of(&key, slice)) {
                if let Some(slices) = self.by_gateway.get_mut(&owner) {
                    slices.retain(|slice| *slice != key);
                }
                touched.push(owner);
            }
            if let Some(owner) = self.slices.get(&key).and_then(|slice| gateway_of(&key, slice)) {
                self.by_gateway.entry(owner.clone()).or_default().push(key);
                touched.push(owner);
            }
        }
        Changed::Published(touched)
    }

    /// Gateways whose published objects may not be as they are to be.
    pub(super) fn concerned(&self, changed: &Changed) -> Vec<GatewayKey> {
        match changed {
            Changed::Gateways(news) => news.iter().map(|(key, _)| gateway_key(key)).collect(),
            Changed::Published(services) => {
                services.iter().filter_map(|key| self.by_service.get(key)).map(gateway_key).collect()
            }
            Changed::Pools => self.gateways.iter().map(|(key, _)| gateway_key(key)).collect(),
            Changed::Pods(_)
            | Changed::Deployments(_)
            | Changed::StatefulSets(_)
            | Changed::ReplicaSets(_)
            | Changed::Nodes => Vec::new(),
        }
    }

    /// Whether everything is known, and nothing of what matters is in doubt.
    pub(super) fn is_known(&self) -> bool {
        let known = [
            self.pods.is_known(),
            self.deployments.is_known(),
            self.stateful_sets.is_known(),
            self.replica_sets.is_known(),
            self.gateways.is_known(),
            self.services.is_known(),
            self.slices.is_known(),
            self.nodes.is_known(),
            self.acks.is_known(),
            self.pools.is_known(),
        ];
        known.into_iter().all(|is_known| is_known)
    }

    /// The slices of a gateway, by namespace and name of its Service.
    pub(super) fn slices_of(&self, service: &Key) -> impl Iterator<Item = &EndpointSlice> {
        self.by_gateway.get(service).into_iter().flatten().filter_map(|key| self.slices.get(key))
    }

    /// Which nodes have a gateway as it is.
    pub(super) fn nodes_status(&self, key: &Key) -> NodesStatus {
        let version = self.versions.get(key).copied().unwrap_or(0);
        let shown = format!("{}/{}", key.0, key.1);
        let nodes = self.acks.iter().filter(|(node, _)| self.nodes.get(node).is_some());
        let mut total = 0;
        let mut lagging: Vec<String> = nodes
            .inspect(|_| total += 1)
            .filter(|(_, ack)| ack.programmed < version || ack.failed.contains(&shown))
            .map(|((_, name), _)| name.clone())
            .collect();
        lagging.sort();
        let programmed = total - lagging.len() as i32;
        lagging.truncate(NAMED);
        NodesStatus { programmed, total, lagging }
    }

    /// Gateways whose status says otherwise of nodes.
    pub(super) fn outdated_nodes(&self) -> Vec<GatewayKey> {
        let is_outdated = |(key, facts): &(&Key, &GatewayFacts)| {
            facts.status.nodes.as_ref().is_none_or(|told| *told != self.nodes_status(key))
        };
        self.gateways.iter().filter(is_outdated).map(|(key, _)| gateway_key(key)).collect()
    }

    /// Acknowledgements of nodes that are no more.
    pub(super) fn orphaned_nodes(&self) -> Vec<String> {
        if !self.nodes.is_known() || self.nodes.is_doubtful() || self.nodes.is_empty() {
            return Vec::new();
        }
        let gone = self.acks.iter().filter(|(node, _)| self.nodes.get(node).is_none());
        gone.map(|((_, name), _)| name.clone()).collect()
    }
}

/// The name of a gateway's Service.
pub(super) fn service_name(facts: &GatewayFacts) -> String {
    let place = gateway_model::finding::Place { file: String::new(), line: 1, column: 1, length: 1 };
    gateway_model::gateway::Gateway::new(facts.key.clone(), place).service_name()
}

/// The same key as the model writes it.
pub(super) fn gateway_key(key: &Key) -> GatewayKey {
    GatewayKey::new(key.0.clone(), key.1.clone())
}

fn gateway_of(key: &Key, slice: &EndpointSlice) -> Option<Key> {
    let label = slice.metadata.labels.as_ref()?.get(GATEWAY_LABEL)?;
    Some((key.0.clone(), label.clone()))
}

fn keys<T>(news: Vec<News<T>>) -> Vec<Key> {
    news.into_iter().map(|news| news.key).collect()
}
