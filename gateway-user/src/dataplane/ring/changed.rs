//! When slots last changed, in seconds of the data plane's clock: a byte for each slot of a ring that changes, none for
//! one that rests.

/// Seconds by slot.
#[derive(Debug)]
pub(super) enum ChangedAt {
    /// All at once.
    All(u32),
    /// Each for itself.
    Each(Each),
}

/// Slots by the number of their second.
#[derive(Debug)]
pub(super) struct Each {
    seconds: Vec<u32>,
    numbers: Box<[u8]>,
}

impl ChangedAt {
    /// The second of a slot; of slots that changed long ago it may be a later one.
    pub(super) fn get(&self, at: usize) -> u32 {
        match self {
            Self::All(second) => *second,
            Self::Each(each) => each.seconds[usize::from(each.numbers[at])],
        }
    }

    /// A slot of a ring of this many changes now.
    pub(super) fn set(&mut self, at: usize, second: u32, slots: usize) {
        match self {
            Self::All(all) if *all == second => {}
            Self::All(all) => {
                let mut each = Each { seconds: vec![*all], numbers: vec![0; slots].into() };
                each.set(at, second);
                *self = Self::Each(each);
            }
            Self::Each(each) => each.set(at, second),
        }
    }
}

impl Each {
    fn set(&mut self, at: usize, second: u32) {
        let known = self.seconds.iter().rposition(|known| *known == second);
        let number = known.unwrap_or_else(|| {
            if self.seconds.len() > usize::from(u8::MAX) {
                self.make_room();
            }
            self.seconds.push(second);
            self.seconds.len() - 1
        });
        self.numbers[at] = number as u8;
    }

    /// Numbers that no slot has go. Where each has one, the older half of the seconds becomes one of them, the latest: a
    /// slot may settle later for that, never sooner.
    fn make_room(&mut self) {
        let mut used: Vec<u32> =
            self.numbers.iter().map(|number| self.seconds[usize::from(*number)]).collect();
        used.sort_unstable();
        used.dedup();
        if used.len() > usize::from(u8::MAX) {
            used.drain(..used.len() / 2);
        }
        for number in &mut self.numbers {
            let second = self.seconds[usize::from(*number)];
            *number = used.partition_point(|known| *known < second) as u8;
        }
        self.seconds = used;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_slot_changed_later_than_is_remembered_and_of_few_seconds_each_is_exact(
            changes in prop::collection::vec((0_usize..512, 0_u32..3), 0..1500),
        ) {
            let (mut changed, mut exact, mut now) = (ChangedAt::All(7), vec![7; 512], 7);
            for (at, pause) in changes {
                now += pause;
                changed.set(at, now, 512);
                exact[at] = now;
                prop_assert_eq!(changed.get(at), now);
            }
            let mut seconds = exact.clone();
            seconds.sort_unstable();
            seconds.dedup();
            for (at, second) in exact.iter().enumerate() {
                prop_assert!((*second..=now).contains(&changed.get(at)));
                prop_assert!(seconds.len() > 127 || changed.get(at) == *second);
            }
        }
    }
}
