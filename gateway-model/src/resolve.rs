//! From a snapshot to what it means: gateways with ports, hosts, routes, weights and endpoints. Pure: the same
//! snapshot gives the same answer, whatever the order of workloads.
//!
//! Mistakes are findings. A gateway with an error of its own stays as it was, or is left out; no other is touched
//! by it.
//!
//! Gateways are resolved one by one, those that others chain to before the others. [`resolve`] does so for all
//! of them, a [`Planner`](crate::planner::Planner) for those that a change touches, by the same functions.

pub(crate) mod chain;
pub(crate) mod claims;
pub(crate) mod declared;
pub(crate) mod endpoints;
pub(crate) mod index;
mod life;
pub(crate) mod remember;
pub(crate) mod routes;
pub(crate) mod settle;
mod warn;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use serde::Serialize;

use self::{claims::PortSpace, index::Index, settle::Settled};
use crate::{
    condition::Condition,
    discovery::{Kept, Origin, Seen},
    finding::{self, Finding},
    gateway::{Balance, Gateway, Level, PortType, Route, VirtualHost},
    key::{GatewayKey, RouteName},
    plan::l4::Frontends,
    snapshot::{External, Settings, Snapshot},
    sticky::Sticky,
    weight::Weight,
    workload::Workload,
};

/// Codes of the findings that compare what is declared with what is there: where nobody looked they say nothing.
pub const ABOUT_SURROUNDINGS: &[&str] =
    &["condition-without-effect", "external-unresolved", "route-without-endpoints", "selector-finds-nothing"];

/// What a snapshot means.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Gateways in force, in the order declared.
    pub gateways: Vec<Arc<ResolvedGateway>>,
    /// Those of them that stay as they were: they cannot be as they are declared now.
    pub stayed: BTreeSet<GatewayKey>,
    /// What is wrong, in the order of places.
    pub findings: Vec<Finding>,
    /// What is to be stored.
    pub kept: Kept,
    /// What happened by itself and is worth a log line.
    pub notes: Vec<Note>,
    /// When to resolve again though nothing changes, seconds since 1970: something that is gone is forgotten.
    pub deadline: Option<u64>,
    /// Addresses that gateways answer on.
    pub addresses: Vec<IpAddr>,
    /// As in the snapshot.
    pub frontends: BTreeMap<GatewayKey, Frontends>,
    /// As in the snapshot.
    pub settings: Settings,
}

/// A gateway in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedGateway {
    /// Its name.
    pub key: GatewayKey,
    /// Its own port.
    pub port: u16,
    /// What is spoken on it.
    pub kind: PortType,
    /// Hosts on the shared port, those that older gateways have left out.
    pub hosts: Vec<VirtualHost>,
    /// The ports that its hosts are served on.
    pub shared_ports: &'static [u16],
    /// As declared.
    pub level: Level,
    /// Where its own port is served.
    pub layer: Layer,
    /// Routes, by name.
    pub routes: Vec<ResolvedRoute>,
    /// What its users keep.
    pub sticky: Option<Sticky>,
    /// Those of `routes` with a condition, in the order in which conditions are tried.
    pub order: Vec<usize>,
    /// Whether it has a ready endpoint behind a route that it would ever send somebody to.
    pub serves: bool,
    /// How many gateways the longest chain from here has, this one included.
    pub depth: usize,
}

impl ResolvedGateway {
    /// Names and own weights of its routes, with nothing for those that cannot serve: what users are assigned by.
    pub fn serving(&self) -> impl Iterator<Item = (&str, Weight)> {
        self.routes
            .iter()
            .map(|route| (route.name.0.as_str(), if route.serves() { route.weight } else { Weight::ZERO }))
    }
}

/// Where a gateway's own port is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// In the kernel, one choice per connection.
    Kernel,
    /// By the proxy, one choice per request.
    Request,
}

/// A route in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRoute {
    /// Its name.
    pub name: RouteName,
    /// Its own weight; over all routes they add up to 100 % or to 0.
    pub weight: Weight,
    /// The weight in force: of routes without ready endpoints it is lent to the others.
    pub lent: Weight,
    /// Who gave it its weight.
    pub origin: Origin,
    /// Since when, seconds since 1970.
    pub since: u64,
    /// It was found bad, and gets no weight but from a person or a new release.
    pub rolled_back: bool,
    /// Requests that it captures.
    pub condition: Option<Condition>,
    /// Who said so.
    pub condition_origin: Origin,
    /// Share of the matching requests that it captures.
    pub strength: Weight,
    /// Who said so.
    pub strength_origin: Origin,
    /// How its endpoints are chosen by the proxy.
    pub balance: Balance,
    /// Its endpoints, by address; of a chained route all those behind the gateway that it leads to.
    pub endpoints: Vec<Endpoint>,
    /// The gateway that it leads to, where it is chained to one that is in force.
    pub chained: Option<Arc<ResolvedGateway>>,
    /// As declared; `None` where only the selector knows it.
    pub declared: Option<Route>,
    /// Since when no workload of it exists any more.
    pub gone_since: Option<u64>,
    /// Whether it is gone because of that; one that the file lists only once its time is over, and its weight with it.
    pub is_gone: bool,
}

