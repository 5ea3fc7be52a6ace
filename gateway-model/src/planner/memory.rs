//! What is remembered of gateways and workloads that come and go, and when it is to be forgotten.

use std::collections::{BTreeSet, HashSet};

use crate::{discovery::Kept, key::GatewayKey, resolve::remember};

/// Something that is gone and not forgotten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gone {
    Gateway(GatewayKey),
    Workload(String),
}

/// Knows, of what is kept, what is gone.
#[derive(Debug)]
pub(super) struct Memory {
    ttl: u64,
    /// By when it is forgotten, seconds since 1970.
    gone: BTreeSet<(u64, Gone)>,
}

impl Memory {
    /// Of what is kept.
    pub(super) fn new(kept: &Kept, ttl: u64) -> Self {
        let gateways = kept.gateways.iter();
        let gateways = gateways.filter_map(|(key, one)| Some((one.gone_since?, Gone::Gateway(key.clone()))));
        let workloads = kept.workloads.iter();
        let workloads =
            workloads.filter_map(|(identity, one)| Some((one.gone_since?, Gone::Workload(identity.clone()))));
        let gone = gateways.chain(workloads);
        Self { ttl, gone: gone.map(|(since, what)| (since.saturating_add(ttl), what)).collect() }
    }

    /// When the first of them is forgotten.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.gone.first().map(|(end, _)| *end)
    }

    /// Notes which gateways are declared; tells whether that is news.
    pub(super) fn note_gateways(
        &mut self,
        kept: &mut Kept,
        declared: &HashSet<&GatewayKey>,
        now: u64,
    ) -> bool {
        let mut is_news = false;
        for key in declared {
            is_news |= self.note(kept, &Gone::Gateway((*key).clone()), true, now);
        }
        let absent: Vec<GatewayKey> =
            kept.gateways.keys().filter(|key| !declared.contains(key)).cloned().collect();
        for key in absent {
            is_news |= self.note(kept, &Gone::Gateway(key), false, now);
        }
        is_news
    }

    /// Notes whether a workload that has no age of its own is there; tells whether that is news.
    pub(super) fn note_workload(
        &mut self,
        kept: &mut Kept,
        identity: String,
        is_there: bool,
        now: u64,
    ) -> bool {
        self.note(kept, &Gone::Workload(identity), is_there, now)
    }

    /// Forgets what has been gone for too long; tells whether a gateway was, and whether anything was.
    pub(super) fn forget(&mut self, kept: &mut Kept, now: u64) -> (bool, bool) {
        let (mut gateway, mut any) = (false, false);
        while let Some((end, what)) = self.gone.first().cloned() {
            if end > now {
                break;
            }
            self.note(kept, &what, false, now);
            gateway |= matches!(what, Gone::Gateway(_));
            any = true;
        }
        (gateway, any)
    }

    fn note(&mut self, kept: &mut Kept, what: &Gone, is_there: bool, now: u64) -> bool {
        // Whether it is remembered, and since when it is gone.
        let state = |kept: &Kept| match what {
            Gone::Gateway(key) => kept.gateways.get(key).map(|one| one.gone_since),
            Gone::Workload(identity) => kept.workloads.get(identity).map(|one| one.gone_since),
        };
        let before = state(kept);
        match what {
            Gone::Gateway(key) => remember::gateway(&mut kept.gateways, key, is_there, now, self.ttl),
            Gone::Workload(identity) => {
                remember::workload(&mut kept.workloads, identity, is_there, now, self.ttl);
            }
        }
        let after = state(kept);
        let end = |state: Option<Option<u64>>| Some((state??.saturating_add(self.ttl), what.clone()));
        let (old, new) = (end(before), end(after));
        if old != new {
            old.map(|old| self.gone.remove(&old));
            self.gone.extend(new);
        }
        before != after
    }
}
