//! The rings of a gateway: one per address family, of the endpoints that the kernel can reach and that are ready.
//!
//! Where a route leads to another gateway, that one's routes take its place, with its share divided among them.

use std::{collections::HashMap, net::SocketAddr, rc::Rc, sync::Arc};

use super::l4::{L4Gateway, Ring};
use crate::{
    key::{GatewayKey, RouteName},
    resolve::{ResolvedGateway, ResolvedRoute},
    ring::{Memo, RingRoute},
    snapshot::Settings,
    weight::{self, Weight},
};

/// What a share of everything is in, where shares of shares are needed.
const WHOLE: u64 = 1_000_000_000;
/// Between the names of the routes on the way; not in a name.
const SEPARATOR: char = '\0';

/// What a gateway's rings were computed from, IPv4 and IPv6: one that would come out the same is not computed
/// again.
pub(super) type Rings = [Option<Arc<Input>>; 2];

/// What a ring was computed from, and what is worth knowing for the next one.
#[derive(Debug)]
pub(super) struct Input {
    size: u32,
    seed: u64,
    routes: Vec<RingRoute>,
    memo: Memo,
}

/// Makes both rings, or takes them from what was made before.
pub(super) fn make(
    gateway: &ResolvedGateway,
    settings: Settings,
    known: Option<(&Rings, &Arc<L4Gateway>)>,
) -> (Rings, [Ring; 2]) {
    let make = |is_v6: bool| {
        let routes = contenders(gateway, is_v6);
        let Settings { ring_size: size, seed, .. } = settings;
        let known = known.and_then(|(inputs, old)| {
            Some((inputs[usize::from(is_v6)].as_ref()?, if is_v6 { &old.ring6 } else { &old.ring4 }))
        });
        if let Some((input, ring)) = known
            && (input.size, input.seed, &input.routes) == (size, seed, &routes)
        {
            return (input.clone(), ring.clone());
        }
        let mut memo = known.map(|(input, _)| input.memo.clone()).unwrap_or_default();
        let ring = memo.assign(size, seed, &routes);
        (Arc::new(Input { size, seed, routes, memo }), named_by_outer(ring))
    };
    let ((input4, ring4), (input6, ring6)) = (make(false), make(true));
    ([Some(input4), Some(input6)], [ring4, ring6])
}

/// The routes of a gateway that take part in its ring, with the endpoints that do.
fn contenders(gateway: &ResolvedGateway, is_v6: bool) -> Vec<RingRoute> {
    if gateway.routes.iter().any(|route| route.chained.is_some()) {
        return chained_contenders(gateway, is_v6);
    }
    let routes = gateway.routes.iter().map(|route| (route, usable(route, is_v6)));
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

fn usable(route: &ResolvedRoute, is_v6: bool) -> Vec<SocketAddr> {
    let all = route.endpoints.iter();
    let usable = all.filter(|one| one.ready && one.usable_at_l4 && one.address.is_ipv6() == is_v6);
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
fn chained_contenders(gateway: &ResolvedGateway, is_v6: bool) -> Vec<RingRoute> {
    let mut known = HashMap::new();
    let ways: Vec<Rc<Vec<Leaf>>> =
        gateway.routes.iter().map(|route| leaves_of_route(gateway, route, is_v6, &mut known)).collect();
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
    is_v6: bool,
    known: &mut HashMap<GatewayKey, Rc<Vec<Leaf>>>,
) -> Rc<Vec<Leaf>> {
    if let Some(inner) = &route.chained {
        return leaves(inner, is_v6, known);
    }
    let endpoints = Rc::new(usable(route, is_v6));
    if endpoints.is_empty() {
        return Rc::default();
    }
    let (gateway, route) = (gateway.key.clone(), route.name.clone());
    Rc::new(vec![Leaf { gateway, route, share: WHOLE, endpoints }])
}

/// The leaves behind a gateway, each once.
fn leaves(
    gateway: &ResolvedGateway,
    is_v6: bool,
    known: &mut HashMap<GatewayKey, Rc<Vec<Leaf>>>,
) -> Rc<Vec<Leaf>> {
    if let Some(leaves) = known.get(&gateway.key) {
        return leaves.clone();
    }
    let ways: Vec<Rc<Vec<Leaf>>> =
        gateway.routes.iter().map(|route| leaves_of_route(gateway, route, is_v6, known)).collect();
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
