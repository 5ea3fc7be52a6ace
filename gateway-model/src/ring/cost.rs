//! Exponentially distributed scores from ranks, in whole numbers: the same on every machine.

use std::sync::OnceLock;

/// Scores by rank for one ring size: `-ln(1 - (rank + 1/2) / size)`, times 2^26. They rise with the rank and
/// stay below 2^31.
pub(super) fn table(size: u32) -> &'static [u32] {
    static TABLES: [OnceLock<Vec<u32>>; 21] = [const { OnceLock::new() }; 21];
    TABLES[size.trailing_zeros() as usize].get_or_init(|| {
        let score = |rank: u32| {
            let left = (f64::from(size - rank) - 0.5) / f64::from(size);
            // Whole numbers from here on: only IEEE operations were used, which all machines round alike.
            #[expect(clippy::cast_sign_loss, reason = "the logarithm of at most 1 is not positive")]
            let score = (-ln(left) * f64::from(1 << 26)) as u32;
            score
        };
        (0..size).map(score).collect()
    })
}

/// The natural logarithm of a number in (0, 1], by +, -, *, / alone: libraries differ in the last bit of theirs.
fn ln(mut x: f64) -> f64 {
    let mut halvings = 0.0;
    while x < 0.707 {
        x *= 2.0;
        halvings += 1.0;
    }
    // 2·artanh((x-1)/(x+1)); the argument is at most 0.172, so that 12 terms are past double precision.
    let y = (x - 1.0) / (x + 1.0);
    let square = y * y;
    let series = (0..12).rev().fold(0.0, |sum, term| sum * square + 1.0 / f64::from(2 * term + 1));
    2.0 * y * series - halvings * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_right() {
        for step in 1..=1000 {
            let x = f64::from(step) / 1000.0;
            assert!((ln(x) - x.ln()).abs() < 1e-14, "{x}");
        }
    }

    #[test]
    fn scores_rise_with_the_rank() {
        for size in [1, 16, 4_096, 1 << 20] {
            let table = table(size);
            assert!(table.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(table[table.len() - 1] < 1 << 31);
        }
    }
}
