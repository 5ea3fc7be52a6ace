//! The proxy's table, brought up to date entry by entry.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Answering, Part, Plan,
    l4::{Frontend, L4Gateway, Target},
    l7::{Entry, RouteTable},
    set,
};
use crate::{
    key::{GatewayKey, Protocol},
    resolve::{Layer, ResolvedGateway},
    snapshot::Settings,
};

/// Whether the proxy serves it: by its hosts, or on its own port.
pub(super) fn serves(gateway: &ResolvedGateway) -> bool {
    gateway.layer == Layer::Request || !gateway.hosts.is_empty()
}

impl Plan {
    /// Brings the proxy's table up to date; it stays the same one where nothing in it changes.
    pub(super) fn set_table(
        &mut self,
        stale: &[Part],
        fresh: &[GatewayKey],
        before: &BTreeMap<GatewayKey, Option<Arc<L4Gateway>>>,
    ) {
        let frontends = |key: &GatewayKey| self.l4.gateways.get(key).map(|gateway| &gateway.frontends);
        let is_same = |part: &Part| {
            let now = self.parts.get(&part.gateway.key);
            let shown =
                |part: &Part| part.entry.as_ref().map(|entry| (Arc::as_ptr(entry), part.gateway.layer));
            let old = before.get(&part.gateway.key).and_then(Option::as_ref).map(|old| &old.frontends);
            now.and_then(shown) == shown(part)
                && now.is_none_or(|now| now.gateway.hosts == part.gateway.hosts)
                && (part.entry.is_none() || frontends(&part.gateway.key) == old)
        };
        let same: BTreeSet<&GatewayKey> =
            stale.iter().filter(|part| is_same(part)).map(|part| &part.gateway.key).collect();
        let stale = stale.iter().filter(|part| part.entry.is_some() && !same.contains(&part.gateway.key));
        let stale: Vec<&Part> = stale.collect();
        let fresh = fresh.iter().filter(|key| !same.contains(key)).filter_map(|key| self.parts.get(key));
        let fresh: Vec<&Part> = fresh.filter(|part| part.entry.is_some()).collect();
        if stale.is_empty() && fresh.is_empty() {
            return;
        }
        let table = Arc::make_mut(&mut self.l7);
        for part in stale {
            let old = before.get(&part.gateway.key).and_then(Option::as_ref);
            remove(table, &part.gateway, old.into_iter().flat_map(|old| old.frontends.keys()));
        }
        for part in fresh {
            let now = self.l4.gateways.get(&part.gateway.key);
            enter(table, part, now.into_iter().flat_map(|now| now.frontends.keys()));
        }
    }

    /// The pseudo-gateway of the shared ports, which is there while a gateway has a host; gives what was there.
    pub(super) fn set_shared(
        &mut self,
        answering: Answering<'_>,
        settings: Settings,
    ) -> Option<Arc<L4Gateway>> {
        let key = GatewayKey::shared();
        let old = self.l4.gateways.get(&key).cloned();
        let ports: BTreeSet<u16> =
            self.parts.values().flat_map(|part| part.gateway.shared_ports).copied().collect();
        if ports.is_empty() {
            self.l4.gateways.remove(&key);
        } else {
            let nobody = self.nobody(settings.ring_size);
            let shared = L4Gateway {
                frontends: answering.of(&key, &ports.into_iter().collect::<Vec<_>>(), Protocol::Tcp),
                target: Target::Agent,
                routes: BTreeMap::new(),
                ring4: nobody.clone(),
                ring6: nobody,
                local: None,
            };
            set(&mut self.l4, &key, shared);
        }
        let of = |gateway: Option<&Arc<L4Gateway>>| -> BTreeSet<Frontend> {
            gateway.map_or_else(BTreeSet::new, |gateway| gateway.frontends.keys().copied().collect())
        };
        let (before, now) = (of(old.as_ref()), of(self.l4.gateways.get(&key)));
        if before != now {
            let table = Arc::make_mut(&mut self.l7);
            for gone in before.difference(&now) {
                if matches!(table.frontends.get(&gone.address), Some(Entry::Shared)) {
                    table.frontends.remove(&gone.address);
                }
            }
            table.frontends.extend(now.iter().map(|frontend| (frontend.address, Entry::Shared)));
        }
        old
    }
}

/// Enters a gateway under its hosts, and under its own port where the proxy serves that.
fn enter<'a>(table: &mut RouteTable, part: &Part, frontends: impl Iterator<Item = &'a Frontend>) {
    let Some(entry) = &part.entry else { return };
    for host in &part.gateway.hosts {
        match host.wildcard() {
            Some(suffix) => table.wildcards.insert(suffix.to_owned(), entry.clone()),
            None => table.hosts.insert(host.as_str().to_owned(), entry.clone()),
        };
    }
    if part.gateway.layer == Layer::Request {
        let entries = frontends.map(|frontend| (frontend.address, Entry::Gateway(entry.clone())));
        table.frontends.extend(entries);
    }
}

/// Undoes [`enter`].
fn remove<'a>(
    table: &mut RouteTable,
    gateway: &ResolvedGateway,
    frontends: impl Iterator<Item = &'a Frontend>,
) {
    for host in &gateway.hosts {
        match host.wildcard() {
            Some(suffix) => table.wildcards.remove(suffix),
            None => table.hosts.remove(host.as_str()),
        };
    }
    if gateway.layer == Layer::Request {
        for frontend in frontends {
            table.frontends.remove(&frontend.address);
        }
    }
}
