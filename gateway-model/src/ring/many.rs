//! Offers among many contenders.

use super::{
    approach::Cheapest,
    holding::{Held, Holding},
    offers::{Offer, Offers, Seeker},
    race::Race,
    tickets::Tickets,
};

/// Looked up among tickets each time.
pub(super) struct Many<'a> {
    pub(super) race: &'a Race,
    pub(super) tickets: &'a Tickets,
}

impl Many<'_> {
    /// Finds for an owner's slots who would have each next.
    pub(super) fn gifts(&self, holding: &Holding, prices: &[i64], owner: u32, found: &mut Cheapest) {
        let price = prices[owner as usize];
        let least = prices.iter().copied().min().unwrap_or(0);
        for index in &holding.owned[owner as usize] {
            let (slot, now) = (holding.slots[*index as usize], self.now(holding, *index));
            let mut best = (found.limit(), None);
            for ticket in self.tickets.of(*index) {
                if Race::least_cost(ticket.rank()) - now >= best.0.saturating_add(price - least) {
                    break;
                }
                let other = ticket.contender();
                if other != owner {
                    let extra = self.race.cost(other as usize, slot, ticket.rank()) - now;
                    let length = extra + prices[other as usize] - price;
                    if length < best.0 {
                        best = (length, Some(Offer { other, index: *index }));
                    }
                }
            }
            if let (length, Some(offer)) = best {
                found.add(length, offer);
            }
        }
    }

    /// Finds what a contender could take.
    pub(super) fn takings(&self, holding: &Holding, prices: &[i64], taker: u32, found: &mut Cheapest) {
        let price = prices[taker as usize];
        self.tickets.held_by(self.race, &holding.slots, taker, |index, rank| {
            let Held { owner: other, upper } = holding.held[index as usize];
            let gain = price - prices[other as usize];
            if least_extra(rank, upper) + gain < found.limit() && other != taker {
                let extra = self.extra(holding, index, taker, rank);
                if extra + gain < found.limit() {
                    found.add(extra + gain, Offer { other, index });
                }
            }
        });
    }

    /// What a slot costs its owner.
    fn now(&self, holding: &Holding, index: u32) -> i64 {
        let Held { owner, upper } = holding.held[index as usize];
        self.race.whole_cost(owner as usize, holding.slots[index as usize], upper)
    }

    fn extra(&self, holding: &Holding, index: u32, taker: u32, rank: u16) -> i64 {
        self.race.cost(taker as usize, holding.slots[index as usize], rank) - self.now(holding, index)
    }
}

/// The least that a slot of one rank costs more than one of another.
fn least_extra(rank: u16, now: i32) -> i64 {
    i64::from(i32::from(rank) - now - 1) << Race::EQUAL_LOWER_BITS
}

impl Offers for Many<'_> {
    fn prepare(&mut self, _: &Holding) {}

    fn best_of(&self, holding: &Holding, owner: u32, limit: i64, seeker: &mut impl Seeker) {
        for index in &holding.owned[owner as usize] {
            let (slot, now) = (holding.slots[*index as usize], self.now(holding, *index));
            let limit = limit.saturating_add(now);
            for ticket in self.tickets.of(*index) {
                let (other, least) = (ticket.contender(), Race::least_cost(ticket.rank()));
                if least >= limit {
                    break;
                }
                if other != owner {
                    let extra = || self.race.cost(other as usize, slot, ticket.rank()) - now;
                    seeker.see(other, *index, least - now, extra);
                }
            }
        }
    }

    fn best_to(&self, holding: &Holding, taker: u32, seeker: &mut impl Seeker) {
        self.tickets.held_by(self.race, &holding.slots, taker, |index, rank| {
            let Held { owner: other, upper } = holding.held[index as usize];
            if other != taker {
                let extra = || self.extra(holding, index, taker, rank);
                seeker.see(other, index, least_extra(rank, upper), extra);
            }
        });
    }

    fn give(&mut self, holding: &mut Holding, index: u32, to: u32) {
        let rank = self.race.rank(to as usize, holding.slots[index as usize]);
        holding.give(index, Held { owner: to, upper: i32::from(rank) });
    }
}
