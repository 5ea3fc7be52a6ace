//! Moves slots until everybody's quota is kept at the least total cost: shortest augmenting paths with prices.
//!
//! Every contender has a price, which is added to what a slot costs him; each slot is owned by whoever it then
//! costs least. A price is 0 unless the quota makes it otherwise: above 0 only of who has his most, below 0 only
//! of who has his least. A holding for which all of this is true is the cheapest that keeps the quotas
//! (complementary slackness), and there is only one such, since no two sums of costs are alike. So it does not
//! matter where the search starts, and a holding that is nearly right is put right in a few steps.
//!
//! Sources: R. Busacker, P. Gowen, "A procedure for determining a family of minimum-cost network flow patterns",
//! 1960; J. Edmonds, R. Karp, "Theoretical improvements in algorithmic efficiency for network flow problems",
//! J. ACM 19, 1972 (prices keep all lengths positive).

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    holding::Holding,
    offers::{Offers, Seeker},
    quota::Quota,
};

/// Slots cannot be shared out so that all quotas are kept: too few offers.
#[derive(Debug)]
pub(super) struct Stuck;

/// Puts everything right. Who a slot belongs to must be right for the prices; counts and prices need not be
/// right for the quotas.
pub(super) fn repair(
    offers: &mut impl Offers,
    holding: &mut Holding,
    prices: &mut [i64],
    quotas: &[Quota],
) -> Result<(), Stuck> {
    offers.prepare(holding);
    let nowhere = Way { distance: i64::MAX, from: u32::MAX, index: u32::MAX };
    let least_price = prices.iter().copied().min().unwrap_or(0);
    let ways = vec![nowhere; quotas.len()];
    let mut repair = Repair {
        offers,
        holding,
        prices,
        quotas,
        ways,
        seen: Vec::new(),
        reached: Vec::new(),
        queue: BinaryHeap::new(),
        least_price,
    };
    // Prices on the wrong side of 0 first: nobody can be a way's end who should be at another price.
    for bound in [i64::MAX - 1, i64::MAX] {
        for who in 0..quotas.len() as u32 {
            while let Some(limit) = repair.wants_to_give(who).filter(|limit| *limit <= bound) {
                repair.step::<true>(who, limit)?;
            }
        }
        for who in 0..quotas.len() as u32 {
            while let Some(limit) = repair.wants_to_take(who).filter(|limit| *limit <= bound) {
                repair.step::<false>(who, limit)?;
            }
        }
    }
    Ok(())
}

struct Repair<'a, O> {
    offers: &'a mut O,
    holding: &'a mut Holding,
    prices: &'a mut [i64],
    quotas: &'a [Quota],
    /// Shortest ways found in this step.
    ways: Vec<Way>,
    /// Contenders with a way.
    seen: Vec<u32>,
    /// Of these, who has a shorter one since the last [`Repair::follow`] began.
    reached: Vec<u32>,
    queue: BinaryHeap<Reverse<(i64, u32)>>,
    /// No price is lower.
    least_price: i64,
}

#[derive(Clone, Copy)]
struct Way {
    distance: i64,
    /// The contender before, and the slot that changes hands between the two.
    from: u32,
    index: u32,
}

