//! Who could have which slot instead of its owner, and at what price.

use super::holding::Holding;

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
    /// What comes next are calls of the others.
    fn prepare(&mut self, holding: &Holding);
    /// Shows offers of an owner: at least the cheapest to each other contender, if it is below `limit`.
    fn best_of(&self, holding: &Holding, owner: u32, limit: i64, show: impl FnMut(Offer));
    /// Shows offers to a contender: at least the cheapest of each owner, if it is below `limit` once the owner's
    /// price is taken off.
    fn best_to(&self, holding: &Holding, taker: u32, prices: &[i64], limit: i64, show: impl FnMut(Offer));
    /// Gives a slot to another owner.
    fn give(&mut self, holding: &mut Holding, index: u32, to: u32);
}
