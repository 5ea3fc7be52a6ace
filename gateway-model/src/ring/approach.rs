//! Brings counts close to their quotas quickly: what is left to [`repair`](super::repair) is little.
//!
//! One contender after the other changes his own price by as much as puts his own count right, and so gives or
//! takes many slots at once. Whoever has a slot is still whoever it costs least.

use super::{
    holding::Holding,
    many::Many,
    offers::{Offer, Offers},
    quota::Quota,
};

/// How often everybody has his turn. More rounds bring counts closer, but less and less so.
const ROUNDS: u32 = 2;

/// Changes prices, and moves slots accordingly.
pub(super) fn approach(offers: &mut Many<'_>, holding: &mut Holding, prices: &mut [i64], quotas: &[Quota]) {
    let mut found = Cheapest { found: Vec::new(), count: 0, limit: 0, is_cut: false };
    for _ in 0..ROUNDS {
        let mut is_done = true;
        for (quota, who) in quotas.iter().zip(0..) {
            let (count, price) = (holding.count(who), prices[who as usize]);
            if let Some((count, limit)) = quota.wants_to_give(count, price) {
                found.start(count, limit);
                offers.gifts(holding, prices, who, &mut found);
                let by = found.hand_over(|offer| offers.give(holding, offer.index, offer.other));
                prices[who as usize] += by;
            } else if let Some((count, limit)) = quota.wants_to_take(count, price) {
                found.start(count, limit);
                offers.takings(holding, prices, who, &mut found);
                let by = found.hand_over(|offer| offers.give(holding, offer.index, who));
                prices[who as usize] -= by;
            } else {
                continue;
            }
            is_done = false;
        }
        if is_done {
            break;
        }
    }
}

/// The cheapest offers found.
pub(super) struct Cheapest {
    found: Vec<(i64, Offer)>,
    /// How many are wanted.
    count: usize,
    /// Only what is shorter is wanted.
    limit: i64,
    /// Whether some are not here that were shorter than the first limit.
    is_cut: bool,
}

impl Cheapest {
    fn start(&mut self, count: u32, limit: i64) {
        self.found.clear();
        (self.count, self.limit, self.is_cut) = (count as usize, limit, false);
    }

    /// From which length on offers are not wanted.
    pub(super) fn limit(&self) -> i64 {
        self.limit
    }

    /// Adds an offer that is wanted.
    pub(super) fn add(&mut self, length: i64, offer: Offer) {
        self.found.push((length, offer));
        if self.found.len() >= 2 * self.count + 16 {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let order = |(length, offer): &(i64, Offer)| (*length, offer.index);
        let (_, last, _) = self.found.select_nth_unstable_by_key(self.count - 1, order);
        self.limit = last.0;
        self.is_cut = true;
        self.found.truncate(self.count);
    }

    /// Lets the cheapest change hands; what the last of them costs, or the limit if more could have.
    fn hand_over(&mut self, mut give: impl FnMut(&Offer)) -> i64 {
        if self.found.len() > self.count {
            self.cut();
        }
        self.found.iter().for_each(|(_, offer)| give(offer));
        if self.is_cut || self.limit == i64::MAX {
            self.found.iter().map(|(length, _)| *length).max().unwrap_or(0)
        } else {
            self.limit
        }
    }
}
