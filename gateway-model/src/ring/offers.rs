//! Who could have which slot instead of its owner, and at what price.

use super::{holding::Holding, race::Race, tickets::Tickets};

/// A slot that could change hands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// Its new owner, or its present one: the other side of who was asked.
    pub(super) other: u32,
    /// What it costs more than now.
    pub(super) extra: i64,
    /// The slot's index.
    pub(super) index: u32,
}

/// Finds offers.
pub(super) trait Offers {
    /// Shows offers of an owner's slots, slot by slot: at least the cheapest of each. `show` says from which extra
    /// on the slot's other offers are not wanted.
    fn all_of(&self, holding: &Holding, owner: u32, show: impl FnMut(Offer) -> i64);
    /// Shows every offer to a contender.
    fn all_to(&self, holding: &Holding, taker: u32, show: impl FnMut(Offer));
    /// What comes next are calls of the following three.
    fn prepare(&mut self, holding: &Holding);
    /// Shows offers of an owner: at least the cheapest to each other contender, if it is below `limit`.
    fn best_of(&self, holding: &Holding, owner: u32, limit: i64, show: impl FnMut(Offer));
    /// Shows offers to a contender: at least the cheapest of each owner, if it is below `limit` of the owner.
    fn best_to(&self, holding: &Holding, taker: u32, limit: impl Fn(u32) -> i64, show: impl FnMut(Offer));
    /// Takes note that a slot has changed hands.
    fn moved(&mut self, holding: &Holding, index: u32, from: u32, to: u32);
}

/// Offers among few contenders: what every slot costs everybody is looked up once, and the cheapest offer of each
/// to each is kept up to date.
pub(super) struct Few {
    count: usize,
    /// By slot, then by contender.
    costs: Vec<i64>,
    /// By owner, then by taker.
    best: Vec<(i64, u32)>,
}

const NONE: (i64, u32) = (i64::MAX, u32::MAX);

impl Few {
    /// With the holding in which everybody has what costs least.
    pub(super) fn new(race: &Race, slots: Vec<u32>) -> (Self, Holding) {
        let count = race.len();
        let mut all = vec![0; slots.len() * count];
        // Blocks that stay in the nearest cache.
        for (slots, costs) in slots.chunks(64).zip(all.chunks_mut(64 * count)) {
            for who in 0..count {
                race.costs(who, slots, costs[who..].iter_mut().step_by(count));
            }
        }
        let least =
            |best: (i64, u32), (cost, who): (&i64, u32)| if *cost < best.0 { (*cost, who) } else { best };
        let cheapest = |costs: &[i64]| costs.iter().zip(0..).fold(NONE, least);
        let (costs, owners) = all.chunks_exact(count).map(cheapest).unzip();
        (Self { count, costs: all, best: Vec::new() }, Holding::with_costs(slots, owners, costs, count))
    }

    fn costs(&self, index: u32) -> &[i64] {
        &self.costs[index as usize * self.count..][..self.count]
    }

    fn note(&mut self, holding: &Holding, index: u32) {
        let owner = holding.owners[index as usize] as usize;
        let now = holding.costs[index as usize];
        let costs = &self.costs[index as usize * self.count..][..self.count];
        for (best, cost) in self.best[owner * self.count..][..self.count].iter_mut().zip(costs) {
            if *cost - now < best.0 {
                *best = (*cost - now, index);
            }
        }
    }
}

impl Offers for Few {
    fn all_of(&self, holding: &Holding, owner: u32, mut show: impl FnMut(Offer) -> i64) {
        for index in &holding.owned[owner as usize] {
            let now = holding.costs[*index as usize];
            for (cost, other) in self.costs(*index).iter().zip(0..) {
                if other != owner {
                    show(Offer { other, extra: cost - now, index: *index });
                }
            }
        }
    }

    fn all_to(&self, holding: &Holding, taker: u32, mut show: impl FnMut(Offer)) {
        let costs = self.costs.iter().skip(taker as usize).step_by(self.count);
        for (((owner, now), cost), index) in holding.owners.iter().zip(&holding.costs).zip(costs).zip(0..) {
            if *owner != taker {
                show(Offer { other: *owner, extra: cost - now, index });
            }
        }
    }

