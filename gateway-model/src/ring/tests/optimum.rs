//! What is found is the cheapest of all that keeps the quotas: proven by its prices, whatever way it was found.

use crate::ring::{holding::Holding, quota::Quota};

/// Complementary slackness: who has a slot is whoever it costs least, price included, and only those have a price
/// whose quota makes them. `cost` is of a contender and the index of a slot, `None` where he cannot have it.
pub(in crate::ring) fn assert_cheapest(
    holding: &Holding,
    prices: &[i64],
    quotas: &[Quota],
    cost: impl Fn(usize, u32) -> Option<i64>,
) {
    for (owner, index) in holding.owners().zip(0..) {
        let now = cost(owner as usize, index).expect("he has it") + prices[owner as usize];
        for (who, price) in prices.iter().enumerate() {
            assert!(
                cost(who, index).is_none_or(|cost| cost + price >= now),
                "slot {index} is cheaper for {who}"
            );
        }
    }
    for ((price, quota), who) in prices.iter().zip(quotas).zip(0..) {
        let count = holding.count(who);
        assert!((quota.low..=quota.high).contains(&count), "{who}: {count} of {quota:?}");
        assert!(*price <= 0 || count == quota.high, "{who}: price {price}, {count} of {quota:?}");
        assert!(*price >= 0 || count == quota.low, "{who}: price {price}, {count} of {quota:?}");
    }
}
