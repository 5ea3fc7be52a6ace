//! The rings of a gateway: one per address family, of the endpoints that the kernel can reach and that are ready.
//!
//! Where a route leads to another gateway, that one's routes take its place, with its share divided among them.

use std::{collections::HashMap, net::SocketAddr, rc::Rc, sync::Arc};

use super::l4::{L4Gateway, Ring};
use crate::{
    key::{GatewayKey, RouteName},
    resolve::{Endpoint, ResolvedGateway, ResolvedRoute},
    ring::{Memo, RingRoute},
    snapshot::Settings,
    weight::{self, Weight},
};

/// What a share of everything is in, where shares of shares are needed.
const WHOLE: u64 = 1_000_000_000;
/// Between the names of the routes on the way; not in a name.
const SEPARATOR: char = '\0';

/// What a gateway's rings were computed from, IPv4 and IPv6, then those of the endpoints on this node: one that would
/// come out the same is not computed again.
pub(super) type Rings = [Option<Arc<Input>>; 4];

/// What a ring was computed from, and what is worth knowing for the next one.
#[derive(Debug)]
pub(super) struct Input {
    size: u32,
    seed: u64,
    routes: Vec<RingRoute>,
    memo: Memo,
}

/// Which endpoints a ring is of.
#[derive(Clone, Copy, Debug)]
struct Scope {
    /// IPv6 ones, or IPv4 ones.
    is_v6: bool,
    /// Only those on this node.
    local_only: bool,
}

impl Scope {
    fn index(self) -> usize {
        usize::from(self.is_v6) + 2 * usize::from(self.local_only)
    }

    fn ring(self, gateway: &L4Gateway) -> Option<&Ring> {
        let local = gateway.local.as_ref();
        match (self.local_only, self.is_v6) {
            (false, false) => Some(&gateway.ring4),
            (false, true) => Some(&gateway.ring6),
            (true, false) => local.map(|rings| &rings.ring4),
            (true, true) => local.map(|rings| &rings.ring6),
        }
    }
}

/// Makes both rings, and where `wants_local` those of the endpoints on this node, or takes them from what was made
/// before.
pub(super) fn make(
    gateway: &ResolvedGateway,
    wants_local: bool,
    settings: Settings,
    known: Option<(&Rings, &Arc<L4Gateway>)>,
) -> (Rings, [Ring; 2], Option<[Ring; 2]>) {
    let make = |is_v6: bool, local_only: bool| {
        let scope = Scope { is_v6, local_only };
        let routes = contenders(gateway, scope);
        let Settings { ring_size: size, seed, .. } = settings;
        let known = known.and_then(|(inputs, old)| Some((inputs[scope.index()].as_ref()?, scope.ring(old)?)));
        if let Some((input, ring)) = known
            && (input.size, input.seed, &input.routes) == (size, seed, &routes)
        {
            return (input.clone(), ring.clone());
        }
        let mut memo = known.map(|(input, _)| input.memo.clone()).unwrap_or_default();
        let ring = memo.assign(size, seed, &routes);
        (Arc::new(Input { size, seed, routes, memo }), named_by_outer(ring))
    };
    let (v4, v6) = (make(false, false), make(true, false));
    let local = wants_local.then(|| (make(false, true), make(true, true)));
    let (local4, local6) = local.clone().map(|(v4, v6)| (v4.0, v6.0)).unzip();
    ([Some(v4.0), Some(v6.0), local4, local6], [v4.1, v6.1], local.map(|(v4, v6)| [v4.1, v6.1]))
}

/// The routes of a gateway that take part in its ring, with the endpoints that do.
fn contenders(gateway: &ResolvedGateway, scope: Scope) -> Vec<RingRoute> {
    if gateway.routes.iter().any(|route| route.chained.is_some()) {
        return chained_contenders(gateway, scope);
    }
    let routes = gateway.routes.iter().map(|route| (route, usable(route, scope)));
    let routes: Vec<(&ResolvedRoute, Vec<SocketAddr>)> = routes.collect();
    let lent = lend(gateway, routes.iter().map(|(_, endpoints)| !endpoints.is_empty()));
    let routes = routes.into_iter().zip(lent).filter(|(_, weight)| !weight.is_zero());
    routes
        .map(|((route, endpoints), weight)| {
            let weight = u64::from(weight.hundredths());
            RingRoute { name: route.name.clone(), weight, endpoints }
        })
        .collect()
}

fn usable(route: &ResolvedRoute, scope: Scope) -> Vec<SocketAddr> {
    let all = route.endpoints.iter();
    let in_scope =
        |one: &Endpoint| one.address.is_ipv6() == scope.is_v6 && (one.is_local || !scope.local_only);
    let usable = all.filter(|one| one.ready && one.usable_at_l4 && in_scope(one));
    usable.map(|one| one.address).collect()
}

