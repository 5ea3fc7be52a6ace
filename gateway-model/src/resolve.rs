//! From a snapshot to what it means: gateways with ports, hosts, routes, weights and endpoints. Pure: the same
//! snapshot gives the same answer, whatever the order of workloads.
//!
//! Mistakes are findings. A gateway with an error of its own is left out; no other is touched by it.

mod claims;
mod endpoints;
mod index;
mod life;
mod routes;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use serde::Serialize;

use crate::{
    condition::Condition,
    discovery::{Kept, KeptGateway, Origin, Seen},
    finding::{self, Finding},
    gateway::{Balance, Gateway, Level, PortType, Route, VirtualHost},
    key::{GatewayKey, RouteName},
    snapshot::{Settings, Snapshot},
    weight::Weight,
};

/// What a snapshot means.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Gateways in force, in the order declared.
    pub gateways: Vec<ResolvedGateway>,
    /// What is wrong, in the order of places.
    pub findings: Vec<Finding>,
    /// What is to be stored.
    pub kept: Kept,
    /// What happened by itself and is worth a log line.
    pub notes: Vec<Note>,
    /// When to resolve again though nothing changes, seconds since 1970: a route expires.
    pub deadline: Option<u64>,
    /// Addresses that gateways answer on.
    pub addresses: Vec<std::net::IpAddr>,
    /// As in the snapshot.
    pub settings: Settings,
}

/// A gateway in force.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedGateway {
    /// Its name.
    pub key: GatewayKey,
    /// Its own port.
    pub port: u16,
    /// What is spoken on it.
    pub kind: PortType,
    /// Hosts on the shared port, those that older gateways have left out.
    pub hosts: Vec<VirtualHost>,
    /// As declared.
    pub level: Level,
    /// Where its own port is served.
    pub layer: Layer,
    /// Routes, by name.
    pub routes: Vec<ResolvedRoute>,
    /// Those of `routes` with a condition, in the order in which conditions are tried.
    pub order: Vec<usize>,
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
#[derive(Clone, Debug, PartialEq)]
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
    /// Its endpoints, by address.
    pub endpoints: Vec<Endpoint>,
    /// As declared; `None` where only the selector knows it.
    pub declared: Option<Route>,
    /// Since when no workload of it exists, and the file does not list it.
    pub gone_since: Option<u64>,
}

/// One address and port of a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it takes new connections.
    pub ready: bool,
    /// Whether the kernel can forward to it.
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

/// What a snapshot means.
pub fn resolve(snapshot: &Snapshot) -> Resolved {
    let mut out = Resolved {
        kept: snapshot.kept.clone(),
        addresses: snapshot.addresses.clone(),
        settings: snapshot.settings,
        ..Resolved::default()
    };
    remember(snapshot, &mut out);
    let mut claims = claims::settle(snapshot, &mut out);
    let selectors = snapshot.gateways.iter().flat_map(Gateway::selectors);
    let workloads = index::Workloads::new(&snapshot.workloads, selectors);
    for gateway in &snapshot.gateways {
        let Some(claim) = claims.remove(&gateway.key) else { continue };
        let mut kept = out.kept.gateways.remove(&gateway.key).unwrap_or_default();
        kept.port = Some(claim.port);
        let resolved = routes::resolve(gateway, claim, &workloads, snapshot, &mut kept, &mut out);
        out.kept.gateways.insert(gateway.key.clone(), kept);
        out.gateways.push(resolved);
    }
    out.deadline = deadline(&out.kept, snapshot.settings.route_ttl);
    finding::sort(&mut out.findings);
    out
}

/// Notes what is there and what is gone; forgets what has been gone for too long.
fn remember(snapshot: &Snapshot, out: &mut Resolved) {
    let (now, ttl) = (snapshot.now, snapshot.settings.route_ttl);
    let seen: BTreeMap<String, u64> = snapshot
        .workloads
        .iter()
        .filter(|workload| workload.created.is_none())
        .map(|workload| (workload.identity(), now))
        .collect();
    for identity in seen.keys() {
        let entry =
            out.kept.workloads.entry(identity.clone()).or_insert(Seen { first: now, gone_since: None });
        entry.gone_since = None;
    }
    out.kept.workloads.retain(|identity, entry| {
        if !seen.contains_key(identity) {
            entry.gone_since.get_or_insert(now);
        }
        !is_over(entry.gone_since, ttl, now)
    });
    for gateway in &snapshot.gateways {
        let fresh = KeptGateway { since: now, ..KeptGateway::default() };
        out.kept.gateways.entry(gateway.key.clone()).or_insert(fresh).gone_since = None;
    }
    let declared: BTreeSet<&GatewayKey> = snapshot.gateways.iter().map(|gateway| &gateway.key).collect();
    out.kept.gateways.retain(|key, entry| {
        if !declared.contains(key) {
            entry.gone_since.get_or_insert(now);
        }
        !is_over(entry.gone_since, ttl, now)
    });
}

fn is_over(gone_since: Option<u64>, ttl: u64, now: u64) -> bool {
    gone_since.is_some_and(|since| since.saturating_add(ttl) <= now)
}

fn deadline(kept: &Kept, ttl: u64) -> Option<u64> {
    let routes = kept.gateways.values().flat_map(|gateway| gateway.routes.values());
    routes.filter_map(|route| route.gone_since).map(|since| since.saturating_add(ttl)).min()
}

/// When a workload was made, as far as is known.
fn age(workload: &crate::workload::Workload, kept: &Kept) -> u64 {
    let first_seen = || kept.workloads.get(&workload.identity()).map_or(u64::MAX, |seen| seen.first);
    workload.created.unwrap_or_else(first_seen)
}

/// A note about a gateway.
fn note(gateway: &Gateway, message: String) -> Note {
    Note { gateway: gateway.key.clone(), message }
}
