//! Rings: which endpoint new connections of each slot go to.
//!
//! A pure function of routes, weights, endpoints and a seed, whatever their order, the same on every machine
//! (whole numbers only). Two levels, route then endpoint. At each level every slot is won by the contender with
//! the lowest score, where scores are exponentially distributed with the weight as rate (weighted rendezvous
//! hashing); then as few slots as possible change hands until the counts are right, those with the smallest
//! margin first. Routes are exact within one slot, endpoints within two slots or 2 %.

mod cost;
mod permutation;
mod race;

use std::{net::IpAddr, net::SocketAddr, sync::Arc};

use crate::{hash, key::RouteName, plan::l4::Ring, weight::Weight};

use permutation::Permutation;
use race::{Contender, Quota};

/// Largest ring.
pub const MAX_SIZE: u32 = 1 << 20;

/// A route's part in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingRoute {
    /// Its name.
    pub name: RouteName,
    /// Its weight; the weights of all are what matters, they need not add up to 100 %.
    pub weight: Weight,
    /// Endpoints that take new connections, of equal weight.
    pub endpoints: Vec<SocketAddr>,
}

/// Assigns the slots of a ring. `size` is brought up to a power of two of at most [`MAX_SIZE`]. Routes of
/// weight 0 and routes without endpoints get nothing; if there are no others, every slot refuses.
pub fn assign(size: u32, seed: u64, routes: &[RingRoute]) -> Ring {
    let size = size.clamp(1, MAX_SIZE).next_power_of_two();
    let mut usable: Vec<&RingRoute> =
        routes.iter().filter(|route| !route.weight.is_zero() && !route.endpoints.is_empty()).collect();
    usable.sort_by(|a, b| a.name.cmp(&b.name));
    usable.dedup_by(|a, b| a.name == b.name);
    if usable.is_empty() {
        return Ring::nobody(size);
    }
    let mut members: Vec<(RouteName, SocketAddr)> = Vec::new();
    let mut slots = vec![Ring::NOBODY; size as usize];
    for (route, won) in usable.iter().zip(assign_routes(size, seed, &usable)) {
        let mut endpoints = route.endpoints.clone();
        endpoints.sort_unstable();
        endpoints.dedup();
        let first = members.len() as u32;
        for (slot, winner) in won.iter().zip(assign_endpoints(size, seed, &endpoints, &won)) {
            slots[*slot as usize] = first + winner;
        }
        members.extend(endpoints.into_iter().map(|address| (route.name.clone(), address)));
    }
    Ring { members: Arc::from(members), slots: Arc::from(slots) }
}

/// The slots of each route, in ascending order.
fn assign_routes(size: u32, seed: u64, routes: &[&RingRoute]) -> Vec<Vec<u32>> {
    let all: Vec<u32> = (0..size).collect();
    if routes.len() == 1 {
        return vec![all];
    }
    let quotas = route_quotas(size, routes);
    let contenders: Vec<Contender> = routes
        .iter()
        .map(|route| {
            let id = hash::bytes(hash::mix(seed, 1), route.name.0.as_bytes());
            Contender::weighted(Permutation::new(size, id), id, route.weight)
        })
        .collect();
    let mut won = vec![Vec::new(); routes.len()];
    for (slot, winner) in race::run(size, &all, &contenders, &quotas).into_iter().enumerate() {
        won[winner as usize].push(slot as u32);
    }
    won
}

/// Exact shares of the slots by largest remainder; equal remainders go to the name that comes first. Routes that
/// would be left without a slot come before the others: a weight above 0 is not to mean nothing.
fn route_quotas(size: u32, routes: &[&RingRoute]) -> Vec<Quota> {
    let sum: u64 = routes.iter().map(|route| u64::from(route.weight.hundredths())).sum();
    let exact = |route: &RingRoute| u64::from(route.weight.hundredths()) * u64::from(size);
    let mut counts: Vec<u32> = routes.iter().map(|route| (exact(route) / sum) as u32).collect();
    let mut order: Vec<usize> = (0..routes.len()).collect();
    order.sort_by_key(|index| (counts[*index] > 0, std::cmp::Reverse(exact(routes[*index]) % sum)));
    let missing = size - counts.iter().sum::<u32>();
    for index in order.into_iter().take(missing as usize) {
        counts[index] += 1;
    }
    counts.into_iter().map(Quota::exactly).collect()
}

/// For each of a route's slots the index of an endpoint.
fn assign_endpoints(size: u32, seed: u64, endpoints: &[SocketAddr], slots: &[u32]) -> Vec<u32> {
    if endpoints.len() == 1 {
        return vec![0; slots.len()];
    }
    let contenders: Vec<Contender> = endpoints
        .iter()
        .map(|endpoint| {
            let id = endpoint_id(hash::mix(seed, 2), endpoint);
            Contender::equal(Permutation::new(size, id), id)
        })
        .collect();
    let quotas = vec![Quota::about(slots.len() as u32, endpoints.len() as u32); endpoints.len()];
    race::run(size, slots, &contenders, &quotas)
}

fn endpoint_id(seed: u64, endpoint: &SocketAddr) -> u64 {
    let seed = hash::mix(seed, u64::from(endpoint.port()));
    match endpoint.ip() {
        IpAddr::V4(address) => hash::bytes(seed, &address.octets()),
        IpAddr::V6(address) => hash::bytes(seed, &address.octets()),
    }
}

#[cfg(test)]
mod tests;