    fn prepare(&mut self, holding: &Holding) {
        self.best = vec![NONE; self.count * self.count];
        for index in 0..holding.slots.len() as u32 {
            self.note(holding, index);
        }
    }

    fn best_of(&self, _: &Holding, owner: u32, _: i64, mut show: impl FnMut(Offer)) {
        let count = self.count;
        for ((extra, index), other) in self.best[owner as usize * count..][..count].iter().zip(0..) {
            if *index != u32::MAX && other != owner {
                show(Offer { other, extra: *extra, index: *index });
            }
        }
    }

    fn best_to(&self, _: &Holding, taker: u32, _: impl Fn(u32) -> i64, mut show: impl FnMut(Offer)) {
        let row = self.best.iter().skip(taker as usize).step_by(self.count);
        for ((extra, index), other) in row.zip(0..) {
            if *index != u32::MAX && other != taker {
                show(Offer { other, extra: *extra, index: *index });
            }
        }
    }

    fn moved(&mut self, holding: &Holding, index: u32, from: u32, _: u32) {
        self.note(holding, index);
        for taker in (0..self.count).filter(|taker| *taker != from as usize) {
            let place = from as usize * self.count + taker;
            if self.best[place].1 == index {
                let offer = |index: &u32| {
                    (
                        self.costs[*index as usize * self.count + taker] - holding.costs[*index as usize],
                        *index,
                    )
                };
                self.best[place] = holding.owned[from as usize].iter().map(offer).min().unwrap_or(NONE);
            }
        }
    }
}

/// Offers among many contenders: looked up among tickets each time.
pub(super) struct Many<'a> {
    pub(super) race: &'a Race,
    pub(super) tickets: &'a Tickets,
}

impl Offers for Many<'_> {
    fn all_of(&self, holding: &Holding, owner: u32, mut show: impl FnMut(Offer) -> i64) {
        for index in &holding.owned[owner as usize] {
            let (slot, now) = (holding.slots[*index as usize], holding.costs[*index as usize]);
            let mut limit = i64::MAX;
            for ticket in self.tickets.of(*index) {
                if Race::least_cost(ticket.rank()) - now >= limit {
                    break;
                }
                let other = ticket.contender();
                if other != owner {
                    let extra = self.race.cost(other as usize, slot, ticket.rank()) - now;
                    limit = show(Offer { other, extra, index: *index });
                }
            }
        }
    }

    fn all_to(&self, holding: &Holding, taker: u32, mut show: impl FnMut(Offer)) {
        self.tickets.held_by(self.race, &holding.slots, taker, |index, rank| {
            let other = holding.owners[index as usize];
            if other != taker {
                let cost = self.race.cost(taker as usize, holding.slots[index as usize], rank);
                show(Offer { other, extra: cost - holding.costs[index as usize], index });
            }
        });
    }

    fn prepare(&mut self, _: &Holding) {}

    fn best_of(&self, holding: &Holding, owner: u32, limit: i64, mut show: impl FnMut(Offer)) {
        for index in &holding.owned[owner as usize] {
            let (slot, now) = (holding.slots[*index as usize], holding.costs[*index as usize]);
            let limit = limit.saturating_add(now);
            for ticket in self.tickets.of(*index) {
                if Race::least_cost(ticket.rank()) >= limit {
                    break;
                }
                let other = ticket.contender();
                if other != owner {
                    let extra = self.race.cost(other as usize, slot, ticket.rank()) - now;
                    show(Offer { other, extra, index: *index });
                }
            }
        }
    }

    fn best_to(
        &self,
        holding: &Holding,
        taker: u32,
        limit: impl Fn(u32) -> i64,
        mut show: impl FnMut(Offer),
    ) {
        self.tickets.held_by(self.race, &holding.slots, taker, |index, rank| {
            let (other, now) = (holding.owners[index as usize], holding.costs[index as usize]);
            if Race::least_cost(rank) - now < limit(other) && other != taker {
                let cost = self.race.cost(taker as usize, holding.slots[index as usize], rank);
                show(Offer { other, extra: cost - now, index });
            }
        });
    }

    fn moved(&mut self, _: &Holding, _: u32, _: u32, _: u32) {}
}
