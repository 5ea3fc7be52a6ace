//! What was seen when: workloads that have no age of their own, and gateways.
//!
//! What is gone is remembered for `ttl` seconds: if it comes back in time, it is the one that it was.

use std::collections::{BTreeMap, HashSet};

use crate::{
    discovery::{Kept, KeptGateway, Seen},
    key::GatewayKey,
    workload::Workload,
};

/// Notes which workloads are there and which are not.
pub(super) fn workloads(seen: &mut BTreeMap<String, Seen>, workloads: &[Workload], now: u64, ttl: u64) {
    let present: HashSet<String> =
        workloads.iter().filter(|one| is_remembered(one)).map(Workload::identity).collect();
    for identity in &present {
        workload(seen, identity, true, now, ttl);
    }
    let absent: Vec<String> = seen.keys().filter(|identity| !present.contains(*identity)).cloned().collect();
    for identity in absent {
        workload(seen, &identity, false, now, ttl);
    }
}

/// Whether it is remembered when a workload was seen: where it does not say when it was made.
pub(crate) fn is_remembered(workload: &Workload) -> bool {
    workload.created.is_none()
}

/// Notes that a workload is there, or is not.
pub(crate) fn workload(
    seen: &mut BTreeMap<String, Seen>,
    identity: &str,
    is_there: bool,
    now: u64,
    ttl: u64,
) {
    match (seen.get_mut(identity), is_there) {
        (Some(entry), true) => entry.gone_since = None,
        (None, true) => {
            seen.insert(identity.to_owned(), Seen { first: now, gone_since: None });
        }
        (Some(entry), false) => {
            if is_over(*entry.gone_since.get_or_insert(now), ttl, now) {
                seen.remove(identity);
            }
        }
        (None, false) => {}
    }
}

/// Notes which gateways are declared and which are not.
pub(super) fn gateways(
    kept: &mut BTreeMap<GatewayKey, KeptGateway>,
    declared: &HashSet<&GatewayKey>,
    now: u64,
    ttl: u64,
) {
    for key in declared {
        gateway(kept, key, true, now, ttl);
    }
    let absent: Vec<GatewayKey> = kept.keys().filter(|key| !declared.contains(key)).cloned().collect();
    for key in absent {
        gateway(kept, &key, false, now, ttl);
    }
}

/// Notes that a gateway is declared, or is not.
pub(crate) fn gateway(
    kept: &mut BTreeMap<GatewayKey, KeptGateway>,
    key: &GatewayKey,
    is_declared: bool,
    now: u64,
    ttl: u64,
) {
    match (kept.get_mut(key), is_declared) {
        (Some(entry), true) => entry.gone_since = None,
        (None, true) => {
            kept.insert(key.clone(), KeptGateway { since: now, ..KeptGateway::default() });
        }
        (Some(entry), false) => {
            if is_over(*entry.gone_since.get_or_insert(now), ttl, now) {
                kept.remove(key);
            }
        }
        (None, false) => {}
    }
}

/// When gateways and workloads that are gone are forgotten.
pub(super) fn deadlines(kept: &Kept, ttl: u64) -> impl Iterator<Item = u64> {
    let gateways = kept.gateways.values().filter_map(|gateway| gateway.gone_since);
    let workloads = kept.workloads.values().filter_map(|workload| workload.gone_since);
    gateways.chain(workloads).map(move |since| since.saturating_add(ttl))
}

/// Whether what is gone since then is forgotten.
pub(crate) fn is_over(gone_since: u64, ttl: u64, now: u64) -> bool {
    gone_since.saturating_add(ttl) <= now
}
