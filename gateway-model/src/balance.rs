//! Which endpoint of a route takes a request.
//!
//! * `roundrobin`: of any n picks in a row each of n endpoints has one.
//! * `leastconn`: one with the fewest in flight, equal ones with equal chances.
//! * `random`: any.
//! * `p2c`: of two taken at random never the busier one (Mitzenmacher, *The power of two choices*, 2001).
//! * `maglev`: by hash of the client. Without a table the endpoint with the highest hash of both (rendezvous):
//!   when one is gone only its clients move. Many endpoints want a [`Table`].

mod table;

use std::net::{IpAddr, SocketAddr};

pub use table::Table;

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
            Balance::LeastConn => self.least(count, in_flight),
            Balance::P2c => {
                let first = self.below(count);
                let second = (first + 1 + self.below(count - 1)) % count;
                if in_flight(second) < in_flight(first) { second } else { first }
            }
            Balance::Maglev => hash::rendezvous(hash::address(0, client), endpoints)?,
        })
    }

    /// The one with the fewest in flight; of equal ones each with the same chance, so that many idle endpoints
    /// do not leave the work to the first, nor those behind a busy one get its part.
    fn least(&mut self, count: usize, in_flight: impl Fn(usize) -> u32) -> usize {
        let (mut best, mut least, mut equal) = (0, in_flight(0), 1);
        for index in 1..count {
            let now = in_flight(index);
            if now < least {
                (best, least, equal) = (index, now, 1);
            } else if now == least {
                equal += 1;
                if self.below(equal) == 0 {
                    best = index;
                }
            }
        }
        best
    }

    /// A random number below `count` (`SplitMix64`).
    fn below(&mut self, count: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((u128::from(hash::finish(self.random)) * count as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests;
