//! Tijdeman's sequence over shares in hundredths of a percent.

use super::WHOLE;

/// How far each route is behind its share, in hundredths of a percent of a pick; the sum is always 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequence {
    credits: Vec<i64>,
}

/// After how many picks the sequence over these shares begins again.
pub(super) fn period(shares: &[u32]) -> u32 {
    WHOLE / shares.iter().fold(WHOLE, |divisor, share| gcd(divisor, *share))
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Sequence {
    /// The sequence after `phase` picks.
    pub(super) fn begun_at(phase: u32, shares: &[u32]) -> Self {
        let mut sequence = Self { credits: vec![0; shares.len()] };
        for _ in 0..phase {
            sequence.next(shares);
        }
        sequence
    }

    /// The next pick; `None` if nobody has a share. `shares` are those it was begun with.
    pub(super) fn next(&mut self, shares: &[u32]) -> Option<usize> {
        let routes = shares.iter().fold(0, |routes, share| routes + i64::from(*share > 0));
        // Credits and the bound are compared in 1/(2·routes − 2) of their unit, to stay with whole numbers.
        let (whole, scale) = (i64::from(WHOLE), 2 * routes - 2);
        let mut best: Option<(usize, i64, i64)> = None;
        for (index, (credit, share)) in self.credits.iter_mut().zip(shares).enumerate() {
            let share = i64::from(*share);
            *credit += share;
            if share == 0 || *credit * scale < whole && routes > 1 {
                continue;
            }
            let slack = whole * scale - whole - *credit * scale;
            // Due in slack / share picks from now.
            if best.is_none_or(|(_, least, its_share)| slack * its_share < least * share) {
                best = Some((index, slack, share));
            }
        }
        let (index, ..) = best?;
        self.credits[index] -= whole;
        Some(index)
    }
}
