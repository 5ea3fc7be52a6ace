//! How many slots each contender is to have.

use std::cmp::Reverse;

/// How many slots a contender is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    /// At least.
    pub(super) low: u32,
    /// At most.
    pub(super) high: u32,
}

impl Quota {
    /// An equal part of `total`, give or take two slots or 2 %. Where between two whole numbers a bound jumps
    /// is the contender's own (by his `id`): else a small edit would shift the bounds of all at once.
    pub(super) fn about(total: u32, parts: u32, id: u64) -> Self {
        // In units of 1 / (50 · 2^16 · parts) slot.
        let unit = u64::from(parts) * (50 << 16);
        let fair = u64::from(total) * (50 << 16);
        let slack = (fair / 50).max(2 * unit);
        let phase = u64::from(parts) * 50 * (id >> 48);
        // `fair` is between the bounds: they are at least 2 away before they are rounded towards it.
        Self {
            low: (fair + phase).saturating_sub(slack).div_ceil(unit) as u32,
            high: ((fair + slack + phase - unit) / unit) as u32,
        }
    }

    /// How many slots somebody has to give, whose price rises until then, but by the second number at most.
    pub(super) fn wants_to_give(self, count: u32, price: i64) -> Option<(u32, i64)> {
        if price < 0 && count > self.low {
            Some((count - self.low, -price))
        } else {
            (count > self.high).then(|| (count - self.high, i64::MAX))
        }
    }

    /// How many slots somebody has to take, whose price falls until then, but by the second number at most.
    pub(super) fn wants_to_take(self, count: u32, price: i64) -> Option<(u32, i64)> {
        if price > 0 && count < self.high {
            Some((self.high - count, price))
        } else {
            (count < self.low).then(|| (self.low - count, i64::MAX))
        }
    }

    /// What it costs that somebody ends up with one slot more (or less) at no one's expense, if he may.
    pub(super) fn end<const MORE: bool>(self, count: u32, price: i64) -> Option<i64> {
        if MORE {
            (count < self.high && price <= 0).then_some(-price)
        } else {
            (count > self.low && price >= 0).then_some(price)
        }
    }

    /// Exact shares of `total` by largest remainder; equal remainders go to those that come first. Who would be
    /// left without a slot comes before the others: a weight above 0 is not to mean nothing.
    pub(super) fn exactly(total: u32, weights: &[u64]) -> Vec<Self> {
        let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        let exact = |weight: u64| u128::from(weight) * u128::from(total);
        let mut counts: Vec<u32> = weights.iter().map(|weight| (exact(*weight) / sum) as u32).collect();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|index| (counts[*index] > 0, Reverse(exact(weights[*index]) % sum)));
        let missing = total - counts.iter().sum::<u32>();
        for index in order.into_iter().take(missing as usize) {
            counts[index] += 1;
        }
        counts.into_iter().map(|count| Self { low: count, high: count }).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::tests::cases(2_000))]

        #[test]
        fn equal_parts_are_within_two_slots_or_two_percent_and_include_the_fair_one(
            total in 0_u32..=65_536, parts in 1_u32..5_000, id in any::<u64>(),
        ) {
            let quota = Quota::about(total, parts, id);
            let fair = f64::from(total) / f64::from(parts);
            let slack = (fair / 50.0).max(2.0) + 1e-9;
            prop_assert!(f64::from(quota.low) <= fair && fair <= f64::from(quota.high), "{quota:?} {fair}");
            prop_assert!(fair - f64::from(quota.low) <= slack, "{quota:?} {fair}");
            prop_assert!(f64::from(quota.high) - fair <= slack, "{quota:?} {fair}");
        }
    }
}
