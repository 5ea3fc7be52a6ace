//! One level of a ring: who gets which of some slots.

use super::{
    approach::approach,
    few::Few,
    holding::{Held, Holding},
    many::Many,
    quota::Quota,
    race::Race,
    repair::{Stuck, repair},
    tickets::{Ticket, Tickets},
};

/// Above this many contenders of equal chances it pays to look only at those who ask for a slot early.
const FEW: usize = 24;

/// Tickets per slot, where that pays. With fewer too many slots have nobody else to go to; more take time and
/// never win. What is tried next, should quotas ask for the impossible, ends with everybody.
const TICKETS_PER_SLOT: [u32; 3] = [8, 64, u32::MAX];

/// Whether contenders are so many that [`Crowd`] is the way to share slots among them.
pub(super) fn is_crowd(race: &Race) -> bool {
    race.len() > FEW && !race.is_weighted()
}

/// Shares slots among few contenders: the owner of each.
pub(super) fn share(race: &Race, slots: &[u32], quotas: &[Quota]) -> Vec<u32> {
    if race.len() == 1 {
        return vec![0; slots.len()];
    }
    let (mut offers, mut holding) = Few::new(race, slots.to_vec());
    let mut prices = vec![0; race.len()];
    repair(&mut offers, &mut holding, &mut prices, quotas).expect("everybody could have every slot");
    holding.owners().collect()
}

/// Slots shared among many contenders, with what it takes to change that.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    race: Race,
    tickets: Tickets,
    holding: Holding,
    prices: Vec<i64>,
    /// Which of [`TICKETS_PER_SLOT`] there are.
    try_number: usize,
}

impl Crowd {
    /// Shares slots from nothing.
    pub(super) fn new(race: &Race, slots: &[u32], quotas: &[Quota]) -> Self {
        (0..TICKETS_PER_SLOT.len())
            .find_map(|number| Self::attempt(race, slots, quotas, number).ok())
            .expect("the last try gives everybody a ticket for every slot")
    }

    fn attempt(race: &Race, slots: &[u32], quotas: &[Quota], try_number: usize) -> Result<Self, Stuck> {
        let tickets = Tickets::collect(race, slots, TICKETS_PER_SLOT[try_number]);
        let prices = vec![0; race.len()];
        let held = |index| cheapest(race, &tickets, slots, &prices, index).into();
        let held = (0..slots.len() as u32).map(held).collect();
        let holding = Holding::new(slots.to_vec(), held, race.len());
        let mut crowd = Self { race: race.clone(), tickets, holding, prices, try_number };
        crowd.repair(quotas)?;
        Ok(crowd)
    }

    fn repair(&mut self, quotas: &[Quota]) -> Result<(), Stuck> {
        let mut offers = Many { race: &self.race, tickets: &self.tickets };
        approach(&mut offers, &mut self.holding, &mut self.prices, quotas);
        repair(&mut offers, &mut self.holding, &mut self.prices, quotas)
    }

    /// The crowd after contenders have come and gone, the same as from nothing. `before` says who each one was.
    pub(super) fn change(mut self, race: &Race, before: &[Option<u32>], quotas: &[Quota]) -> Self {
        let slots = std::mem::take(&mut self.holding.slots);
        match self.try_change(race, slots.clone(), before, quotas) {
            Ok(crowd) => crowd,
            Err(Stuck) => Self::new(race, &slots, quotas),
        }
    }

    fn try_change(
        self,
        race: &Race,
        slots: Vec<u32>,
        before: &[Option<u32>],
        quotas: &[Quota],
    ) -> Result<Self, Stuck> {
        if self.try_number > 0 {
            return Err(Stuck);
        }
        let mut now = vec![None; self.race.len()];
        for (before, who) in before.iter().zip(0..) {
            if let Some(before) = before {
                now[*before as usize] = Some(who);
            }
        }
        let depth = Tickets::depth(race, TICKETS_PER_SLOT[0]);
        let (tickets, renewed) = self.tickets.change(race, &slots, before, &now, depth);
        let price = |before: &Option<u32>| before.map_or(NEW, |before| self.prices[before as usize]);
        let prices: Vec<i64> = before.iter().map(price).collect();
        let held = carry_over(race, &tickets, &slots, &prices, &self.holding.held, &now, &renewed)?;
        let holding = Holding::new(slots, held, race.len());
        let mut crowd = Self { race: race.clone(), tickets, holding, prices, try_number: 0 };
        crowd.price_newcomers();
        crowd.repair(quotas)?;
        Ok(crowd)
    }

    /// Makes newcomers as cheap as they can be without anything being theirs.
    fn price_newcomers(&mut self) {
        for who in 0..self.prices.len() {
            if self.prices[who] != NEW {
                continue;
            }
            let Self { race, tickets, holding, prices, .. } = self;
            let mut price = 0;
            tickets.held_by(race, &holding.slots, who as u32, |index, rank| {
                let (slot, Held { owner, upper }) =
                    (holding.slots[index as usize], holding.held[index as usize]);
                let owner = owner as usize;
                if owner != who {
                    let now = race.whole_cost(owner, slot, upper) + prices[owner];
                    price = price.max(now - race.cost(who, slot, rank));
                }
            });
            prices[who] = price;
        }
    }

