//! The proxy's table, brought up to date entry by entry.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use super::{
    Answering, Part, Plan,
    l4::{Frontend, L4Gateway, Target},
    set,
};
use crate::{
    gateway::PortType,
    key::{GatewayKey, Protocol},
    resolve::{Layer, ResolvedGateway},
    snapshot::Settings,
};

/// Whether the proxy knows it: everything that speaks HTTP, also where the kernel has its own port for now. When that
/// changes, requests of connections that came in before or after are the proxy's at any moment.
pub(super) fn serves(gateway: &ResolvedGateway) -> bool {
    matches!(gateway.kind, PortType::Http | PortType::Https)
        || gateway.layer == Layer::Request
        || !gateway.hosts.is_empty()
}

impl Plan {
    /// Brings the proxy's table up to date; it stays the same one where nothing in it changes.
    pub(super) fn set_table(
        &mut self,
        stale: &[Part],
        fresh: &[GatewayKey],
        before: &BTreeMap<GatewayKey, Option<Arc<L4Gateway>>>,
    ) {
        let is_same = |part: &Part| self.answers_where_it_did(part, before);
        let same: BTreeSet<&GatewayKey> =
            stale.iter().filter(|part| is_same(part)).map(|part| &part.gateway.key).collect();
        let entered = |part: &&Part| part.entry.is_some();
        let stale = stale.iter().filter(entered).filter(|part| !same.contains(&part.gateway.key));
        let stale: Vec<&Part> = stale.collect();
        let is_new = |part: &&Part| {
            part.entry.as_ref().is_some_and(|entry| {
                !same.contains(&part.gateway.key)
                    || self.l7.find(&part.gateway.key).is_none_or(|old| !Arc::ptr_eq(old, entry))
            })
        };
        let fresh: Vec<&Part> = fresh.iter().filter_map(|key| self.parts.get(key)).filter(is_new).collect();
        if stale.is_empty() && fresh.is_empty() {
            return;
        }
        let table = Arc::make_mut(&mut self.l7);
        for part in stale {
            let old = before.get(&part.gateway.key).and_then(Option::as_ref);
            table.remove(&part.gateway.key, &part.gateway.hosts, addresses(old));
        }
        for part in fresh {
            let (Some(entry), key) = (&part.entry, &part.gateway.key) else { continue };
            table.set(entry.clone());
            if !same.contains(key) {
                table.answer(key, &part.gateway.hosts, addresses(self.l4.gateways.get(key)));
            }
        }
    }

    /// Whether a gateway that was in the table answers for the same hosts and on the same frontends as before.
    fn answers_where_it_did(
        &self,
        part: &Part,
        before: &BTreeMap<GatewayKey, Option<Arc<L4Gateway>>>,
    ) -> bool {
        let key = &part.gateway.key;
        let now = self.l4.gateways.get(key).map(|gateway| &gateway.frontends);
        let then = before.get(key).and_then(Option::as_ref).map(|gateway| &gateway.frontends);
        let (is_entered, hosts) = (part.entry.is_some(), &part.gateway.hosts);
        let is_same = |new: &Part| new.entry.is_some() == is_entered && new.gateway.hosts == *hosts;
        now == then && self.parts.get(key).is_some_and(is_same)
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
                table.unshare(&gone.address);
            }
            for frontend in &now {
                table.share(frontend.address);
            }
        }
        old
    }
}

fn addresses(gateway: Option<&Arc<L4Gateway>>) -> impl Iterator<Item = &SocketAddr> {
    gateway.into_iter().flat_map(|gateway| gateway.frontends.keys().map(|frontend| &frontend.address))
}