/// One address and port of a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it takes new connections.
    pub ready: bool,
    /// Whether it is on this node.
    pub is_local: bool,
    /// Whether the kernel may forward to it.
    pub usable_at_l4: bool,
    /// Name of its workload; empty for an external address.
    pub workload: String,
}

/// Something that happened by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// To which gateway.
    pub gateway: GatewayKey,
    /// What.
    pub message: String,
}

/// What all gateways are resolved against.
pub(crate) struct World<'a> {
    /// Workloads, by the numbers that `index` knows them by.
    pub workloads: &'a [Workload],
    /// Where to look for those of a selector.
    pub index: &'a Index,
    /// When workloads were first seen.
    pub seen: &'a BTreeMap<String, Seen>,
    /// Addresses that gateways answer on.
    pub addresses: &'a [IpAddr],
    /// The name of this node.
    pub node: Option<&'a str>,
    /// Endpoint addresses that are on other nodes.
    pub through_uplink: &'a BTreeSet<IpAddr>,
    /// What is known of external addresses.
    pub external: &'a External,
    /// Seconds since 1970.
    pub now: u64,
    /// For how long a route without workload keeps its settings, in seconds.
    pub route_ttl: u64,
}

/// What became of one gateway.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What it means.
    pub gateway: Arc<ResolvedGateway>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// What happened by itself.
    pub notes: Vec<Note>,
    /// When a route of it expires.
    pub deadline: Option<u64>,
}

/// What a snapshot means.
pub fn resolve(snapshot: &Snapshot) -> Resolved {
    let (now, route_ttl) = (snapshot.now, snapshot.settings.route_ttl);
    let mut kept = snapshot.kept.clone();
    remember::workloads(&mut kept.workloads, &snapshot.workloads, now, route_ttl);
    let names = snapshot.gateways.iter().map(|gateway| &gateway.key).collect();
    remember::gateways(&mut kept.gateways, &names, now, route_ttl);
    let was = |key: &GatewayKey| snapshot.in_force.iter().find(|gateway| gateway.key == *key);
    let settled = settle::settle(
        &snapshot.gateways,
        was,
        &kept.gateways,
        PortSpace::new(&snapshot.ports_in_use, snapshot.settings),
    );
    let Settled { gateways, declared, claims, mut findings, stayed } = settled;
    let mut index = Index::default();
    index.learn(gateways.iter().flat_map(Gateway::selectors));
    for (number, workload) in snapshot.workloads.iter().enumerate() {
        index.insert(number as u32, workload);
    }
    let world = World {
        workloads: &snapshot.workloads,
        index: &index,
        seen: &kept.workloads,
        addresses: &snapshot.addresses,
        node: snapshot.node.as_deref(),
        through_uplink: &snapshot.through_uplink,
        external: &snapshot.external,
        now,
        route_ttl,
    };
    let mut outcomes: HashMap<&GatewayKey, Outcome> = HashMap::new();
    for index in &declared.order {
        let gateway = &gateways[*index];
        let Some(claim) = claims.get(&gateway.key) else { continue };
        let chains = chain::follow(gateway, &declared, |key| Some(outcomes.get(key)?.gateway.clone()));
        let kept = kept.gateways.entry(gateway.key.clone()).or_default();
        outcomes.insert(&gateway.key, routes::resolve(gateway, claim, chains, kept, &world));
    }
    let mut out = Resolved::default();
    for outcome in declared.valid().filter_map(|index| outcomes.remove(&gateways[index].key)) {
        if !stayed.contains(&outcome.gateway.key) {
            findings.extend(outcome.findings);
        }
        out.notes.extend(outcome.notes);
        out.deadline = out.deadline.into_iter().chain(outcome.deadline).min();
        out.gateways.push(outcome.gateway);
    }
    finding::sort(&mut findings);
    let deadline = remember::deadlines(&kept, route_ttl).chain(out.deadline).min();
    Resolved {
        stayed,
        findings,
        deadline,
        kept,
        addresses: snapshot.addresses.clone(),
        frontends: snapshot.frontends.clone(),
        settings: snapshot.settings,
        ..out
    }
}

impl ResolvedRoute {
    /// Whether it can be given a connection or request: it has a ready endpoint, or leads to a gateway that has.
    pub fn serves(&self) -> bool {
        match &self.chained {
            Some(gateway) => gateway.serves,
            None => self.endpoints.iter().any(|endpoint| endpoint.ready),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
