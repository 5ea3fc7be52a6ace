//! One level of a ring: contenders race for slots, then slots change hands until all counts are right.

use super::{cost, permutation::Permutation};
use crate::weight::Weight;

/// How many contenders per slot are looked at where there are many: with fewer, slots would too often have
/// nobody to go to; with more, time is lost on those that never win.
const TICKETS_PER_SLOT: u64 = 12;

/// Who wants slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender {
    order: Permutation,
    /// Breaks ties, differently at each slot.
    id: u32,
    /// 2^32 by weight; 0: all have the same weight, and the rank alone decides.
    slowness: u64,
}

/// How many slots a contender is to have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    /// At least.
    low: u32,
    /// At most.
    high: u32,
    /// With fewer than this it may take one for another's sake.
    takes_below: u32,
    /// With more than this it may give one for another's sake.
    gives_above: u32,
}

impl Quota {
    /// Exactly this many.
    pub(super) fn exactly(count: u32) -> Self {
        Self { low: count, high: count, takes_below: count, gives_above: count }
    }

    /// An equal part of `total`, give or take two slots or 2 %.
    pub(super) fn about(total: u32, parts: u32) -> Self {
        let fair = total / parts;
        let slack = (fair / 50).max(2);
        let ceiling = total.div_ceil(parts);
        Self {
            // Both bounds are within `slack` of the exact part, which lies between `fair` and `ceiling`.
            low: ceiling.saturating_sub(slack),
            high: fair + slack,
            takes_below: ceiling,
            gives_above: fair,
        }
    }
}

impl Quota {
    /// How far a count is out of bounds.
    fn distance(&self, count: u32) -> u32 {
        self.low.saturating_sub(count) + count.saturating_sub(self.high)
    }
}

impl Contender {
    /// One whose chance is its weight.
    pub(super) fn weighted(order: Permutation, id: u64, weight: Weight) -> Self {
        Self { order, id: id as u32, slowness: (1 << 32) / u64::from(weight.hundredths().max(1)) }
    }

    /// One of many with equal chances.
    pub(super) fn equal(order: Permutation, id: u64) -> Self {
        Self { order, id: id as u32, slowness: 0 }
    }

    /// The lower, the sooner it is there. Never 0.
    fn score(&self, rank: u32, slot: u32, costs: &[u32]) -> u64 {
        let tie = u64::from((self.id ^ slot.wrapping_mul(0x9e37_79b1)) >> 16);
        if self.slowness == 0 {
            return (u64::from(rank) + 1) << 16 | tie;
        }
        // 31 bits by 32 at most.
        (u64::from(costs[rank as usize]) * (self.slowness >> 1)) & !0xffff | tie | 1 << 16
    }
}

/// A contender that could have a slot.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    contender: u32,
    score: u64,
}

/// For each of `slots` the index of the contender that has it. There is at least one contender.
pub(super) fn run(size: u32, slots: &[u32], contenders: &[Contender], quotas: &[Quota]) -> Vec<u32> {
    let tickets = Tickets::collect(size, slots, contenders);
    let best = |index: usize| {
        tickets.of(index).iter().min_by_key(|ticket| (ticket.score, ticket.contender)).copied()
    };
    let mut winners: Vec<Ticket> =
        (0..slots.len()).map(|index| best(index).expect("every slot has a ticket")).collect();
    let mut counts = vec![0_u32; contenders.len()];
    for winner in &winners {
        counts[winner.contender as usize] += 1;
    }
    settle(&mut winners, &mut counts, quotas, |index| tickets.of(index));
    if is_wrong(&counts, quotas) {
        // Too few tickets for so uneven a race: look at everybody.
        let all = Tickets::of_everybody(size, slots, contenders);
        settle(&mut winners, &mut counts, quotas, |index| all.of(index));
    }
    winners.into_iter().map(|winner| winner.contender).collect()
}

fn is_wrong(counts: &[u32], quotas: &[Quota]) -> bool {
    counts.iter().zip(quotas).any(|(count, quota)| quota.distance(*count) > 0)
}

/// Lets slots change hands, those with the smallest margin first, until counts are within quotas or nobody in
/// reach can take another.
fn settle<'a>(
    winners: &mut [Ticket],
    counts: &mut [u32],
    quotas: &[Quota],
    tickets: impl Fn(usize) -> &'a [Ticket],
) {
    let mut changed = true;
    while changed && is_wrong(counts, quotas) {
        changed = false;
        for (_, index, ticket) in find_moves(winners, counts, quotas, &tickets) {
            let winner = &mut winners[index as usize];
            let (from, to) = (winner.contender as usize, ticket.contender as usize);
            let relieves = counts[from] > quotas[from].high && counts[to] < quotas[to].takes_below;
            let helps = counts[to] < quotas[to].low && counts[from] > quotas[from].gives_above;
            if from != to && (relieves || helps) {
                counts[from] -= 1;
                counts[to] += 1;
                *winner = ticket;
                changed = true;
            }
        }
    }
}

