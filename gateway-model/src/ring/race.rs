//! What it costs to give a slot to a contender. Every contender asks for all slots in an order of his own; a
//! slot costs him more the later he asks for it.

use super::{cost, permutation::Permutation};

/// Who wants slots, at one level of one ring.
#[derive(Clone, Debug)]
pub(super) struct Race {
    /// Logarithms of scores by rank where contenders have weights; `None`: the rank itself is the cost.
    table: Option<&'static [i32]>,
    contenders: Vec<Contender>,
    size: u32,
}

#[derive(Clone, Copy, Debug)]
struct Contender {
    order: Permutation,
    id: u64,
    /// Added to logarithms of scores.
    handicap: i32,
}

impl Race {
    /// How many lower bits of a cost are a hash, among equals.
    pub(super) const EQUAL_LOWER_BITS: u32 = 36;

    /// Contenders of equal chances.
    pub(super) fn of_equals(size: u32, ids: &[u64]) -> Self {
        let contender = |id: &u64| Contender { order: Permutation::new(size, *id), id: *id, handicap: 0 };
        Self { table: None, contenders: ids.iter().map(contender).collect(), size }
    }

    /// Contenders whose chances are their weights, which are not 0.
    pub(super) fn by_weight(size: u32, ids: &[u64], weights: &[u64]) -> Self {
        let sum = weights.iter().map(|weight| u128::from(*weight)).sum();
        let contender = |(id, weight): (&u64, &u64)| Contender {
            order: Permutation::new(size, *id),
            id: *id,
            handicap: cost::handicap(*weight, sum),
        };
        let contenders = ids.iter().zip(weights).map(contender).collect();
        Self { table: Some(cost::table(size)), contenders, size }
    }

    /// Number of contenders.
    pub(super) fn len(&self) -> usize {
        self.contenders.len()
    }

    /// Slots of the whole ring.
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// Whether some contenders have better chances than others.
    pub(super) fn is_weighted(&self) -> bool {
        self.table.is_some()
    }

    /// A number that is a contender's own.
    pub(super) fn id(&self, who: usize) -> u64 {
        self.contenders[who].id
    }

    /// How many slots a contender asks for before this one. Fits in 16 bits.
    #[inline]
    pub(super) fn rank(&self, who: usize, slot: u32) -> u16 {
        self.contenders[who].order.rank(slot as u16)
    }

    /// Writes how many slots a contender asks for before each of these.
    pub(super) fn ranks(&self, who: usize, slots: &[u32], ranks: &mut [u16]) {
        let order = self.contenders[who].order;
        for (rank, slot) in ranks.iter_mut().zip(slots) {
            *rank = order.rank(*slot as u16);
        }
    }

    /// Writes the slots that a contender asks for after `first` others; beyond the size of the ring it begins anew.
    pub(super) fn slots(&self, who: usize, first: u16, slots: &mut [u16]) {
        let order = self.contenders[who].order;
        for (slot, more) in slots.iter_mut().zip(0..) {
            *slot = order.slot(first.wrapping_add(more));
        }
    }

    /// What this slot, which has this rank, costs. Sums and differences of up to 500 of them fit; the lower bits
    /// are a hash, so that no two sums are the same by accident.
    #[inline]
    pub(super) fn cost(&self, who: usize, slot: u32, rank: u16) -> i64 {
        let contender = &self.contenders[who];
        match self.table {
            Some(table) => contender.weighted_cost(table[usize::from(rank)] + contender.handicap, slot),
            None => contender.equal_cost(i32::from(rank), slot),
        }
    }

    /// Writes the upper bits of what slots cost a contender.
    pub(super) fn upper_costs(&self, who: usize, slots: &[u16], costs: &mut [i32]) {
        let Contender { order, handicap, .. } = self.contenders[who];
        let Some(table) = self.table else {
            for (cost, slot) in costs.iter_mut().zip(slots) {
                *cost = i32::from(order.rank(*slot));
            }
            return;
        };
        // Ranks first, as vector units do these.
        let mut ranks = [0; 64];
        for (costs, slots) in costs.chunks_mut(ranks.len()).zip(slots.chunks(ranks.len())) {
            for (rank, slot) in ranks.iter_mut().zip(slots) {
                *rank = order.rank(*slot);
            }
            for (cost, rank) in costs.iter_mut().zip(ranks) {
                *cost = table[usize::from(rank)] + handicap;
            }
        }
    }

    /// What a slot costs, from the upper bits of it.
    #[inline]
    pub(super) fn whole_cost(&self, who: usize, slot: u32, upper: i32) -> i64 {
        let contender = &self.contenders[who];
        if self.is_weighted() {
            contender.weighted_cost(upper, slot)
        } else {
            contender.equal_cost(upper, slot)
        }
    }

    /// The least that a slot of this rank costs somebody, among equals.
    #[inline]
    pub(super) fn least_cost(rank: u16) -> i64 {
        i64::from(rank) << Self::EQUAL_LOWER_BITS
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.contenders.capacity() * size_of::<Contender>()
    }
}

impl Contender {
    #[inline]
    fn weighted_cost(&self, upper: i32, slot: u32) -> i64 {
        (i64::from(upper) << 24) + (self.hash(slot) >> 40).cast_signed()
    }

    #[inline]
    fn equal_cost(&self, upper: i32, slot: u32) -> i64 {
        (i64::from(upper) << Race::EQUAL_LOWER_BITS) + (self.hash(slot) >> 28).cast_signed()
    }

    #[inline]
    fn hash(&self, slot: u32) -> u64 {
        (self.id ^ u64::from(slot).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}
