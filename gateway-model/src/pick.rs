//! Low-discrepancy picks: after n picks every route has had n·w of them, give or take less than two.
//!
//! Not coin flips, so that 1 % of 100 requests is 1. The sequence is Tijdeman's (*The chairman assignment
//! problem*, 1980): of the routes that are owed a pick, the one whose next pick is due first. No route is ever
//! a whole pick ahead or behind. Its shares are hundredths of a percent, so that after 10,000 picks at most it
//! begins again: one round is worked out for all pickers of a gateway, and a pick is the next entry of it. Each
//! picker enters the round of each gateway at a point of its own, every point with the same chance: many workers,
//! nodes and gateways together do not all begin with the same route, and on average nobody is early or late.

mod cycle;

use crate::{hash, plan::l7::L7Gateway, weight::Weight};

pub(crate) use cycle::Cycle;

/// All of 100 % in the unit of shares.
const WHOLE: u32 = 10_000;

/// The picks of one worker for one gateway. Survives swaps of the route table: what has not changed goes on
/// where it was, a changed weight takes effect with the next pick.
#[derive(Clone, Debug)]
pub struct Picker {
    seed: u64,
    /// How often a round was entered: the next time it is entered elsewhere.
    entered: u64,
    /// The gateway's revision that the streams are for.
    revision: Option<u64>,
    /// For requests that no condition matched.
    unmatched: Stream,
    /// For requests that a condition matched, by its index: a place of their own, so that the captured
    /// requests of one condition cannot beat in time with the picks of the others.
    matched: Vec<Stream>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    /// What the place is for: names, shares and condition. Zero: none yet.
    key: u64,
    /// Place in the round.
    at: u32,
    /// What the captures are for: route and condition.
    capture_key: u64,
    /// Captures owed, in hundredths of a percent, below a whole one.
    owed: u32,
}

impl Picker {
    /// A new one; `seed` tells workers and nodes apart.
    pub fn new(seed: u64) -> Self {
        Self { seed, entered: 0, revision: None, unmatched: Stream::default(), matched: Vec::new() }
    }

    /// Adapts to a gateway that has changed; does nothing otherwise.
    pub(crate) fn follow(&mut self, gateway: &L7Gateway) {
        if self.revision == Some(gateway.revision()) {
            return;
        }
        self.revision = Some(gateway.revision());
        let own = hash::bytes(0, gateway.key.to_string().as_bytes());
        let shares = gateway.routes.iter().zip(gateway.shares());
        let shares_key = shares.fold(hash::mix(own, 1), |key, (route, share)| {
            hash::mix(hash::bytes(key, route.name.0.as_bytes()), u64::from(*share))
        });
        let period = gateway.picks().len() as u32;
        if self.unmatched.key != shares_key {
            self.unmatched.key = shares_key;
            self.unmatched.at = self.enter(shares_key, period);
        }
        let old = std::mem::take(&mut self.matched);
        for condition in &gateway.conditions {
            let name = &gateway.routes[condition.route].name;
            let capture_key = hash::bytes(hash::mix(own, 2), name.0.as_bytes());
            let capture_key = hash::bytes(capture_key, condition.condition.to_string().as_bytes());
            let key = hash::mix(shares_key, capture_key);
            let mut stream = old
                .iter()
                .find(|stream| stream.capture_key == capture_key)
                .cloned()
                .unwrap_or_else(|| Stream { owed: self.phase(capture_key, WHOLE), ..Stream::default() });
            stream.capture_key = capture_key;
            if stream.key != key {
                stream.key = key;
                stream.at = self.enter(key, period);
            }
            self.matched.push(stream);
        }
    }

    /// A place of this picker's own in a round.
    fn enter(&mut self, key: u64, period: u32) -> u32 {
        self.entered += 1;
        self.phase(hash::mix(key, self.entered), period)
    }

    /// A number below `bound` that depends on the seed.
    fn phase(&self, key: u64, bound: u32) -> u32 {
        ((u128::from(hash::mix(self.seed, key)) * u128::from(bound)) >> 64) as u32
    }

    /// Whether the condition of that index takes this matching request.
    pub(crate) fn captures(&mut self, condition: usize, strength: Weight) -> bool {
        let owed = &mut self.matched[condition].owed;
        *owed += u32::from(strength.hundredths());
        let captures = *owed >= WHOLE;
        if captures {
            *owed -= WHOLE;
        }
        captures
    }

    /// The weighted pick for a request that matched this condition, or none; `picks` are the gateway's.
    pub(crate) fn pick(&mut self, matched: Option<usize>, picks: &[u16]) -> Option<usize> {
        let stream = match matched {
            Some(index) => &mut self.matched[index],
            None => &mut self.unmatched,
        };
        let pick = picks.get(stream.at as usize).or_else(|| {
            stream.at = 0;
            picks.first()
        })?;
        stream.at += 1;
        Some(usize::from(*pick))
    }
}

#[cfg(test)]
mod tests;
