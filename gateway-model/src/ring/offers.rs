//! Who could have which slot instead of its owner, and at what price.

use super::holding::Holding;

/// A slot that could change hands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// Its new owner, or its present one: the other side of who was asked.
    pub(super) other: u32,
    /// The slot's index.
    pub(super) index: u32,
}

/// Who looks for offers.
pub(super) trait Seeker {
    /// Sees an offer. It costs `least` more than now or a little more than that: `extra` says how much.
    fn see(&mut self, other: u32, index: u32, least: i64, extra: impl FnOnce() -> i64);
}

/// Finds offers.
pub(super) trait Offers {
    /// What comes next are calls of the others.
    fn prepare(&mut self, holding: &Holding);
    /// Shows offers of an owner: at least the cheapest to each other contender, if it is below `limit`.
    fn best_of(&self, holding: &Holding, owner: u32, limit: i64, seeker: &mut impl Seeker);
    /// Shows offers to a contender: at least the cheapest of each owner.
    fn best_to(&self, holding: &Holding, taker: u32, seeker: &mut impl Seeker);
    /// Gives a slot to another owner.
    fn give(&mut self, holding: &mut Holding, index: u32, to: u32);
}
