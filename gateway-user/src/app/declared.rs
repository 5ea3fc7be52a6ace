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

/// Gateways that are declared otherwise than before.
#[derive(Debug)]
pub(super) enum FreshGateways {
    /// All, in the order that counts.
    All(Vec<Gateway>),
    /// These; all have these names and this order.
    Arranged(Vec<GatewayKey>, Vec<Gateway>),
    /// These, each in its place.
    Some(Vec<Gateway>),
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

    /// Gateways that are declared otherwise than was taken last.
    pub(super) fn take_gateways(&mut self) -> FreshGateways {
        match self {
            Self::Files(sources) => {
                sources.take_gateways().map_or_else(|| FreshGateways::Some(Vec::new()), FreshGateways::All)
            }
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
        match self {
            Self::Files(sources) => {
                let workloads = sources.workloads().flat_map(|workload| workload.addresses.iter().copied());
                let routes = sources.gateways().flat_map(|gateway| &gateway.routes);
                workloads.chain(routes.filter_map(external_address)).collect()
            }
            Self::Cluster(cluster) => cluster.external().collect(),
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

/// The address that a route leads to by itself, where it has no name.
pub(super) fn external_address(route: &Route) -> Option<IpAddr> {
    route.external()?.0.parse().ok()
}
