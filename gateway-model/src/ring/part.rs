//! The route level: which routes take part, and which slots each of them has.

use std::net::{IpAddr, SocketAddr};

use super::{MAX_SIZE, RingRoute, level, quota::Quota, race::Race};
use crate::{hash, key::RouteName, plan::l4::Ring};

/// A route that takes part: it has a weight, and endpoints in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: RouteName,
    pub(super) weight: u64,
    pub(super) endpoints: Vec<SocketAddr>,
}

/// The routes that take part, by name.
pub(super) fn usable(routes: &[RingRoute]) -> Vec<Part> {
    let usable = routes.iter().filter(|route| route.weight > 0 && !route.endpoints.is_empty());
    let mut parts: Vec<Part> = usable.map(Part::new).collect();
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    parts.dedup_by(|a, b| a.name == b.name);
    if parts.iter().map(|part| part.endpoints.len()).sum::<usize>() > Ring::MEMBERS {
        // More than the kernel has room for, but whoever asks for a plan gets one.
        let each = (Ring::MEMBERS / parts.len()).max(1);
        for part in &mut parts {
            part.endpoints.truncate(each);
        }
        parts.truncate(Ring::MEMBERS);
    }
    parts
}

/// Whether each part has the same slots in both.
pub(super) fn have_same_shares(old: &[Part], new: &[Part]) -> bool {
    let share = |part: &Part| (part.weight, part.name.clone());
    old.len() == new.len() && old.iter().map(share).eq(new.iter().map(share))
}

/// The slots of each part, in ascending order.
pub(super) fn share_slots(size: u32, seed: u64, parts: &[Part]) -> Vec<Vec<u32>> {
    let all: Vec<u32> = (0..size).collect();
    if parts.len() == 1 {
        return vec![all];
    }
    let ids: Vec<u64> =
        parts.iter().map(|part| hash::bytes(hash::mix(seed, 1), part.name.0.as_bytes())).collect();
    let weights: Vec<u64> = parts.iter().map(|part| part.weight).collect();
    let owners = level::share(&Race::by_weight(size, &ids, &weights), &all, &Quota::exactly(size, &weights));
    collect(parts.len(), owners.into_iter())
}

/// The slots that each part has in a ring of these parts, of which each slot has a member.
pub(super) fn slots_of(members: &[u16], parts: &[Part]) -> Vec<Vec<u32>> {
    let part_of: Vec<u32> =
        parts.iter().zip(0..).flat_map(|(part, index)| part.endpoints.iter().map(move |_| index)).collect();
    collect(parts.len(), members.iter().map(|member| part_of[usize::from(*member)]))
}

fn collect(parts: usize, owners: impl Iterator<Item = u32>) -> Vec<Vec<u32>> {
    let mut slots = vec![Vec::new(); parts];
    for (owner, slot) in owners.zip(0..) {
        slots[owner as usize].push(slot);
    }
    slots
}

/// What each contender of a race of equals is to have of so many slots.
pub(super) fn quotas(race: &Race, slots: u32) -> Vec<Quota> {
    (0..race.len()).map(|who| Quota::about(slots, race.len() as u32, race.id(who))).collect()
}

impl Part {
    fn new(route: &RingRoute) -> Self {
        let mut endpoints = route.endpoints.clone();
        endpoints.sort_unstable();
        endpoints.dedup();
        // Many times what could have a slot; the others are as good as these.
        endpoints.truncate(MAX_SIZE as usize);
        Self { name: route.name.clone(), weight: route.weight, endpoints }
    }

    /// The race of its endpoints for its slots.
    pub(super) fn race(&self, size: u32, seed: u64) -> Race {
        let id = |endpoint: &SocketAddr| {
            let seed = hash::mix(hash::mix(seed, 2), u64::from(endpoint.port()));
            match endpoint.ip() {
                IpAddr::V4(address) => hash::bytes(seed, &address.octets()),
                IpAddr::V6(address) => hash::bytes(seed, &address.octets()),
            }
        };
        Race::of_equals(size, &self.endpoints.iter().map(id).collect::<Vec<u64>>())
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.name.0.capacity() + self.endpoints.capacity() * size_of::<SocketAddr>() + size_of::<Self>()
    }
}
