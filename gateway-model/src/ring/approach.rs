//! Brings counts close to their quotas quickly: what is left to [`repair`](super::repair) is little.
//!
//! One contender after the other changes his own price by as much as puts his own count right, and so gives or
//! takes many slots at once. Whoever has a slot is still whoever it costs least.

use super::{
    holding::Holding,
    offers::{Offer, Offers},
    quota::Quota,
};

/// How often everybody has his turn. More rounds bring counts closer, but less and less so.
const ROUNDS: u32 = 2;

/// Changes prices, and moves slots accordingly.
pub(super) fn approach(offers: &impl Offers, holding: &mut Holding, prices: &mut [i64], quotas: &[Quota]) {
    let mut found = Vec::new();
    for _ in 0..ROUNDS {
        let mut is_done = true;
        for (quota, who) in quotas.iter().zip(0..) {
            let (count, price) = (holding.count(who), prices[who as usize]);
            found.clear();
            if let Some((count, limit)) = quota.wants_to_give(count, price) {
                find_gifts(offers, holding, prices, who, &mut found);
                let by = hand_over(holding, &mut found, count, limit, None);
                prices[who as usize] += by;
            } else if let Some((count, limit)) = quota.wants_to_take(count, price) {
                let length = |offer: &Offer| offer.extra + price - prices[offer.other as usize];
                offers.all_to(holding, who, |offer| found.push((length(&offer), offer)));
                let by = hand_over(holding, &mut found, count, limit, Some(who));
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

/// For each of somebody's slots who would have it next.
fn find_gifts(
    offers: &impl Offers,
    holding: &Holding,
    prices: &[i64],
    owner: u32,
    found: &mut Vec<(i64, Offer)>,
) {
    let price = prices[owner as usize];
    let least = prices.iter().copied().min().unwrap_or(0);
    offers.all_of(holding, owner, |offer| {
        let length = offer.extra + prices[offer.other as usize] - price;
        match found.last_mut() {
            Some(best) if best.1.index == offer.index => {
                if length < best.0 {
                    *best = (length, offer);
                }
            }
            _ => found.push((length, offer)),
        }
        found.last().map_or(i64::MAX, |best| best.0 + price - least)
    });
}

/// Lets the `count` cheapest change hands, as far as they cost less than `limit`; what the last of them costs.
fn hand_over(
    holding: &mut Holding,
    found: &mut Vec<(i64, Offer)>,
    count: u32,
    limit: i64,
    taker: Option<u32>,
) -> i64 {
    let order = |(length, offer): &(i64, Offer)| (*length, offer.index);
    let is_short = found.len() <= count as usize;
    if !is_short {
        found.select_nth_unstable_by_key(count as usize - 1, order);
        found.truncate(count as usize);
    }
    let mut by = 0;
    let mut reaches_limit = is_short && limit < i64::MAX;
    for (length, offer) in found.iter() {
        if *length >= limit {
            reaches_limit = true;
            continue;
        }
        holding.give(offer.index, taker.unwrap_or(offer.other), offer.extra);
        by = by.max(*length);
    }
    if reaches_limit { limit } else { by }
}
