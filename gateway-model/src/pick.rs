//! Low-discrepancy picks: after n picks every route has had n·w of them, give or take less than two.
//!
//! Not coin flips, so that 1 % of 100 requests is 1. The sequence is Tijdeman's (*The chairman assignment
//! problem*, 1980): of the routes that are owed a pick, the one whose next pick is due first. No route is ever
//! a whole pick ahead or behind. Each picker enters the sequence at a point of its own, so that many workers
//! and nodes together do not all begin with the same route.

mod sequence;

use crate::{hash, plan::l7::L7Gateway, weight::Weight};

use sequence::Sequence;

/// All of 100 % in the unit of shares.
const WHOLE: u32 = 10_000;

/// The picks of one worker for one gateway. Survives swaps of the route table: what has not changed goes on
/// where it was, a changed weight takes effect with the next pick.
#[derive(Clone, Debug)]
pub struct Picker {
    seed: u64,
    /// How often sequences were begun: a sequence that begins again begins elsewhere.
    begun: u64,
    /// The gateway's revision that the streams are for.
    revision: Option<u64>,
    /// For requests that no condition matched.
    unmatched: Stream,
    /// For requests that a condition matched, by its index: a sequence of their own, so that the captured
    /// requests of one condition cannot beat in time with the picks of the others.
    matched: Vec<Stream>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    /// What the sequence is for: names, shares and condition. Zero: none yet.
    key: u64,
    sequence: Sequence,
    /// What the captures are for: route and condition.
    capture_key: u64,
    /// Captures owed, in hundredths of a percent, below a whole one.
    owed: u32,
}

impl Picker {
    /// A new one; `seed` tells workers and nodes apart.
    pub fn new(seed: u64) -> Self {
        Self { seed, begun: 0, revision: None, unmatched: Stream::default(), matched: Vec::new() }
    }

    /// Adapts to a gateway that has changed; does nothing otherwise.
    pub(crate) fn follow(&mut self, gateway: &L7Gateway) {
        if self.revision == Some(gateway.revision()) {
            return;
        }
        self.revision = Some(gateway.revision());
        let shares_key = gateway.routes.iter().zip(gateway.shares()).fold(1, |key, (route, share)| {
            hash::mix(hash::bytes(key, route.name.0.as_bytes()), u64::from(*share))
        });
        self.begin(shares_key, gateway.shares());
        let old = std::mem::take(&mut self.matched);
        for condition in &gateway.conditions {
            let name = &gateway.routes[condition.route].name;
            let capture_key =
                hash::bytes(hash::bytes(2, name.0.as_bytes()), condition.condition.to_string().as_bytes());
            let key = hash::mix(shares_key, capture_key);
            let mut stream = old
                .iter()
                .find(|stream| stream.capture_key == capture_key)
                .cloned()
                .unwrap_or_else(|| Stream { owed: self.phase(capture_key, WHOLE), ..Stream::default() });
            stream.capture_key = capture_key;
            if stream.key != key {
                stream.key = key;
                stream.sequence = self.sequence(key, gateway.shares());
            }
            self.matched.push(stream);
        }
    }

    fn begin(&mut self, key: u64, shares: &[u32]) {
        if self.unmatched.key != key {
            self.unmatched = Stream { key, sequence: self.sequence(key, shares), ..Stream::default() };
        }
    }

    /// A sequence that begins at a point of this picker's own.
    fn sequence(&mut self, key: u64, shares: &[u32]) -> Sequence {
        self.begun += 1;
        let phase = self.phase(hash::mix(key, self.begun), sequence::period(shares));
        Sequence::begun_at(phase, shares)
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

    /// The weighted pick for a request that matched this condition, or none.
    pub(crate) fn pick(&mut self, matched: Option<usize>, shares: &[u32]) -> Option<usize> {
        let stream = match matched {
            Some(index) => &mut self.matched[index],
            None => &mut self.unmatched,
        };
        stream.sequence.next(shares)
    }
}

#[cfg(test)]
mod tests;
