//! Which of the declared gateways count, and in which order they are resolved: each after those that it chains to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use crate::{
    finding::Finding,
    gateway::{self, Gateway, Route},
    key::GatewayKey,
};

/// The declared gateways, by their places in the list of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    firsts: HashMap<GatewayKey, usize>,
    /// Those that are not declared already and not on a cycle, inner ones before outer ones.
    pub order: Vec<usize>,
    ranks: HashMap<usize, usize>,
    /// What is wrong with the others.
    pub findings: Vec<Finding>,
    /// By gateway those that chain to it.
    outers: HashMap<usize, Vec<usize>>,
}

impl Declared {
    /// From the list of all.
    pub(crate) fn new(gateways: &[Gateway]) -> Self {
        let mut declared = Self::default();
        for (index, gateway) in gateways.iter().enumerate() {
            let first = *declared.firsts.entry(gateway.key.clone()).or_insert(index);
            if first != index {
                declared.findings.push(gateway::repeated(gateway, &gateways[first]));
            }
        }
        let mut inners: BTreeMap<usize, Vec<(usize, &Route)>> = BTreeMap::new();
        for (index, gateway) in gateways.iter().enumerate() {
            if declared.get(&gateway.key) != Some(index) {
                continue;
            }
            for (key, route) in gateway.chained() {
                let Some(inner) = declared.get(&key) else { continue };
                inners.entry(index).or_default().push((inner, route));
                declared.outers.entry(inner).or_default().push(index);
            }
        }
        let all: BTreeSet<usize> = declared.firsts.values().copied().collect();
        declared.order = sort(&all, &inners, &declared.outers);
        if declared.order.len() < all.len() {
            let sorted: HashSet<usize> = declared.order.iter().copied().collect();
            let left = all.iter().filter(|index| !sorted.contains(index));
            let cycles: BTreeMap<usize, Vec<(usize, &Route)>> =
                left.filter_map(|index| Some((*index, find_cycle(*index, &inners)?))).collect();
            declared.findings.extend(cycles.iter().map(|(index, cycle)| describe(*index, cycle, gateways)));
            let rest = all.into_iter().filter(|index| !cycles.contains_key(index)).collect();
            declared.order = sort(&rest, &inners, &declared.outers);
        }
        declared.ranks = declared.order.iter().copied().zip(0..).collect();
        declared
    }

    /// Those that count, in the order declared.
    pub(crate) fn valid(&self) -> impl Iterator<Item = usize> {
        let mut valid = self.order.clone();
        valid.sort_unstable();
        valid.into_iter()
    }

    /// The place of a gateway.
    pub(crate) fn get(&self, key: &GatewayKey) -> Option<usize> {
        self.firsts.get(key).copied()
    }

    /// Whether a gateway is declared.
    pub(crate) fn contains(&self, key: &GatewayKey) -> bool {
        self.firsts.contains_key(key)
    }

    /// The names of all.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &GatewayKey> {
        self.firsts.keys()
    }

    /// Where in `order` one is, if it counts.
    pub(crate) fn rank(&self, index: usize) -> Option<usize> {
        self.ranks.get(&index).copied()
    }

    /// Where in `order` those are that chain to a gateway.
    pub(crate) fn outer_ranks(&self, inner: usize) -> impl Iterator<Item = usize> {
        self.outers.get(&inner).into_iter().flatten().filter_map(|outer| self.rank(*outer))
    }
}

/// Inner gateways before outer ones, otherwise in the order declared; what is on a cycle, or leads to one, is left
/// out.
fn sort(
    all: &BTreeSet<usize>,
    inners: &BTreeMap<usize, Vec<(usize, &Route)>>,
    outers: &HashMap<usize, Vec<usize>>,
) -> Vec<usize> {
    let waits = |index: &usize| {
        let inners = inners.get(index).map(Vec::as_slice).unwrap_or_default();
        inners.iter().filter(|(inner, _)| all.contains(inner)).count()
    };
    let mut waiting: HashMap<usize, usize> =
        all.iter().map(|index| (*index, waits(index))).filter(|(_, count)| *count > 0).collect();
    let mut ready: BTreeSet<usize> =
        all.iter().filter(|index| !waiting.contains_key(index)).copied().collect();
    let mut order = Vec::with_capacity(all.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for outer in outers.get(&index).into_iter().flatten() {
            let Some(count) = waiting.get_mut(outer) else { continue };
            *count -= 1;
            if *count == 0 {
                waiting.remove(outer);
                ready.insert(*outer);
            }
        }
    }
    order
}

/// The shortest way from a gateway back to itself: what each step leads to, and the route that it takes.
fn find_cycle<'a>(
    start: usize,
    inners: &BTreeMap<usize, Vec<(usize, &'a Route)>>,
) -> Option<Vec<(usize, &'a Route)>> {
    let mut came_from: HashMap<usize, (usize, &Route)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(index) = queue.pop_front() {
        for (inner, route) in inners.get(&index).into_iter().flatten() {
            if *inner == start {
                let mut way = vec![(start, *route)];
                let mut at = index;
                while at != start {
                    let (before, route) = came_from[&at];
                    way.push((at, route));
                    at = before;
                }
                way.reverse();
                return Some(way);
            }
            came_from.entry(*inner).or_insert_with(|| {
                queue.push_back(*inner);
                (index, route)
            });
        }
    }
    None
}

fn describe(index: usize, cycle: &[(usize, &Route)], gateways: &[Gateway]) -> Finding {
    let gateway = &gateways[index];
    let names = cycle.iter().map(|(inner, _)| gateways[*inner].key.name.as_str());
    let names: Vec<&str> = std::iter::once(gateway.key.name.as_str()).chain(names).collect();
    let place = cycle.first().map_or(&gateway.place, |(_, route)| &route.place);
    Finding::error(
        "gateway-cycle",
        format!("its routes lead in a circle: {}", names.join(" -> ")),
        "remove one of these routes, or give it a `selector`",
    )
    .at(place)
    .of(&gateway.key)
}
