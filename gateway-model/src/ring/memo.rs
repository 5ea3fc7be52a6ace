//! Rings that are computed again and again as endpoints come and go.

use std::net::SocketAddr;

use super::{
    RingRoute,
    level::{self, Crowd},
    part::{self, Part},
};
use crate::plan::l4::{Ring, Slots};

/// What is worth knowing of a ring when the next one is computed. The ring that [`Memo::assign`] gives is always
/// that of [`assign`](super::assign); it only comes sooner where little has changed:
///
/// * While names and weights of routes with endpoints stay, routes keep their slots, and routes whose endpoints
///   stay are not looked at. This costs the names and addresses: slots are shared with the ring.
/// * A route of more than 24 endpoints also keeps who could have which of its slots, about 100 bytes for each.
///   An endpoint that comes or goes then only moves what it has to.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    last: Option<Last>,
}

#[derive(Clone, Debug)]
struct Last {
    seed: u64,
    ring: Ring,
    parts: Vec<Part>,
    /// Parallel to `parts`.
    crowds: Vec<Option<Crowd>>,
}

impl Memo {
    /// The ring for these routes, as [`assign`](super::assign) gives it.
    pub fn assign(&mut self, size: u32, seed: u64, routes: &[RingRoute]) -> Ring {
        let size = super::round_size(size);
        let parts = part::usable(routes);
        if parts.is_empty() {
            self.last = None;
            return Ring::nobody(size);
        }
        let last =
            self.last.take().filter(|last| last.seed == seed && last.ring.slots.len() == size as usize);
        let last = match last {
            Some(last) if last.parts == parts => last,
            Some(last) if part::have_same_shares(&last.parts, &parts) => last.change(parts),
            _ => Last::new(size, seed, parts),
        };
        self.last.insert(last).ring.clone()
    }

    /// Bytes on the heap that are not shared with the ring.
    pub fn bytes(&self) -> usize {
        let Some(last) = &self.last else { return 0 };
        let crowds: usize = last.crowds.iter().flatten().map(Crowd::bytes).sum();
        crowds + last.parts.iter().map(Part::bytes).sum::<usize>()
    }
}

impl Last {
    fn new(size: u32, seed: u64, parts: Vec<Part>) -> Self {
        let mut writer = Writer::new(size);
        let mut crowds = Vec::with_capacity(parts.len());
        for (part, slots) in parts.iter().zip(part::share_slots(size, seed, &parts)) {
            let crowd = writer.share(seed, part, &slots);
            crowds.push(crowd);
        }
        Self { seed, ring: writer.finish(&parts), parts, crowds }
    }

    /// With parts that have the same slots, but other endpoints.
    fn change(self, parts: Vec<Part>) -> Self {
        let mut writer = Writer::new(self.ring.slots.len() as u32);
        let mut crowds = Vec::with_capacity(parts.len());
        let words: Vec<u16> = self.ring.slots.iter().collect();
        let slots = part::slots_of(&words, &self.parts);
        let mut first = 0;
        for ((part, old), (slots, crowd)) in
            parts.iter().zip(&self.parts).zip(slots.into_iter().zip(self.crowds))
        {
            crowds.push(if part == old {
                let owners = slots.iter().map(|slot| u32::from(words[*slot as usize]) - first);
                writer.write(part, &slots, owners);
                crowd
            } else {
                match crowd.and_then(|crowd| change_crowd(crowd, self.seed, old, part, &slots)) {
                    Some(crowd) => {
                        writer.write(part, &slots, crowd.owners());
                        Some(crowd)
                    }
                    None => writer.share(self.seed, part, &slots),
                }
            });
            first += old.endpoints.len() as u32;
        }
        Self { seed: self.seed, ring: writer.finish(&parts), parts, crowds }
    }
}

/// The crowd with other endpoints; none where so many have changed that it is better made anew.
fn change_crowd(crowd: Crowd, seed: u64, old: &Part, new: &Part, slots: &[u32]) -> Option<Crowd> {
    let before: Vec<Option<u32>> = new
        .endpoints
        .iter()
        .map(|endpoint| old.endpoints.binary_search(endpoint).ok().map(|index| index as u32))
        .collect();
    let kept = before.iter().flatten().count();
    let changed = new.endpoints.len() - kept + old.endpoints.len() - kept;
    let race = new.race(crowd.size(), seed);
    if changed > 1 + kept / 16 || !level::is_crowd(&race) {
        return None;
    }
    let quotas = part::quotas(&race, slots.len() as u32);
    Some(crowd.change(&race, &before, &quotas))
}

/// A ring in the making.
struct Writer {
    slots: Vec<u16>,
    first: u32,
}

impl Writer {
    fn new(size: u32) -> Self {
        Self { slots: vec![Slots::NOBODY; size as usize], first: 0 }
    }

    /// Enters the next part, of which the owner of each slot is known.
    fn write(&mut self, part: &Part, slots: &[u32], owners: impl Iterator<Item = u32>) {
        for (slot, owner) in slots.iter().zip(owners) {
            self.slots[*slot as usize] = (self.first + owner) as u16;
        }
        self.first += part.endpoints.len() as u32;
    }

    /// Enters the next part after sharing its slots from nothing.
    fn share(&mut self, seed: u64, part: &Part, slots: &[u32]) -> Option<Crowd> {
        let race = part.race(self.slots.len() as u32, seed);
        let quotas = part::quotas(&race, slots.len() as u32);
        if level::is_crowd(&race) {
            let crowd = Crowd::new(&race, slots, &quotas);
            self.write(part, slots, crowd.owners());
            return Some(crowd);
        }
        let owners = level::share(&race, slots, &quotas);
        self.write(part, slots, owners.into_iter());
        None
    }

    fn finish(self, parts: &[Part]) -> Ring {
        let member = |part: &Part| {
            let name = part.name.clone();
            part.endpoints.clone().into_iter().map(move |address: SocketAddr| (name.clone(), address))
        };
        Ring { members: parts.iter().flat_map(member).collect(), slots: self.slots.into() }
    }
}
