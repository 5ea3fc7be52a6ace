//! Exponentially distributed costs, by whole numbers only.

/// Binary digits after the point.
const FRACTION: u32 = 40;
/// The table's pieces, as a power of two. Between two of its points the logarithm is taken as straight, which is
/// less than 2^-22 away from it.
const PIECES: u32 = 10;

/// `log2(1 + index / 1024)` in units of 2^-40.
const LOGARITHMS: [u64; (1 << PIECES) + 1] = {
    let mut table = [0; (1 << PIECES) + 1];
    let mut index = 0;
    while index < table.len() {
        table[index] = logarithm((1 << 32) + ((index as u64) << (32 - PIECES)));
        index += 1;
    }
    table
};

/// The cost that a hash stands for: `-log2(hash / 2^64)` in units of 2^-40. Over all hashes it is exponentially
/// distributed, so that of several costs, each divided by a weight, one is the least with the probability of its
/// weight. At most 2^46.
pub(super) fn exponential(hash: u64) -> u64 {
    let hash = hash | 1;
    let zeros = hash.leading_zeros();
    let mantissa = hash << zeros << 1;
    let piece = (mantissa >> (64 - PIECES)) as usize;
    let within = mantissa << PIECES >> 32;
    let (low, high) = (LOGARITHMS[piece], LOGARITHMS[piece + 1]);
    let logarithm = low + (((high - low) * within) >> 32);
    (u64::from(zeros + 1) << FRACTION) - logarithm
}

/// The binary logarithm of a number from 1 to 2, in units of 2^-32, as units of 2^-40: each squaring gives one
/// digit more.
const fn logarithm(number: u64) -> u64 {
    if number == 2 << 32 {
        return 1 << FRACTION;
    }
    // From here on in units of 2^-63, for digits that are not lost by squaring.
    let mut number = (number as u128) << 31;
    let mut digits = 0;
    let mut digit = 0;
    while digit < FRACTION {
        number = (number * number) >> 63;
        digits <<= 1;
        if number >= 2 << 63 {
            digits |= 1;
            number >>= 1;
        }
        digit += 1;
    }
    digits
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_precision_loss, reason = "costs are compared with rounded ones")]

    use super::*;
    use crate::hash;

    #[test]
    fn costs_are_logarithms() {
        for number in 0..100_000_u64 {
            let hash = hash::finish(number) >> (number % 60);
            let cost = exponential(hash) as f64 / (1_u64 << FRACTION) as f64;
            let exact = 64.0 - ((hash | 1) as f64).log2();
            assert!((cost - exact).abs() < 1.0 / f64::from(1 << 22), "{hash:x}: {cost} for {exact}");
        }
    }

    #[test]
    fn costs_fall_as_hashes_rise() {
        let costs: Vec<u64> = (0..64).map(|bits| exponential(u64::MAX >> bits)).collect();
        assert!(costs.windows(2).all(|pair| pair[0] < pair[1]), "{costs:?}");
        assert!(costs[0] > 0 && exponential(0) <= 1 << 46);
        let fine = (0..10_000_u64).map(|step| exponential(0x8000_0000_0000_0000 | step << 49));
        assert!(fine.collect::<Vec<_>>().windows(2).all(|pair| pair[0] >= pair[1]));
    }
}
