//! One round of Tijdeman's sequence over shares in hundredths of a percent, worked out once.
//!
//! The j-th pick of a route of share w may come from slot ⌈(j - d) / w⌉ on and must have come by slot
//! ⌊(j - 1 + d) / w⌋ + 1, where d = 1 - 1 / (2k - 2) for k routes: exactly then no route is ever more than d ahead
//! or behind. That such a sequence exists is Tijdeman's theorem; picking the earliest deadline among those that
//! may come finds it, as it finds every schedule of unit jobs between whole slots. After a round everybody has
//! exactly his share, so that it can begin again, and be entered anywhere.

use std::sync::OnceLock;

use super::WHOLE;

/// The round of one gateway. Worked out when it is first asked for: 10,000 picks at most, 2 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Cycle(OnceLock<Box<[u16]>>);

/// It follows from the shares.
impl PartialEq for Cycle {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Cycle {}

impl Cycle {
    /// The picks of a round; none if nobody has a share. `shares` are always the same.
    pub(crate) fn picks(&self, shares: &[u32]) -> &[u16] {
        self.0.get_or_init(|| Round::new(shares).run())
    }
}

/// After how many picks a round over these shares is over.
fn period(shares: &[u32]) -> u32 {
    WHOLE / shares.iter().fold(WHOLE, |divisor, share| gcd(divisor, *share))
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A route, and its next pick.
struct Runner {
    index: u16,
    /// Picks in a round.
    all: u64,
    /// Picks that it has had.
    had: u64,
}

struct Round {
    period: u32,
    runners: Vec<Runner>,
}

impl Round {
    fn new(shares: &[u32]) -> Self {
        let period = period(shares);
        let runner = |(index, share): (u16, &u32)| {
            (*share > 0).then(|| Runner { index, all: u64::from(*share / (WHOLE / period)), had: 0 })
        };
        Self { period, runners: (0..=u16::MAX).zip(shares).filter_map(runner).collect() }
    }

    fn run(mut self) -> Box<[u16]> {
        if self.runners.is_empty() {
            return Box::default();
        }
        let mut waiting = Buckets::new(self.period, self.runners.len());
        let mut ready = Buckets::new(self.period, self.runners.len());
        for runner in 0..self.runners.len() {
            waiting.put(self.release(runner), runner as u16);
        }
        let picks = 1..=self.period;
        let pick = |slot| {
            while let Some(runner) = waiting.take_from(slot) {
                ready.put(self.deadline(usize::from(runner)), runner);
            }
            let runner =
                usize::from(ready.take_first().expect("by Tijdeman's theorem somebody may be picked"));
            self.runners[runner].had += 1;
            if self.runners[runner].had < self.runners[runner].all {
                waiting.put(self.release(runner).max(slot + 1), runner as u16);
            }
            self.runners[runner].index
        };
        picks.map(pick).collect()
    }

    /// The first slot that a runner's next pick may have: ⌈(had + 1 - d) / w⌉.
    fn release(&self, runner: usize) -> u32 {
        let (scale, Runner { all, had, .. }) = (self.scale(), &self.runners[runner]);
        (u64::from(self.period) * (had * scale + 1)).div_ceil(all * scale) as u32
    }

    /// The last slot that it may have: ⌊(had + d) / w⌋ + 1.
    fn deadline(&self, runner: usize) -> u32 {
        let (scale, Runner { all, had, .. }) = (self.scale(), &self.runners[runner]);
        (u64::from(self.period) * (had * scale + scale - 1) / (all * scale)) as u32 + 1
    }

    /// 1 / (1 - d). One alone is always picked.
    fn scale(&self) -> u64 {
        (2 * self.runners.len() as u64 - 2).max(1)
    }
}

/// Runners by slot, each in one slot at a time.
struct Buckets {
    /// The first runner of each slot.
    first: Vec<u16>,
    /// The one after a runner in its slot.
    next: Vec<u16>,
    /// Bits of the slots that have a runner, and bits of the words of those that are not 0.
    used: Vec<u64>,
    summary: [u64; 4],
}

/// No runner: there are at most 10,000.
const NOBODY: u16 = u16::MAX;

impl Buckets {
    fn new(slots: u32, runners: usize) -> Self {
        let slots = slots as usize + 1;
        Self {
            first: vec![NOBODY; slots],
            next: vec![NOBODY; runners],
            used: vec![0; slots.div_ceil(64)],
            summary: [0; 4],
        }
    }

    fn put(&mut self, slot: u32, runner: u16) {
        let slot = slot as usize;
        self.next[usize::from(runner)] = std::mem::replace(&mut self.first[slot], runner);
        self.used[slot / 64] |= 1 << (slot % 64);
        self.summary[slot / 4_096] |= 1 << (slot / 64 % 64);
    }

    /// Takes a runner out of the earliest slot that has one.
    fn take_first(&mut self) -> Option<u16> {
        let top = self.summary.iter().position(|word| *word != 0)?;
        let word = top * 64 + self.summary[top].trailing_zeros() as usize;
        self.take_from((word * 64) as u32 + self.used[word].trailing_zeros())
    }

    /// Takes a runner out of a slot.
    fn take_from(&mut self, slot: u32) -> Option<u16> {
        let slot = slot as usize;
        let runner = self.first[slot];
        if runner == NOBODY {
            return None;
        }
        self.first[slot] = self.next[usize::from(runner)];
        if self.first[slot] == NOBODY {
            self.used[slot / 64] &= !(1 << (slot % 64));
            if self.used[slot / 64] == 0 {
                self.summary[slot / 4_096] &= !(1 << (slot / 64 % 64));
            }
        }
        Some(runner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::weight::{Weight, apportion};

    fn shares(routes: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u32>> {
        let part = prop_oneof![1 => Just(0_u64), 2 => 1_u64..5, 4 => 1_u64..1_000, 1 => 1_u64..100_000];
        prop::collection::vec(part, routes).prop_map(|parts| {
            apportion(Weight::FULL, &parts).into_iter().map(|weight| u32::from(weight.hundredths())).collect()
        })
    }

    fn assert_within_tijdemans_bound(shares: &[u32]) -> Result<(), TestCaseError> {
        let (cycle, period) = (Cycle::default(), period(shares));
        let picks = cycle.picks(shares);
        prop_assert_eq!(picks.len(), period as usize);
        let routes: i64 = shares.iter().map(|share| i64::from(*share > 0)).sum();
        let mut counts = vec![0_i64; shares.len()];
        for (n, pick) in (1..).zip(picks) {
            counts[usize::from(*pick)] += 1;
            for (count, share) in counts.iter().zip(shares) {
                // |count - n·share| <= 1 - 1 / (2·routes - 2), in whole numbers.
                let off = (count * i64::from(WHOLE) - n * i64::from(*share)).abs();
                prop_assert!(
                    off * (2 * routes - 2) <= i64::from(WHOLE) * (2 * routes - 3).max(0),
                    "{n}: {off}"
                );
            }
        }
        for (count, share) in counts.iter().zip(shares) {
            prop_assert_eq!(count * i64::from(WHOLE), i64::from(period) * i64::from(*share));
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(crate::tests::cases(1_000))]

        #[test]
        fn no_route_is_ever_a_whole_pick_ahead_or_behind(shares in shares(1..12)) {
            prop_assume!(shares.iter().any(|share| *share > 0));
            assert_within_tijdemans_bound(&shares)?;
        }
    }

    proptest! {
        #![proptest_config(crate::tests::cases(30))]

        #[test]
        fn nor_is_one_of_many(shares in shares(90..130)) {
            prop_assume!(shares.iter().any(|share| *share > 0));
            assert_within_tijdemans_bound(&shares)?;
        }
    }

    #[test]
    fn rounds_are_as_short_as_shares_allow() {
        for (shares, expected) in [
            (&[10_000][..], 1),
            (&[9_500, 500], 20),
            (&[0, 9_900, 100], 100),
            (&[9_999, 1], 10_000),
            (&vec![1; 10_000], 10_000),
            (&[5_000, 2_500, 2_500], 4),
        ] {
            assert_eq!(Cycle::default().picks(shares).len(), expected);
        }
        assert!(Cycle::default().picks(&[0, 0]).is_empty());
        assert!(Cycle::default().picks(&[]).is_empty());
    }
}
