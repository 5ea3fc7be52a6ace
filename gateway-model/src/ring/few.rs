//! Offers among few contenders.

use super::{
    holding::{Held, Holding},
    offers::{Offers, Seeker},
    race::Race,
};

/// Slots at once, so that what is written about them stays in the nearest cache.
const BLOCK: usize = 256;

/// What every slot costs everybody is looked up once, and the cheapest offer of each to each is kept up to date.
/// Upper bits of costs nearly always tell which offer is cheaper; so whole costs are computed of few.
pub(super) struct Few<'a> {
    race: &'a Race,
    count: u32,
    total: usize,
    /// How much higher upper bits of its costs are for everybody than for its owner, by contender, then by slot.
    gaps: Vec<i32>,
    /// By owner, then by taker.
    best: Vec<Best>,
}

/// The cheapest offer of one to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Best {
    extra: i64,
    index: u32,
}

const NONE: Best = Best { extra: i64::MAX, index: u32::MAX };

impl<'a> Few<'a> {
    /// With the holding in which everybody has what costs least.
    pub(super) fn new(race: &'a Race, slots: Vec<u32>) -> (Self, Holding) {
        let (count, total) = (race.len(), slots.len());
        let words: Vec<u16> = slots.iter().map(|slot| *slot as u16).collect();
        let mut uppers = vec![0; total * count];
        for who in 0..count {
            race.upper_costs(who, &words, &mut uppers[who * total..][..total]);
        }
        let (mut nows, mut owners, mut is_tied) = (vec![i32::MAX; total], vec![0; total], vec![false; total]);
        for start in (0..total).step_by(BLOCK) {
            let block = start..total.min(start + BLOCK);
            for who in 0..count {
                let costs = uppers[who * total..][block.clone()].iter();
                let least = nows[block.clone()].iter_mut().zip(&mut owners[block.clone()]);
                // No branch depends on what is found, so that vector units do this.
                for ((cost, (now, owner)), is_tied) in costs.zip(least).zip(&mut is_tied[block.clone()]) {
                    *is_tied = *cost == *now || *is_tied && *cost > *now;
                    *owner = if *cost < *now { who as u32 } else { *owner };
                    *now = (*now).min(*cost);
                }
            }
        }
        // Whom upper bits do not tell apart.
        for index in (0..total).filter(|index| is_tied[*index]) {
            let tied = (0..count).filter(|who| uppers[who * total + index] == nows[index]);
            let least = tied.min_by_key(|who| race.whole_cost(*who, slots[index], nows[index]));
            owners[index] = least.map_or(owners[index], |who| who as u32);
        }
        let mut gaps = uppers;
        for who in 0..count {
            gaps[who * total..][..total].iter_mut().zip(&nows).for_each(|(upper, now)| *upper -= now);
        }
        let held = owners.into_iter().zip(nows).map(|(owner, upper)| Held { owner, upper }).collect();
        let few = Self { race, count: count as u32, total, gaps, best: Vec::new() };
        (few, Holding::new(slots, held, count))
    }

    fn column(&self, who: u32) -> &[i32] {
        &self.gaps[who as usize * self.total..][..self.total]
    }

    fn extra(&self, holding: &Holding, index: u32, taker: u32) -> i64 {
        let (slot, Held { owner, upper }) = (holding.slots[index as usize], holding.held[index as usize]);
        let gap = self.column(taker)[index as usize];
        self.race.whole_cost(taker as usize, slot, upper + gap)
            - self.race.whole_cost(owner as usize, slot, upper)
    }

    /// The cheapest offer of an owner to a taker.
    fn cheapest(&self, holding: &Holding, owner: u32, taker: u32) -> Best {
        let (list, column) = (&holding.owned[owner as usize], self.column(taker));
        // The two least at once, with their indices below them: no branch depends on what is found.
        let (mut first, mut second) = (i64::MAX, i64::MAX);
        for index in list {
            let key = i64::from(column[*index as usize]) << 32 | i64::from(*index);
            second = second.min(key.max(first));
            first = first.min(key);
        }
        let best = |index: u32| Best { extra: self.extra(holding, index, taker), index };
        // What lower bits add to one and take from the other is less than 1.
        let most = ((first >> 32) as i32).saturating_add(1);
        if list.is_empty() {
            NONE
        } else if (second >> 32) as i32 > most {
            best(first.cast_unsigned() as u32)
        } else {
            let close = list.iter().filter(|index| column[**index as usize] <= most);
            close.map(|index| best(*index)).min().unwrap_or(NONE)
        }
    }
}

impl Offers for Few<'_> {
    fn prepare(&mut self, holding: &Holding) {
        let pairs = (0..self.count).flat_map(|owner| (0..self.count).map(move |taker| (owner, taker)));
        let best = |(owner, taker)| if owner == taker { NONE } else { self.cheapest(holding, owner, taker) };
        self.best = pairs.map(best).collect();
    }

    fn best_of(&self, _: &Holding, owner: u32, _: i64, seeker: &mut impl Seeker) {
        let row = &self.best[(owner * self.count) as usize..][..self.count as usize];
        for (Best { extra, index }, other) in row.iter().zip(0..) {
            if *index != u32::MAX {
                seeker.see(other, *index, *extra, || *extra);
            }
        }
    }

    fn best_to(&self, _: &Holding, taker: u32, seeker: &mut impl Seeker) {
        let column = self.best.iter().skip(taker as usize).step_by(self.count as usize);
        for (Best { extra, index }, other) in column.zip(0..) {
            if *index != u32::MAX {
                seeker.see(other, *index, *extra, || *extra);
            }
        }
    }

    fn give(&mut self, holding: &mut Holding, index: u32, to: u32) {
        let Held { owner: from, upper } = holding.held[index as usize];
        let gap = self.column(to)[index as usize];
        holding.give(index, Held { owner: to, upper: upper + gap });
        self.gaps.iter_mut().skip(index as usize).step_by(self.total).for_each(|other| *other -= gap);
        for taker in (0..self.count).filter(|taker| *taker != to) {
            let offer = Best { extra: self.extra(holding, index, taker), index };
            let best = &mut self.best[(to * self.count + taker) as usize];
            *best = offer.min(*best);
        }
        for taker in 0..self.count {
            let place = (from * self.count + taker) as usize;
            if self.best[place].index == index {
                self.best[place] = self.cheapest(holding, from, taker);
            }
        }
    }
}
