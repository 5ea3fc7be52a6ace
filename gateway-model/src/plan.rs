//! What is to be in force: [`l4`] for the kernel, [`l7`] for the proxy. A pure function of what was resolved.

pub mod diff;
pub mod l4;
pub mod l7;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use self::{
    l4::{Frontend, L4Gateway, L4Plan, L4Route, Ring, Target},
    l7::{Entry, L7Condition, L7Gateway, L7Route, RouteTable},
};
use crate::{
    key::{GatewayKey, Protocol},
    resolve::{Layer, Resolved, ResolvedGateway},
    ring::{self, RingRoute},
    snapshot::SHARED_PORT,
    weight::{self, Weight},
};

/// Both halves of what is to be in force.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// For the kernel.
    pub l4: L4Plan,
    /// For the proxy.
    pub l7: Arc<RouteTable>,
    /// What each ring was computed from: one that would come out the same is not computed again.
    rings: BTreeMap<(GatewayKey, Family), Arc<RingInput>>,
}

/// Address family of frontends and endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

/// What a ring is computed from.
#[derive(Debug, PartialEq)]
struct RingInput {
    size: u32,
    seed: u64,
    routes: Vec<RingRoute>,
}

/// Makes the plan; what has not changed since `previous` is shared with it.
pub fn plan(resolved: &Resolved, previous: Option<&Plan>) -> Plan {
    let mut plan = Plan::default();
    let mut table = RouteTable::default();
    let known: HashMap<&GatewayKey, &Arc<L7Gateway>> =
        previous.iter().flat_map(|plan| plan.l7.gateways()).map(|gateway| (&gateway.key, gateway)).collect();
    let nobody = Ring::nobody(resolved.settings.ring_size);
    for gateway in &resolved.gateways {
        let by_request = gateway.layer == Layer::Request;
        if by_request || !gateway.hosts.is_empty() {
            let fresh = plan_l7(gateway);
            let shared = known.get(&gateway.key).filter(|old| ****old == fresh).map(|old| (*old).clone());
            enter(&mut table, gateway, &shared.unwrap_or_else(|| Arc::new(fresh)), &resolved.addresses);
        }
        let mut ring = |family| {
            if by_request {
                nobody.clone()
            } else {
                plan_ring(gateway, family, resolved, previous, &mut plan.rings)
            }
        };
        let (ring4, ring6) = (ring(Family::V4), ring(Family::V6));
        let l4 = L4Gateway {
            frontends: frontends(&resolved.addresses, gateway.port, gateway.kind.protocol()),
            target: if by_request { Target::Agent } else { Target::Ring },
            routes: plan_routes(gateway),
            ring4,
            ring6,
        };
        plan.l4.gateways.insert(gateway.key.clone(), l4);
    }
    if !table.hosts.is_empty() || !table.wildcards.is_empty() {
        let shared = L4Gateway {
            frontends: frontends(&resolved.addresses, SHARED_PORT, Protocol::Tcp),
            target: Target::Agent,
            routes: BTreeMap::new(),
            ring4: nobody.clone(),
            ring6: nobody,
        };
        table.frontends.extend(shared.frontends.iter().map(|frontend| (frontend.address, Entry::Shared)));
        plan.l4.gateways.insert(GatewayKey::shared(), shared);
    }
    plan.l7 = Arc::new(table);
    plan
}

fn frontends(addresses: &[IpAddr], port: u16, protocol: Protocol) -> BTreeSet<Frontend> {
    let frontend =
        |address: &IpAddr| Frontend { address: SocketAddr::new(address.to_canonical(), port), protocol };
    addresses.iter().map(frontend).collect()
}

fn plan_routes(gateway: &ResolvedGateway) -> BTreeMap<crate::key::RouteName, L4Route> {
    let route = |route: &crate::resolve::ResolvedRoute| L4Route {
        endpoints: route.endpoints.iter().map(|endpoint| endpoint.address).collect(),
    };
    gateway.routes.iter().map(|one| (one.name.clone(), route(one))).collect()
}

/// Enters a gateway under its hosts, and under its own port where the proxy serves that.
fn enter(table: &mut RouteTable, gateway: &ResolvedGateway, entry: &Arc<L7Gateway>, addresses: &[IpAddr]) {
    for host in &gateway.hosts {
        match host.wildcard() {
            Some(suffix) => table.wildcards.insert(suffix.to_owned(), entry.clone()),
            None => table.hosts.insert(host.as_str().to_owned(), entry.clone()),
        };
    }
    if gateway.layer == Layer::Request {
        for frontend in frontends(addresses, gateway.port, Protocol::Tcp) {
            table.frontends.insert(frontend.address, Entry::Gateway(entry.clone()));
        }
    }
}

fn plan_l7(gateway: &ResolvedGateway) -> L7Gateway {
    let routes = gateway.routes.iter().map(|route| L7Route {
        name: route.name.clone(),
        weight: route.lent,
        balance: route.balance,
        endpoints: route.endpoints.iter().filter(|one| one.ready).map(|one| one.address).collect(),
    });
    let conditions = gateway.order.iter().filter_map(|index| {
        let route = gateway.routes.get(*index)?;
        let condition = route.condition.clone()?;
        Some(L7Condition { route: *index, strength: route.strength, condition })
    });
    L7Gateway::new(gateway.key.clone(), routes.collect(), conditions.collect())
}

/// The ring of one family: of the endpoints that the kernel can reach, the ready ones.
fn plan_ring(
    gateway: &ResolvedGateway,
    family: Family,
    resolved: &Resolved,
    previous: Option<&Plan>,
    inputs: &mut BTreeMap<(GatewayKey, Family), Arc<RingInput>>,
) -> Ring {
    let routes = gateway.routes.iter().map(|route| {
        let usable = route
            .endpoints
            .iter()
            .filter(|one| one.ready && one.usable_at_l4 && one.address.is_ipv4() == (family == Family::V4));
        (route, usable.map(|one| one.address).collect::<Vec<SocketAddr>>())
    });
    let routes: Vec<_> = routes.collect();
    let weights: Vec<Weight> = routes.iter().map(|(route, _)| route.weight).collect();
    let serves: Vec<bool> = routes.iter().map(|(_, endpoints)| !endpoints.is_empty()).collect();
    let routes = routes.into_iter().zip(weight::lend(&weights, &serves));
    let routes: Vec<RingRoute> = routes
        .filter(|(_, weight)| !weight.is_zero())
        .map(|((route, endpoints), weight)| RingRoute { name: route.name.clone(), weight, endpoints })
        .collect();
    let input = RingInput { size: resolved.settings.ring_size, seed: resolved.settings.seed, routes };
    let key = (gateway.key.clone(), family);
    let old = previous.and_then(|plan| {
        let old = plan.rings.get(&key).filter(|old| ***old == input)?;
        let gateway = plan.l4.gateways.get(&gateway.key)?;
        let ring = if family == Family::V4 { &gateway.ring4 } else { &gateway.ring6 };
        Some((old.clone(), ring.clone()))
    });
    let (input, ring) = old.unwrap_or_else(|| {
        let ring = ring::assign(input.size, input.seed, &input.routes);
        (Arc::new(input), ring)
    });
    inputs.insert(key, input);
    ring
}

#[cfg(test)]
mod tests;