impl<O: Offers> Repair<'_, O> {
    fn price(&self, who: u32) -> i64 {
        self.prices[who as usize]
    }

    fn wants_to_give(&self, who: u32) -> Option<i64> {
        let (price, quota) = (self.price(who), self.quotas[who as usize]);
        quota.wants_to_give(self.holding.count(who), price).map(|(_, limit)| limit)
    }

    fn wants_to_take(&self, who: u32) -> Option<i64> {
        let (price, quota) = (self.price(who), self.quotas[who as usize]);
        quota.wants_to_take(self.holding.count(who), price).map(|(_, limit)| limit)
    }

    /// Passes one slot on from `start` (or up to it) on the cheapest way, and sets prices accordingly; or only
    /// sets prices, if every way costs `limit` or more.
    fn step<const GIVE: bool>(&mut self, start: u32, limit: i64) -> Result<(), Stuck> {
        let (length, end) = self.search::<GIVE>(start, limit);
        if length == i64::MAX {
            return Err(Stuck);
        }
        for who in &self.seen {
            let by = (length - self.ways[*who as usize].distance).max(0);
            let price = &mut self.prices[*who as usize];
            *price += if GIVE { by } else { -by };
            self.least_price = self.least_price.min(*price);
        }
        let mut at = end.unwrap_or(start);
        while at != start {
            let Way { from, index, .. } = self.ways[at as usize];
            self.offers.give(self.holding, index, if GIVE { at } else { from });
            at = from;
        }
        for who in self.seen.drain(..) {
            self.ways[who as usize].distance = i64::MAX;
        }
        Ok(())
    }

    /// Dijkstra's search for the cheapest way shorter than `limit`: its length and where it ends.
    fn search<const GIVE: bool>(&mut self, start: u32, limit: i64) -> (i64, Option<u32>) {
        let mut best = (limit, None);
        self.queue.clear();
        self.queue.push(Reverse((0, start)));
        self.seen.push(start);
        self.ways[start as usize].distance = 0;
        while let Some(Reverse((distance, at))) = self.queue.pop() {
            if distance >= best.0 {
                break;
            }
            if distance > self.ways[at as usize].distance {
                continue;
            }
            self.follow::<GIVE>(at, distance, &mut best);
        }
        best
    }

    /// Looks where it goes on from here.
    fn follow<const GIVE: bool>(&mut self, at: u32, distance: i64, best: &mut (i64, Option<u32>)) {
        let Self { offers, holding, prices, quotas, ways, seen, reached, queue, least_price } = self;
        let own = prices[at as usize];
        let limit = best.0.saturating_sub(distance).saturating_add(own).saturating_sub(*least_price);
        let mut fork: Fork<'_, GIVE> =
            Fork { at, distance, own, best, holding, prices, quotas, ways, seen, reached };
        if GIVE {
            offers.best_of(holding, at, limit, &mut fork);
        } else {
            offers.best_to(holding, at, &mut fork);
        }
        for who in reached.drain(..) {
            let distance = ways[who as usize].distance;
            if distance < best.0 {
                queue.push(Reverse((distance, who)));
            }
        }
    }
}

/// Where ways go on from one contender to others.
struct Fork<'a, const GIVE: bool> {
    at: u32,
    distance: i64,
    /// His price.
    own: i64,
    best: &'a mut (i64, Option<u32>),
    holding: &'a Holding,
    prices: &'a [i64],
    quotas: &'a [Quota],
    ways: &'a mut [Way],
    seen: &'a mut Vec<u32>,
    reached: &'a mut Vec<u32>,
}

impl<const GIVE: bool> Seeker for Fork<'_, GIVE> {
    #[inline]
    fn see(&mut self, other: u32, index: u32, least: i64, extra: impl FnOnce() -> i64) {
        let (price, way) = (self.prices[other as usize], &mut self.ways[other as usize]);
        let base = self.distance + if GIVE { price - self.own } else { self.own - price };
        let limit = self.best.0.min(way.distance);
        if base + least >= limit {
            return;
        }
        let distance = base + extra();
        debug_assert!(distance >= self.distance, "a slot is owned by whoever it costs least");
        if distance >= limit {
            return;
        }
        if way.distance == i64::MAX {
            self.seen.push(other);
            self.reached.push(other);
        } else if way.from != self.at {
            self.reached.push(other);
        }
        *way = Way { distance, from: self.at, index };
        let end = self.quotas[other as usize].end::<GIVE>(self.holding.count(other), price);
        if let Some(end) = end
            && distance + end < self.best.0
        {
            *self.best = (distance + end, Some(other));
        }
    }
}
