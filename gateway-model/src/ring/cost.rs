//! Logarithms of exponentially distributed scores, by rank, in whole numbers: the same on every machine.

use std::sync::OnceLock;

/// What 1 is in fixed point.
const ONE: f64 = (1 << 24) as f64;

/// For one ring size and each rank: `ln(-ln(1 - (rank + 1/2) / size))`, times 2^24. They rise with the rank.
pub(super) fn table(size: u32) -> &'static [i32] {
    static TABLES: [OnceLock<Vec<i32>>; 17] = [const { OnceLock::new() }; 17];
    TABLES[size.trailing_zeros() as usize].get_or_init(|| {
        let score = |rank: u32| {
            let left = (f64::from(size - rank) - 0.5) / f64::from(size);
            // Whole numbers from here on: only IEEE operations were used, which all machines round alike.
            (ln(-ln(left)) * ONE) as i32
        };
        (0..size).map(score).collect()
    })
}

/// What a contender of this share of all weight is ahead: `-ln(weight / sum)`, times 2^24. Fits: 2^128 would be 89 ahead.
pub(super) fn handicap(weight: u64, sum: u128) -> i32 {
    #[expect(clippy::cast_precision_loss, reason = "where a race starts does not decide who wins it")]
    let share = weight as f64 / sum as f64;
    (-ln(share) * ONE) as i32
}

/// The natural logarithm of a positive number by +, -, *, / alone: libraries differ in the last bit of theirs.
fn ln(mut x: f64) -> f64 {
    let mut doublings = 0.0;
    while x < 0.707 {
        x *= 2.0;
        doublings -= 1.0;
    }
    while x > 1.415 {
        x /= 2.0;
        doublings += 1.0;
    }
    // 2·artanh((x-1)/(x+1)); the argument is at most 0.172, so that 12 terms are past double precision.
    let y = (x - 1.0) / (x + 1.0);
    let square = y * y;
    let series = (0..12).rev().fold(0.0, |sum, term| sum * square + 1.0 / f64::from(2 * term + 1));
    2.0 * y * series + doublings * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_right() {
        for step in 1..=20_000 {
            let x = f64::from(step) / 1000.0;
            assert!((ln(x) - x.ln()).abs() < 1e-14, "{x}");
        }
    }

    #[test]
    fn scores_rise_with_the_rank() {
        for size in [1, 16, 4_096, 65_536] {
            assert!(table(size).windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn twice_the_weight_is_a_logarithm_of_two_ahead() {
        let ahead = handicap(1, 1 << 70) - handicap(2, 1 << 70);
        assert!((ahead - 11_629_080).abs() <= 1, "{ahead}");
    }
}
