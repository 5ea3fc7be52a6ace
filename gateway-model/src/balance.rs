//! Which endpoint of a route takes a request.

use std::net::{IpAddr, SocketAddr};

use crate::{gateway::Balance, hash};

/// The choices of one worker for one route. Cheap to make; one per worker is enough for all routes, unless
/// `roundrobin` is to go round each route by itself.
#[derive(Clone, Debug)]
pub struct Chooser {
    random: u64,
    next: usize,
}

impl Chooser {
    /// A new one; `seed` tells workers apart.
    pub fn new(seed: u64) -> Self {
        Self { random: hash::finish(seed), next: hash::finish(seed) as u32 as usize }
    }

    /// An index into `endpoints`; `None` if there are none. `in_flight` tells how many requests (or
    /// connections) an endpoint of that index has. Does not allocate.
    pub fn choose(
        &mut self,
        balance: Balance,
        endpoints: &[SocketAddr],
        in_flight: impl Fn(usize) -> u32,
        client: IpAddr,
    ) -> Option<usize> {
        let count = endpoints.len();
        if count < 2 {
            return count.checked_sub(1);
        }
        Some(match balance {
            Balance::RoundRobin => {
                self.next = (self.next + 1) % count;
                self.next
            }
            Balance::Random => self.below(count),
            Balance::LeastConn => {
                // Ties go to a random one: many idle endpoints must not all leave the work to the first.
                let start = self.below(count);
                (0..count).map(|step| (start + step) % count).min_by_key(|index| in_flight(*index))?
            }
            Balance::P2c => {
                let first = self.below(count);
                let second = (first + 1 + self.below(count - 1)) % count;
                if in_flight(second) < in_flight(first) { second } else { first }
            }
            Balance::Maglev => {
                let client = hash_address(0, client);
                let score = |endpoint: &SocketAddr| {
                    hash::mix(client, hash_address(u64::from(endpoint.port()), endpoint.ip()))
                };
                (0..count).max_by_key(|index| score(&endpoints[*index]))?
            }
        })
    }

    /// A random number below `count` (`SplitMix64`).
    fn below(&mut self, count: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((u128::from(hash::finish(self.random)) * count as u128) >> 64) as usize
    }
}

fn hash_address(seed: u64, address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => hash::bytes(seed, &address.octets()),
        IpAddr::V6(address) => hash::bytes(seed, &address.octets()),
    }
}

#[cfg(test)]
mod tests;
