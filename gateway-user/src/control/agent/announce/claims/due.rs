//! What is to be done about Leases, and when.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Claim, Claims};
use crate::control::{agent::facts::Key, translate::LeaseFacts};

/// Of those who may take a free Lease each waits for a time of its own up to this, so that addresses spread over nodes.
pub(super) const SPREAD: Duration = Duration::from_secs(1);
/// For so long an empty list is doubted where there were Leases before.
const DOUBT: Duration = Duration::from_secs(15);

/// What is to be done about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Wish {
    /// This node holds it, and goes on.
    Renew,
    /// It is free, or nobody renews it.
    Take,
    /// This node holds it, and is not to.
    Release,
}

/// What is to be asked of the API server.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// To write a Lease, as it was seen.
    Write(LeaseFacts, Wish),
    /// Which Leases there are.
    Look,
}

impl Claims {
    /// What is to be done now.
    pub(in super::super) fn steps(&mut self, now: Instant) -> Vec<Step> {
        if self.doubtful_since.is_some_and(|since| since + DOUBT <= now) {
            self.doubtful_since = None;
            for (key, lease) in self.listed.believe() {
                self.set(key, lease, now);
            }
        }
        let due: Vec<(Key, Wish)> = self
            .known
            .iter()
            .filter_map(|(key, claim)| {
                let (at, wish) = self.wish(claim)?;
                (at <= now).then(|| (key.clone(), wish))
            })
            .collect();
        let mut steps = Vec::new();
        for (key, wish) in due {
            let Some(claim) = self.known.get_mut(&key) else { continue };
            claim.is_busy = true;
            steps.push(Step::Write(claim.lease.clone(), wish));
        }
        if self.look_at().is_some_and(|at| at <= now) {
            self.is_looking = true;
            steps.push(Step::Look);
        }
        steps
    }

    /// When there is something to do though nothing happens.
    pub(in super::super) fn next(&self) -> Option<Instant> {
        let wishes = self.known.values().filter_map(|claim| self.wish(claim).map(|(at, _)| at));
        let doubt = self.doubtful_since.map(|since| since + DOUBT);
        wishes.chain(self.look_at()).chain(doubt).min()
    }

    fn look_at(&self) -> Option<Instant> {
        self.look_not_before.filter(|_| self.is_lost && !self.is_looking && !self.known.is_empty())
    }

    fn wish(&self, claim: &Claim) -> Option<(Instant, Wish)> {
        let told = self.told.as_ref().filter(|_| !claim.is_busy)?;
        let lease = &claim.lease;
        let (at, wish) = if self.is_own(lease) {
            if told.may_answer(lease.address) {
                (claim.due, Wish::Renew)
            } else if told.is_leaving || told.is_silent(lease.address) {
                (claim.seen, Wish::Release)
            } else {
                // First the kernel stops to answer.
                return None;
            }
        } else {
            let free = if lease.holder.is_some() { claim.seen + lease.lasts } else { claim.seen };
            let may_since = claim.may_since.filter(|_| !self.is_lost)?;
            (free.max(may_since) + spread(&self.node, lease.address), Wish::Take)
        };
        Some((claim.not_before.map_or(at, |not_before| at.max(not_before)), wish))
    }
}

/// How long a node waits before it takes the Lease of an address.
pub(super) fn spread(node: &str, address: IpAddr) -> Duration {
    let mut hasher = DefaultHasher::new();
    (node, address).hash(&mut hasher);
    let span = u64::try_from(SPREAD.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(hasher.finish() % span)
}
