//! A prepared table for `maglev`: a look-up is a hash and one read of memory, however many endpoints there are.
//!
//! Eisenbud et al., *Maglev: A Fast and Reliable Software Network Load Balancer*, NSDI 2016, section 3.4: the
//! endpoints take turns in taking the next free slot in an order of their own. The slots of any two endpoints
//! are equal in number within one. When one is gone its clients move, and less than 1 %
//! of the others.

use std::net::{IpAddr, SocketAddr};

use crate::hash;

/// Slots: a prime, the same for every count of endpoints, since another one would move nearly all clients. From
/// 655 endpoints on there are fewer than a hundred slots for each.
const SLOTS: u32 = 65_537;

/// Endpoints by client. A pure function of the set of endpoints, whatever their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// For each slot an index into the endpoints. Empty: there are none.
    slots: Box<[u16]>,
}

/// An endpoint's order of slots, and how far it has come.
struct Turn {
    index: u16,
    next: u32,
    step: u32,
}

impl Table {
    /// The table of these endpoints. Those past the first 65,536 are left out. Takes 128 KiB, and about a
    /// millisecond.
    pub fn new(endpoints: &[SocketAddr]) -> Self {
        let mut order: Vec<u16> = (0..=u16::MAX).take(endpoints.len()).collect();
        order.sort_by_key(|index| endpoints[usize::from(*index)]);
        let mut turns: Vec<Turn> = order
            .into_iter()
            .map(|index| {
                let id = hash::socket(&endpoints[usize::from(index)]);
                let below =
                    |salt, bound: u32| (u64::from(hash::mix(id, salt) as u32) * u64::from(bound)) >> 32;
                Turn { index, next: below(1, SLOTS) as u32, step: below(2, SLOTS - 1) as u32 + 1 }
            })
            .collect();
        Self { slots: fill(&mut turns) }
    }

    /// The endpoint of a client, as an index into the endpoints; `None` if there are none. Does not allocate.
    pub fn choose(&self, client: IpAddr) -> Option<usize> {
        let slot = (u128::from(hash::address(0, client)) * self.slots.len() as u128) >> 64;
        self.slots.get(slot as usize).map(|index| usize::from(*index))
    }
}

fn fill(turns: &mut [Turn]) -> Box<[u16]> {
    if turns.is_empty() {
        return Box::default();
    }
    let mut slots = vec![0; SLOTS as usize].into_boxed_slice();
    let mut taken = vec![false; SLOTS as usize];
    let mut free = SLOTS;
    loop {
        for turn in &mut *turns {
            while std::mem::replace(&mut taken[turn.next as usize], true) {
                turn.advance();
            }
            slots[turn.next as usize] = turn.index;
            free -= 1;
            if free == 0 {
                return slots;
            }
        }
    }
}

impl Turn {
    fn advance(&mut self) {
        self.next += self.step;
        if self.next >= SLOTS {
            self.next -= SLOTS;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endpoints(count: u32) -> Vec<SocketAddr> {
        (0..count)
            .map(|number| SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + number), 80)))
            .collect()
    }

    fn slots_of(table: &Table, count: usize) -> Vec<u32> {
        let mut counts = vec![0; count];
        table.slots.iter().for_each(|index| counts[usize::from(*index)] += 1);
        counts
    }

    #[test]
    fn slots_of_two_endpoints_are_equal_in_number_within_one() {
        for count in [1, 2, 3, 10, 100, 1_000, 65_536] {
            let counts = slots_of(&Table::new(&endpoints(count)), count as usize);
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{count} endpoints: {least} to {most} slots");
        }
        assert_eq!(Table::new(&[]).choose([192, 0, 2, 1].into()), None);
        assert_eq!(Table::new(&endpoints(65_537)), Table::new(&endpoints(65_536)));
    }

    #[test]
    fn an_endpoint_that_is_gone_moves_its_clients_and_few_others() {
        for (count, most) in [(2, 0.0), (10, 0.005), (100, 0.01), (1_000, 0.01)] {
            let all = endpoints(count);
            for gone in [0, all.len() / 2, all.len() - 1] {
                let mut fewer = all.clone();
                fewer.remove(gone);
                let (before, after) = (Table::new(&all), Table::new(&fewer));
                let moved = before.slots.iter().zip(&after.slots).filter(|(before, after)| {
                    let (before, after) = (usize::from(**before), usize::from(**after));
                    before != gone && all[before] != fewer[after]
                });
                #[expect(clippy::cast_precision_loss, reason = "a count of slots")]
                let moved = moved.count() as f64 / f64::from(SLOTS);
                assert!(moved <= most, "{count} endpoints without {gone}: {moved}");
            }
        }
    }

    proptest! {
        #![proptest_config(crate::tests::cases(64))]

        #[test]
        fn the_order_of_endpoints_does_not_matter(count in 1_u32..50, turn in 0_usize..50, client in any::<u32>()) {
            let all = endpoints(count);
            let mut turned = all.clone();
            turned.rotate_left(turn % all.len());
            turned.reverse();
            let client = IpAddr::V4(client.into());
            let (one, other) = (Table::new(&all).choose(client).unwrap(), Table::new(&turned).choose(client).unwrap());
            prop_assert_eq!(all[one], turned[other]);
        }
    }
}
