//! Who may have which slot where contenders are many: those who ask for it early.

use std::ops::Range;

use super::race::Race;

/// How many slots a contender that may have this one asks for before it, and who he is: 16 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u32);

impl Ticket {
    fn new(contender: u32, rank: u16) -> Self {
        Self(u32::from(rank) << 16 | contender)
    }

    /// The contender.
    pub(super) fn contender(self) -> u32 {
        self.0 & 0xffff
    }

    /// The rank of the slot in his order.
    pub(super) fn rank(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

/// Tickets by slot, by rank. A contender has them for the first slots that he asks for, for as many as make a given
/// number per slot; where nobody asked, those who would soonest have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tickets {
    all: Vec<Ticket>,
    /// Where each slot's begin; one more than there are slots.
    starts: Vec<u32>,
    /// Ranks below this have tickets.
    depth: u32,
    /// Slots that nobody asked for.
    lonely: Vec<u32>,
    /// The index of each slot of the ring, or [`ABSENT`]; empty if all slots are there.
    index: Vec<u32>,
}

const ABSENT: u32 = u32::MAX;

/// Slots that are looked at together.
const BLOCK: usize = 64;

/// Tickets of a slot that nobody asked for.
const FOR_LONELY: usize = 8;

impl Tickets {
    /// Gives out about `per_slot` tickets for each of `slots`.
    pub(super) fn collect(race: &Race, slots: &[u32], per_slot: u32) -> Self {
        let mut index = Vec::new();
        if slots.len() < race.size() as usize {
            index.resize(race.size() as usize, ABSENT);
            for (slot, at) in slots.iter().zip(0..) {
                index[*slot as usize] = at;
            }
        }
        let depth = Self::depth(race, per_slot);
        let empty =
            Self { all: Vec::new(), starts: vec![0; slots.len() + 1], depth: 0, lonely: Vec::new(), index };
        let nobody_yet = vec![None; race.len()];
        empty.change(race, slots, &nobody_yet, &[], depth).0
    }

    /// How many of his first slots a contender gets a ticket for, so that there are about `per_slot` for each.
    pub(super) fn depth(race: &Race, per_slot: u32) -> u32 {
        let ranks = (u64::from(per_slot) * u64::from(race.size())).div_ceil(race.len() as u64);
        ranks.min(u64::from(race.size())) as u32
    }

    /// The tickets of a slot.
    pub(super) fn of(&self, index: u32) -> &[Ticket] {
        &self.all[self.starts[index as usize] as usize..self.starts[index as usize + 1] as usize]
    }

    /// Shows the slots that a contender has tickets for, with their ranks.
    pub(super) fn held_by(&self, race: &Race, slots: &[u32], who: u32, mut show: impl FnMut(u32, u16)) {
        let mut show_all = |block: &[(u32, u16)]| block.iter().for_each(|(index, rank)| show(*index, *rank));
        self.early(race, slots, who, 0..self.depth, &mut show_all);
        for index in &self.lonely {
            if let Some(ticket) = self.of(*index).iter().find(|ticket| ticket.contender() == who) {
                show_all(&[(*index, ticket.rank())]);
            }
        }
    }

    /// Shows slots of these ranks, on the shorter way, in blocks: so what looks at them is one quick loop.
    fn early(
        &self,
        race: &Race,
        slots: &[u32],
        who: u32,
        ranks: Range<u32>,
        show: &mut impl FnMut(&[(u32, u16)]),
    ) {
        let mut block = [(0, 0); BLOCK];
        let mut words = [0; BLOCK];
        if ranks.len() > slots.len() {
            for (slots, first) in slots.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
                race.ranks(who as usize, slots, &mut words);
                let found = words[..slots.len()].iter().zip(first..);
                let wanted = found.filter(|(rank, _)| ranks.contains(&u32::from(**rank)));
                let places = block.iter_mut().zip(wanted.map(|(rank, index)| (index, *rank)));
                let count = places.map(|(place, found)| *place = found).count();
                show(&block[..count]);
            }
        } else {
            for first in ranks.clone().step_by(BLOCK) {
                race.slots(who as usize, first as u16, &mut words);
                let found = words.iter().zip(first..ranks.end).map(|(slot, rank)| {
                    let slot = u32::from(*slot);
                    (self.index.get(slot as usize).copied().unwrap_or(slot), rank as u16)
                });
                let wanted = found.filter(|(index, _)| *index != ABSENT);
                let places = block.iter_mut().zip(wanted);
                let count = places.map(|(place, found)| *place = found).count();
                show(&block[..count]);
            }
        }
    }