fn lend(gateway: &ResolvedGateway, serves: impl Iterator<Item = bool>) -> Vec<Weight> {
    let weights: Vec<Weight> = gateway.routes.iter().map(|route| route.weight).collect();
    weight::lend(&weights, &serves.collect::<Vec<_>>())
}

/// A route at the end of chains: its gateway and name, its share of [`WHOLE`], its endpoints.
#[derive(Clone)]
struct Leaf {
    gateway: GatewayKey,
    route: RouteName,
    share: u64,
    endpoints: Rc<Vec<SocketAddr>>,
}

/// The routes at the ends of all chains; each is told apart by the outermost route that leads to it, its gateway
/// and its own name.
fn chained_contenders(gateway: &ResolvedGateway, scope: Scope) -> Vec<RingRoute> {
    let mut known = HashMap::new();
    let ways: Vec<Rc<Vec<Leaf>>> =
        gateway.routes.iter().map(|route| leaves_of_route(gateway, route, scope, &mut known)).collect();
    let shares = lend(gateway, ways.iter().map(|leaves| !leaves.is_empty()));
    let mut contenders = Vec::new();
    for ((route, leaves), share) in gateway.routes.iter().zip(ways).zip(shares) {
        for (leaf, share) in leaves.iter().zip(divide(share, &leaves)) {
            let name = match route.chained {
                Some(_) => format!("{}{SEPARATOR}{}{SEPARATOR}{}", route.name, leaf.gateway.name, leaf.route),
                None => route.name.0.clone(),
            };
            if share > 0 {
                let (name, endpoints) = (RouteName(name), leaf.endpoints.to_vec());
                contenders.push(RingRoute { name, weight: share, endpoints });
            }
        }
    }
    contenders
}

/// What a route's part of [`WHOLE`] leaves for each of its leaves.
fn divide(weight: Weight, leaves: &[Leaf]) -> Vec<u64> {
    let total = WHOLE * u64::from(weight.hundredths()) / u64::from(Weight::FULL.hundredths());
    weight::split(total, &leaves.iter().map(|leaf| leaf.share).collect::<Vec<_>>())
}

/// The leaves behind one route; their shares add up to [`WHOLE`], or there are none.
fn leaves_of_route(
    gateway: &ResolvedGateway,
    route: &ResolvedRoute,
    scope: Scope,
    known: &mut HashMap<GatewayKey, Rc<Vec<Leaf>>>,
) -> Rc<Vec<Leaf>> {
    if let Some(inner) = &route.chained {
        return leaves(inner, scope, known);
    }
    let endpoints = Rc::new(usable(route, scope));
    if endpoints.is_empty() {
        return Rc::default();
    }
    let (gateway, route) = (gateway.key.clone(), route.name.clone());
    Rc::new(vec![Leaf { gateway, route, share: WHOLE, endpoints }])
}

/// The leaves behind a gateway, each once.
fn leaves(
    gateway: &ResolvedGateway,
    scope: Scope,
    known: &mut HashMap<GatewayKey, Rc<Vec<Leaf>>>,
) -> Rc<Vec<Leaf>> {
    if let Some(leaves) = known.get(&gateway.key) {
        return leaves.clone();
    }
    let ways: Vec<Rc<Vec<Leaf>>> =
        gateway.routes.iter().map(|route| leaves_of_route(gateway, route, scope, known)).collect();
    let shares = lend(gateway, ways.iter().map(|leaves| !leaves.is_empty()));
    let mut all: Vec<Leaf> = Vec::new();
    for (leaves, share) in ways.iter().zip(shares) {
        for (leaf, share) in leaves.iter().zip(divide(share, leaves)).filter(|(_, share)| *share > 0) {
            let same = |other: &&mut Leaf| other.gateway == leaf.gateway && other.route == leaf.route;
            match all.iter_mut().find(same) {
                Some(other) => other.share += share,
                None => all.push(Leaf { share, ..leaf.clone() }),
            }
        }
    }
    let all = Rc::new(all);
    known.insert(gateway.key.clone(), all.clone());
    all
}

/// Users know endpoints by the gateway's own routes.
fn named_by_outer(ring: Ring) -> Ring {
    if !ring.members.iter().any(|(name, _)| name.0.contains(SEPARATOR)) {
        return ring;
    }
    let outer = |name: &RouteName| match name.0.split_once(SEPARATOR) {
        Some((outer, _)) => RouteName(outer.to_owned()),
        None => name.clone(),
    };
    let members = ring.members.iter().map(|(name, address)| (outer(name), *address)).collect();
    Ring { members, ..ring }
}