    /// The owner of each slot.
    pub(super) fn owners(&self) -> impl Iterator<Item = u32> {
        self.holding.owners()
    }

    /// Slots of the whole ring.
    pub(super) fn size(&self) -> u32 {
        self.race.size()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.tickets.bytes() + self.holding.bytes() + self.race.bytes() + 8 * self.prices.capacity()
    }
}

/// The price of somebody who has none yet: more than any slot costs, and small enough to be added to.
const NEW: i64 = 1 << 61;

fn cheapest(race: &Race, tickets: &Tickets, slots: &[u32], prices: &[i64], index: u32) -> Ticket {
    let slot = slots[index as usize];
    let cost = |ticket: &&Ticket| {
        let who = ticket.contender() as usize;
        race.cost(who, slot, ticket.rank()) + prices[who]
    };
    *tickets.of(index).iter().min_by_key(cost).expect("every slot has a ticket")
}

impl From<Ticket> for Held {
    fn from(ticket: Ticket) -> Self {
        Self { owner: ticket.contender(), upper: i32::from(ticket.rank()) }
    }
}

/// Who owns each slot at these prices, which are those of before; stuck if several newcomers compete
/// for one that nobody else has a ticket for.
fn carry_over(
    race: &Race,
    tickets: &Tickets,
    slots: &[u32],
    prices: &[i64],
    held: &[Held],
    now: &[Option<u32>],
    renewed: &[u32],
) -> Result<Vec<Held>, Stuck> {
    let mut renewed = renewed.iter().peekable();
    let mut carried = Vec::with_capacity(held.len());
    for (held, index) in held.iter().zip(0..) {
        let is_renewed = renewed.next_if_eq(&&index).is_some();
        let owner = now[held.owner as usize].filter(|_| !is_renewed);
        let stays = owner
            .and_then(|owner| tickets.of(index).iter().copied().find(|ticket| ticket.contender() == owner));
        let ticket = stays.unwrap_or_else(|| cheapest(race, tickets, slots, prices, index));
        if prices[ticket.contender() as usize] == NEW && tickets.of(index).len() > 1 {
            return Err(Stuck);
        }
        carried.push(ticket.into());
    }
    Ok(carried)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::assert_cheapest, *};
    use crate::hash;

    fn ids(seed: u64, numbers: std::ops::Range<u64>) -> Vec<u64> {
        numbers.map(|number| hash::mix(seed, number)).collect()
    }

    fn about(ids: &[u64], slots: usize) -> Vec<Quota> {
        ids.iter().map(|id| Quota::about(slots as u32, ids.len() as u32, *id)).collect()
    }

    fn assert_cheapest_crowd(crowd: &Crowd, quotas: &[Quota]) {
        assert_cheapest(&crowd.holding, &crowd.prices, quotas, |who, index| {
            let ticket = crowd.tickets.of(index).iter().find(|ticket| ticket.contender() as usize == who)?;
            Some(crowd.race.cost(who, crowd.holding.slots[index as usize], ticket.rank()))
        });
    }

    proptest! {
        #![proptest_config(crate::tests::cases(500))]

        #[test]
        fn few_share_at_the_least_cost(
            weights in prop::collection::vec(1_u64..1_000, 2..12), step in 1_usize..5, seed in any::<u64>(),
        ) {
            let ids = ids(seed, 0..weights.len() as u64);
            let race = Race::by_weight(512, &ids, &weights);
            let slots: Vec<u32> = (0..512).step_by(step).collect();
            let quotas = Quota::exactly(slots.len() as u32, &weights);
            let (mut offers, mut holding) = Few::new(&race, slots.clone());
            let mut prices = vec![0; ids.len()];
            repair(&mut offers, &mut holding, &mut prices, &quotas).unwrap();
            assert_cheapest(&holding, &prices, &quotas, |who, index| {
                let slot = slots[index as usize];
                Some(race.cost(who, slot, race.rank(who, slot)))
            });
        }

        #[test]
        fn a_crowd_shares_at_the_least_cost_also_after_changes(
            count in 25_u64..80, gone in 0_u64..3, come in 0_u64..3, step in 1_usize..5, seed in any::<u64>(),
        ) {
            let slots: Vec<u32> = (0..1_024).step_by(step).collect();
            let old = ids(seed, 0..count);
            let quotas = about(&old, slots.len());
            let crowd = Crowd::new(&Race::of_equals(1_024, &old), &slots, &quotas);
            assert_cheapest_crowd(&crowd, &quotas);
            let new = ids(seed, gone..count + come);
            let before: Vec<Option<u32>> =
                (gone..count + come).map(|number| (number < count).then_some(number as u32)).collect();
            let quotas = about(&new, slots.len());
            let changed = crowd.change(&Race::of_equals(1_024, &new), &before, &quotas);
            assert_cheapest_crowd(&changed, &quotas);
            let anew = Crowd::new(&Race::of_equals(1_024, &new), &slots, &quotas);
            prop_assert!(changed.owners().eq(anew.owners()));
            prop_assert!(changed.tickets == anew.tickets);
        }
    }
}
