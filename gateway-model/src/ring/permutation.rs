//! Orders in which contenders ask for slots.

use crate::hash;

/// A permutation of the numbers below a power of two, with its inverse; both cost a few multiplications, in words
/// of 16 bits so that vector units do eight at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permutation {
    mask: u16,
    /// At least half of the bits: then `x ^ (x >> shift)` is its own inverse.
    shift: u16,
    add: u16,
    factors: [u16; 3],
    inverses: [u16; 3],
}

impl Permutation {
    /// The permutation of an id over `size` slots, a power of two of at most 2^16.
    pub(super) fn new(size: u32, id: u64) -> Self {
        let mut factors = [0; 3];
        for (factor, salt) in factors.iter_mut().zip(1..) {
            *factor = hash::mix(id, salt) as u16 | 1;
        }
        Self {
            mask: (size - 1) as u16,
            shift: size.trailing_zeros().div_ceil(2) as u16,
            add: hash::mix(id, 4) as u16,
            factors,
            inverses: factors.map(inverse),
        }
    }

    /// The slot that is asked for after `rank` others.
    #[inline]
    pub(super) fn slot(&self, rank: u16) -> u16 {
        let [a, b, c] = self.factors;
        let x = rank.wrapping_mul(a).wrapping_add(self.add) & self.mask;
        let x = (x ^ (x >> self.shift)).wrapping_mul(b) & self.mask;
        (x ^ (x >> self.shift)).wrapping_mul(c) & self.mask
    }

    /// How many others are asked for before this slot.
    #[inline]
    pub(super) fn rank(&self, slot: u16) -> u16 {
        let [a, b, c] = self.inverses;
        let x = slot.wrapping_mul(c) & self.mask;
        let x = (x ^ (x >> self.shift)).wrapping_mul(b) & self.mask;
        (x ^ (x >> self.shift)).wrapping_sub(self.add).wrapping_mul(a) & self.mask
    }
}

/// The inverse of an odd number modulo 2^16 (Newton's iteration, which doubles the right bits each time).
fn inverse(odd: u16) -> u16 {
    (0..3).fold(odd, |x, _| x.wrapping_mul(2_u16.wrapping_sub(odd.wrapping_mul(x))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_one_rank_and_every_rank_one_slot() {
        for bits in 0..=16 {
            let size = 1_u32 << bits;
            for id in 0..20 {
                let permutation = Permutation::new(size, id);
                let mut seen = vec![false; size as usize];
                for rank in 0..=(size - 1) as u16 {
                    let slot = permutation.slot(rank);
                    assert!(!std::mem::replace(&mut seen[slot as usize], true), "slot {slot} twice");
                    assert_eq!(permutation.rank(slot), rank);
                }
            }
        }
    }
}
