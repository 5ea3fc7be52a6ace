//! What a node does about the Leases of addresses: pure, with the clock passed in.
//!
//! Only what this node has seen itself counts: clocks of two machines are never compared. A Lease is written only in
//! the version that was seen, so of two who take it one wins, and nobody takes one that was renewed unseen.

mod due;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    super::{
        facts::{Fact as _, Key},
        store::{Event, Store},
    },
    told::{Answers, Told},
    write::{Done, Outcome},
};
use crate::control::translate::LeaseFacts;

pub(super) use self::due::{Step, Wish};

/// A holder renews this often.
pub(super) const RENEW: Duration = Duration::from_secs(4);
/// What failed is tried again after this time.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// A Lease, and what this node knows of it.
#[derive(Debug)]
struct Claim {
    lease: LeaseFacts,
    /// Since when it was seen in this state: with this holder, renewed then.
    seen: Instant,
    /// When it is to be renewed, where this node holds it.
    due: Instant,
    /// Since when this node may hold it.
    may_since: Option<Instant>,
    /// The last try failed.
    not_before: Option<Instant>,
    is_busy: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Claims {
    node: String,
    listed: Store<()>,
    known: BTreeMap<Key, Claim>,
    told: Option<Told>,
    /// The API server was away, and nobody has heard of it since: that nothing is renewed means nothing.
    is_lost: bool,
    is_looking: bool,
    look_not_before: Option<Instant>,
    doubtful_since: Option<Instant>,
}

impl Claims {
    /// Of the node with this name; nothing is known yet.
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            listed: Store::default(),
            known: BTreeMap::new(),
            told: None,
            is_lost: false,
            is_looking: false,
            look_not_before: None,
            doubtful_since: None,
        }
    }

    /// Takes note of what the watch tells.
    pub(super) fn note(&mut self, event: Event<LeaseFacts>, now: Instant) {
        for (key, lease) in self.listed.note(event) {
            self.set(key, lease, now);
        }
        self.doubtful_since = self.listed.is_doubtful().then(|| self.doubtful_since.unwrap_or(now));
    }

    /// Takes note of what the agent says.
    pub(super) fn tell(&mut self, told: Option<Told>, now: Instant) {
        self.told = told;
        for claim in self.known.values_mut() {
            let may = self.told.as_ref().is_some_and(|told| told.may_answer(claim.lease.address));
            claim.may_since = may.then(|| claim.may_since.unwrap_or(now));
        }
    }

    /// The API server is away: only once it is heard of again, time counts against holders.
    pub(super) fn lose(&mut self, now: Instant) {
        if !self.is_lost {
            self.is_lost = true;
            self.look_not_before = Some(now + RETRY);
        }
    }

    /// Takes note of what came of a step.
    pub(super) fn end(&mut self, done: Done, now: Instant) {
        match done {
            Done::Written(key, outcome) => {
                let Some(claim) = self.known.get_mut(&key) else { return };
                claim.is_busy = false;
                match outcome {
                    Outcome::Is(lease) => self.set(key, Some(lease), now),
                    Outcome::Gone => self.set(key, None, now),
                    Outcome::Failed => {
                        claim.not_before = Some(now + RETRY);
                        self.lose(now);
                        return;
                    }
                }
                self.find(now);
            }
            Done::Looked(found) => {
                self.is_looking = false;
                let Some(found) = found else {
                    self.look_not_before = Some(now + RETRY);
                    return;
                };
                for lease in found {
                    self.set(lease.key(), Some(lease), now);
                }
                self.find(now);
            }
        }
    }

    fn find(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_lost) {
            for claim in self.known.values_mut() {
                claim.seen = now;
            }
        }
    }

    fn set(&mut self, key: Key, lease: Option<LeaseFacts>, now: Instant) {
        self.listed.set(&key, lease.as_ref().map(|_| ().into()));
        let Some(lease) = lease else {
            self.known.remove(&key);
            return;
        };
        let may = self.told.as_ref().is_some_and(|told| told.may_answer(lease.address));
        match self.known.get_mut(&key).filter(|known| known.lease.uid == lease.uid) {
            // What was written comes back before the watch tells of what was before.
            Some(known) if known.lease.version >= lease.version => {}
            Some(known) => {
                if (&known.lease.holder, &known.lease.renewed) != (&lease.holder, &lease.renewed) {
                    (known.seen, known.due, known.not_before) = (now, now + RENEW, None);
                }
                known.lease = lease;
            }
            // Nobody knows for how long it was not renewed: one that is this node's already is renewed at once.
            None => {
                let may_since = may.then_some(now);
                let claim = Claim { lease, seen: now, due: now, may_since, not_before: None, is_busy: false };
                self.known.insert(key, claim);
            }
        }
    }

    fn is_own(&self, lease: &LeaseFacts) -> bool {
        lease.holder.as_ref() == Some(&self.node)
    }

    /// What the kernel is to answer for; `None` while that is not known: then it goes on as it does.
    pub(super) fn answers(&self) -> Option<Answers> {
        let told = self.told.as_ref().filter(|_| self.listed.is_known())?;
        let answer = |lease: &LeaseFacts| {
            if told.is_leaving {
                told.does_answer(lease.address) && (lease.holder.is_none() || self.is_own(lease))
            } else {
                told.may_answer(lease.address) && self.is_own(lease)
            }
        };
        Some(self.known.values().map(|claim| (claim.lease.address, answer(&claim.lease))).collect())
    }
}

#[cfg(test)]
mod tests;