/// Moves from a contender that may give to one that may take: those with the smallest margins, in their order.
fn find_moves<'a>(
    winners: &[Ticket],
    counts: &[u32],
    quotas: &[Quota],
    tickets: &impl Fn(usize) -> &'a [Ticket],
) -> Vec<(u64, u32, Ticket)> {
    let state = |who: u32| (counts[who as usize], &quotas[who as usize]);
    let mut moves = Vec::new();
    for (winner, index) in winners.iter().zip(0_u32..) {
        let (count, quota) = state(winner.contender);
        if count <= quota.gives_above {
            continue;
        }
        let over = count > quota.high;
        for ticket in tickets(index as usize) {
            let (count, quota) = state(ticket.contender);
            if count < quota.low || (over && count < quota.takes_below) {
                // Positive numbers: their bits are in the order of their values.
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "rounded alike everywhere; ties are sorted below"
                )]
                let margin = (ticket.score as f64 / winner.score as f64).to_bits();
                moves.push((margin, index, *ticket));
            }
        }
    }
    // Hardly more than one move for each slot that is too many or missing is made: the others need no order.
    let wrong: u32 = counts.iter().zip(quotas).map(|(count, quota)| quota.distance(*count)).sum();
    let enough = 4 * wrong as usize + 64;
    let order = |(margin, index, ticket): &(u64, u32, Ticket)| (*margin, *index, ticket.contender);
    if moves.len() > enough {
        moves.select_nth_unstable_by_key(enough, order);
        moves.truncate(enough);
    }
    moves.sort_unstable_by_key(order);
    moves
}

/// Tickets by slot.
struct Tickets {
    all: Vec<Ticket>,
    /// Where each slot's begin; one more than there are slots.
    starts: Vec<u32>,
}

impl Tickets {
    fn of(&self, index: usize) -> &[Ticket] {
        &self.all[self.starts[index] as usize..self.starts[index + 1] as usize]
    }

    /// Tickets of everybody where that is cheap; else of those who ask for a slot early.
    fn collect(size: u32, slots: &[u32], contenders: &[Contender]) -> Self {
        // A ticket of everybody costs about three times what it costs to find that a slot is not among `slots`.
        let pairs = slots.len() as u64 * contenders.len() as u64;
        let many = contenders.len() as u64 > 2 * TICKETS_PER_SLOT;
        let sparse = contenders[0].slowness == 0 && many && 3 * pairs > TICKETS_PER_SLOT * u64::from(size);
        if sparse {
            Self::of_the_early(size, slots, contenders)
        } else {
            Self::of_everybody(size, slots, contenders)
        }
    }

    fn of_everybody(size: u32, slots: &[u32], contenders: &[Contender]) -> Self {
        let costs = if contenders[0].slowness == 0 { &[] } else { cost::table(size) };
        let mut all = Vec::with_capacity(slots.len() * contenders.len());
        for slot in slots {
            all.extend(contenders.iter().zip(0..).map(|(contender, index)| Ticket {
                contender: index,
                score: contender.score(contender.order.rank(*slot), *slot, costs),
            }));
        }
        let starts = (0..=slots.len()).map(|index| (index * contenders.len()) as u32).collect();
        Self { all, starts }
    }

    /// For equal contenders: the first ranks of each, as many as make [`TICKETS_PER_SLOT`] on average. A slot
    /// that nobody asked for gets everybody's.
    fn of_the_early(size: u32, slots: &[u32], contenders: &[Contender]) -> Self {
        const ABSENT: u32 = u32::MAX;
        let mut position = vec![ABSENT; size as usize];
        for (index, slot) in slots.iter().enumerate() {
            position[*slot as usize] = index as u32;
        }
        let ranks =
            (TICKETS_PER_SLOT * u64::from(size)).div_ceil(contenders.len() as u64).min(u64::from(size));
        let mut found: Vec<(u32, Ticket)> = Vec::new();
        let mut counts = vec![0_u32; slots.len()];
        for (contender, number) in contenders.iter().zip(0..) {
            for rank in 0..ranks as u32 {
                let slot = contender.order.slot(rank);
                let index = position[slot as usize];
                if index != ABSENT {
                    counts[index as usize] += 1;
                    found
                        .push((index, Ticket { contender: number, score: contender.score(rank, slot, &[]) }));
                }
            }
        }
        for (index, slot) in
            slots.iter().enumerate().filter(|(index, _)| counts[*index] == 0).collect::<Vec<_>>()
        {
            counts[index] = contenders.len() as u32;
            found.extend(contenders.iter().zip(0..).map(|(contender, number)| {
                let score = contender.score(contender.order.rank(*slot), *slot, &[]);
                (index as u32, Ticket { contender: number, score })
            }));
        }
        Self::sort(found, &counts)
    }

    fn sort(found: Vec<(u32, Ticket)>, counts: &[u32]) -> Self {
        let mut starts = Vec::with_capacity(counts.len() + 1);
        let mut sum = 0;
        for count in counts {
            starts.push(sum);
            sum += count;
        }
        starts.push(sum);
        let mut next = starts.clone();
        let mut all = vec![Ticket { contender: 0, score: 0 }; found.len()];
        for (index, ticket) in found {
            all[next[index as usize] as usize] = ticket;
            next[index as usize] += 1;
        }
        Self { all, starts }
    }
}
