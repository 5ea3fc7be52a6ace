//! Rings: which endpoint new connections of each slot go to.
//!
//! A pure function of routes, weights, endpoints and a seed, whatever their order, the same on every machine
//! (whole numbers only). Two levels, route then endpoint. At each level contenders ask for slots in pseudo-random
//! orders of their own (`race`): a slot costs somebody the more the later he asks for it, routes the logarithm of
//! an exponentially distributed score, so that without quotas this is weighted rendezvous hashing. The ring is
//! **the cheapest sharing that keeps the quotas** (`quota`): routes exact within one slot, endpoints within two
//! slots or 2 %. As there is only one, it can be reached from anywhere (`repair`): from nothing, or from the ring
//! before an edit ([`Memo`]). Adding an endpoint and taking it away again gives the same ring.
//!
//! # What moves
//!
//! An edit moves the slots that must change hands because shares do, and some more: random orders give nobody
//! exactly his share, and what puts that right for one set of endpoints is not what puts it right for the next.
//! A share of `m` slots is off by about `sqrt(m / 2)`, so in parts of the ring this excess is in proportion to
//! `sqrt(endpoints / size)`: only a larger ring makes it smaller, until tolerance covers it. Percent of all slots
//! beyond those that must move if all shares are exact, mean and most over 200, 50 and 20 seeds
//! (`cargo bench -p gateway-model --bench rings excess`):
//!
//! | edit                                       | 4,096 slots | 16,384     | 65,536     |
//! |--------------------------------------------|-------------|------------|------------|
//! | one endpoint more than 2                   | 0.04, 0.85  | 0.01, 0.51 | 0.00, 0.24 |
//! | one endpoint more than 10                  | 0.47, 0.94  | 0.10, 0.33 | 0.00, 0.11 |
//! | one endpoint more than 41                  | 0.96, 1.28  | 0.33, 0.48 | 0.08, 0.15 |
//! | one endpoint more than 100                 | 1.27, 1.77  | 0.49, 0.60 | 0.16, 0.20 |
//! | one endpoint more than 300                 | 0.98, 1.65  | 0.73, 0.90 | 0.26, 0.30 |
//! | one endpoint more than 1,000               | 0.18, 0.56  | 0.41, 0.61 | 0.38, 0.43 |
//! | 10 routes of 10, one endpoint more         | 0.21, 0.44  | 0.11, 0.23 | 0.03, 0.06 |
//! | 2 routes of 1, any weights                 | 0, 0        | 0, 0       | 0, 0       |
//! | 2 routes of 2, a weight from 5 to 20 %     | 0.12, 0.65  | 0.04, 0.25 | 0.00, 0.02 |
//! | 2 routes of 10, a weight from 5 to 20 %    | 1.04, 1.72  | 0.38, 0.58 | 0.10, 0.18 |
//! | 2 routes of 10, a weight from 20 to 50 %   | 1.74, 2.86  | 0.65, 0.96 | 0.14, 0.29 |
//! | 10 routes of 10, one weight from 5 to 10 % | 2.67, 3.34  | 1.22, 1.49 | 0.47, 0.59 |
//! | 10 routes of 10, one route more            | 3.13, 3.97  | 1.47, 1.81 | 0.59, 0.72 |
//!
//! So of 65,536 slots at most half a percent too much moves when one of up to 300 endpoints comes or goes (of up to
//! 1,000: six tenths, which about 800 reach), or when two routes of up to 10 endpoints change weights; smaller rings,
//! and edits that touch very many endpoints, move more.
//!
//! Source: D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on
//! Networking 6, 1998 (rendezvous hashing). `repair` names its own.

mod approach;
mod cost;
mod few;
mod holding;
mod level;
mod many;
mod memo;
mod offers;
mod part;
mod permutation;
mod quota;
mod race;
mod repair;
mod tickets;

use std::net::SocketAddr;

use crate::{key::RouteName, plan::l4::Ring};

pub use memo::Memo;

/// Largest ring.
pub const MAX_SIZE: u32 = 1 << 16;

/// A route's part in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingRoute {
    /// Its name.
    pub name: RouteName,
    /// Its weight in any unit: what matters is its share of the sum of all.
    pub weight: u64,
    /// Endpoints that take new connections, of equal weight.
    pub endpoints: Vec<SocketAddr>,
}

/// Assigns the slots of a ring. `size` is brought up to a power of two of at most [`MAX_SIZE`]. Routes of
/// weight 0 and routes without endpoints get nothing; if there are no others, every slot refuses.
pub fn assign(size: u32, seed: u64, routes: &[RingRoute]) -> Ring {
    Memo::default().assign(size, seed, routes)
}

/// The smallest size of which one endpoint that comes or goes moves at most 0.5 % of slots more than it must, on
/// average over seeds, if a gateway has up to so many; the table above has the most. Changing the size of a ring
/// moves nearly all of its slots, so this is for a number that seldom changes, such as the endpoints that a gateway
/// is meant to have.
pub fn size_for(endpoints: usize) -> u32 {
    match endpoints {
        0..=10 => 4_096,
        11..=100 => 16_384,
        _ => MAX_SIZE,
    }
}

fn round_size(size: u32) -> u32 {
    size.clamp(1, MAX_SIZE).next_power_of_two()
}

#[cfg(test)]
mod tests;