    /// The tickets after contenders have come and gone, with the slots that have new ones. `before` says who each
    /// contender was, `now` who each one of before is.
    pub(super) fn change(
        mut self,
        race: &Race,
        slots: &[u32],
        before: &[Option<u32>],
        now: &[Option<u32>],
        depth: u32,
    ) -> (Self, Vec<u32>) {
        let (fresh, starts) = self.fresh(race, slots, before, depth);
        let mut gone = self.renumber(now, depth).into_iter().peekable();
        let mut all = Vec::with_capacity(self.all.len() + fresh.len());
        let mut ends = Vec::with_capacity(slots.len() + 1);
        let (mut lonely, mut renewed) = (Vec::new(), Vec::new());
        let mut was_lonely = std::mem::take(&mut self.lonely).into_iter().peekable();
        // Tickets before this are in `all`, or gone.
        let mut done = 0;
        ends.push(0);
        for (slot, index) in slots.iter().zip(0..) {
            let new = &fresh[starts[index as usize] as usize..starts[index as usize + 1] as usize];
            let old = self.starts[index as usize]..self.starts[index as usize + 1];
            let is_kept = was_lonely.next_if_eq(&index).is_none();
            if is_kept && new.is_empty() && !old.is_empty() && gone.peek().is_none_or(|gone| *gone >= old.end)
            {
                ends.push((all.len() + old.end as usize - done) as u32);
                continue;
            }
            all.extend_from_slice(&self.all[done..old.start as usize]);
            done = old.end as usize;
            let begin = all.len();
            for place in old {
                if gone.next_if_eq(&place).is_none() && is_kept {
                    all.push(self.all[place as usize]);
                }
            }
            if !new.is_empty() {
                all.extend_from_slice(new);
                all[begin..].sort_unstable();
            }
            if all.len() == begin {
                lonely.push(index);
                all.extend(Self::soonest(race, *slot));
            }
            if !new.is_empty() || lonely.last() == Some(&index) {
                renewed.push(index);
            }
            ends.push(all.len() as u32);
        }
        all.extend_from_slice(&self.all[done..]);
        (Self { all, starts: ends, depth, lonely, index: self.index }, renewed)
    }

    /// Brings contenders' numbers up to date; which tickets are gone, as their contender is or are too late.
    fn renumber(&mut self, now: &[Option<u32>], depth: u32) -> Vec<u32> {
        let mut gone = Vec::new();
        for (ticket, place) in self.all.iter_mut().zip(0..) {
            match now[ticket.contender() as usize] {
                Some(who) if u32::from(ticket.rank()) < depth => *ticket = Ticket::new(who, ticket.rank()),
                _ => gone.push(place),
            }
        }
        gone
    }

    /// Tickets of those who ask for a slot soonest, though nobody does early.
    fn soonest(race: &Race, slot: u32) -> Vec<Ticket> {
        let mut all: Vec<Ticket> =
            (0..race.len()).map(|who| Ticket::new(who as u32, race.rank(who, slot))).collect();
        if all.len() > FOR_LONELY {
            all.select_nth_unstable(FOR_LONELY);
            all.truncate(FOR_LONELY);
        }
        all.sort_unstable();
        all
    }

    /// Tickets of new contenders, and of all for ranks that had none before: by slot, and where each slot's begin.
    fn fresh(
        &self,
        race: &Race,
        slots: &[u32],
        before: &[Option<u32>],
        depth: u32,
    ) -> (Vec<Ticket>, Vec<u32>) {
        let mut found: Vec<(u32, Ticket)> = Vec::new();
        let mut starts = vec![0_u32; slots.len() + 1];
        for (before, who) in before.iter().zip(0..) {
            let from = if before.is_some() { self.depth.min(depth) } else { 0 };
            self.early(race, slots, who, from..depth, &mut |block: &[(u32, u16)]| {
                for (index, rank) in block {
                    starts[*index as usize + 1] += 1;
                    found.push((*index, Ticket::new(who, *rank)));
                }
            });
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut all = vec![Ticket(0); found.len()];
        for (index, ticket) in found {
            all[next[index as usize] as usize] = ticket;
            next[index as usize] += 1;
        }
        (all, starts)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        4 * (self.all.capacity() + self.starts.capacity() + self.lonely.capacity() + self.index.capacity())
    }
}
