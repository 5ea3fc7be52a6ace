//! What is declared, wherever it comes from.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use gateway_model::{
    finding::Finding,
    gateway::{Gateway, Route},
    key::GatewayKey,
    plan::l4::Frontends,
    snapshot::Settings,
    workload::Workload,
};

use super::{cluster::Cluster, sources::Sources};

/// What is declared.
#[derive(Debug)]
pub(super) enum Declared {
    /// By files.
    Files(Sources),
    /// By the objects of a cluster.
    Cluster(Cluster),
}

impl Declared {
    /// How the model is to work with it. In a cluster the leader decides how long routes live.
    pub(super) fn settings(&self) -> Settings {
        match self {
            Self::Files(_) => Settings::default(),
            Self::Cluster(_) => Settings { given_frontends: true, route_ttl: 0, ..Settings::default() },
        }
    }

    /// The node's name, where workloads say on which node they run.
    pub(super) fn node(&self) -> Option<&str> {
        match self {
            Self::Files(_) => None,
            Self::Cluster(cluster) => Some(cluster.node()),
        }
    }

    /// All gateways, in the order that counts.
    pub(super) fn gateways(&self) -> Box<dyn Iterator<Item = &Gateway> + '_> {
        match self {
            Self::Files(sources) => Box::new(sources.gateways()),
            Self::Cluster(cluster) => Box::new(cluster.gateways()),
        }
    }

    /// All gateways, where they are others than were taken last.
    pub(super) fn take_gateways(&mut self) -> Option<Vec<Gateway>> {
        match self {
            Self::Files(sources) => sources.take_gateways(),
            Self::Cluster(cluster) => cluster.take_gateways(),
        }
    }

    /// Workloads that are not as they were taken last, by identity; nothing for those that are gone.
    pub(super) fn take_workloads(&mut self) -> HashMap<String, Option<Workload>> {
        match self {
            Self::Files(sources) => sources.take_workloads(),
            Self::Cluster(cluster) => cluster.take_workloads(),
        }
    }

    /// Where gateways answer, those that answer elsewhere than was taken last.
    pub(super) fn take_frontends(&mut self) -> BTreeMap<GatewayKey, Frontends> {
        match self {
            Self::Files(_) => BTreeMap::new(),
            Self::Cluster(cluster) => cluster.take_frontends(),
        }
    }

    /// Addresses of endpoints of which only the kernel's routing knows whether they are on this node.
    pub(super) fn addresses_to_find(&self) -> BTreeSet<IpAddr> {
        let external = |route: &Route| route.external()?.0.parse().ok();
        let external = self.gateways().flat_map(|gateway| &gateway.routes).filter_map(external);
        match self {
            Self::Files(sources) => {
                let workloads = sources.workloads().flat_map(|workload| workload.addresses.iter().copied());
                workloads.chain(external).collect()
            }
            Self::Cluster(_) => external.collect(),
        }
    }

    /// Everything that is wrong with it.
    pub(super) fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Files(sources) => sources.findings(),
            Self::Cluster(cluster) => cluster.findings(),
        }
    }
}
