//! Writes that are not for one gateway: load balancer addresses and their Leases, the shared Service, acknowledgements
//! of nodes that are gone. One after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Ended, Lead};
use crate::control::{
    agent::facts::Key,
    controller::{
        pool::{self, Asking},
        service,
        watch::Change,
        write::WriteError,
    },
    translate::{LeaseFacts, SHARED_SERVICE, load_balancer_addresses},
};

/// After a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Others {
    addresses: bool,
    nodes: bool,
    is_busy: bool,
    not_before: Option<Instant>,
}

impl Others {
    /// There is something to look at.
    pub(super) fn mark(&mut self, addresses: bool, nodes: bool) {
        (self.addresses, self.nodes) = (self.addresses || addresses, self.nodes || nodes);
    }

    /// When it may be tried again.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        self.not_before.filter(|at| *at > Instant::now() && (self.addresses || self.nodes))
    }
}

impl Lead {
    /// Writes the next of what is to be written.
    pub(super) fn dispatch_others(&mut self) {
        if self.others.is_busy || self.others.ready_at().is_some() {
            return;
        }
        if self.others.addresses {
            if let Some((desired, exists)) = self.shared_service() {
                let write = self.writer.clone().share(desired, exists);
                self.begin_other(write);
                return;
            }
            let given = self.given();
            if let Some((key, addresses)) = self.address(&given) {
                let write = self.writer.clone().give_addresses(key.0, key.1, addresses);
                self.begin_other(write);
                return;
            }
            let (lacking, orphans) = self.leases(&given);
            if !lacking.is_empty() || !orphans.is_empty() {
                let write = self.writer.clone().change_leases(lacking, orphans);
                self.begin_other(write);
                return;
            }
            self.others.addresses = false;
        }
        if self.others.nodes {
            self.others.nodes = false;
            let gone = self.cluster.acks_of_nobody();
            if !gone.is_empty() {
                tracing::info!(nodes = gone.len(), "acknowledgements of nodes that are gone are removed");
                let write = self.writer.clone().remove_acks(gone);
                self.begin_other(write);
            }
        }
    }

    fn begin_other(&mut self, write: impl Future<Output = Result<Vec<Change>, WriteError>> + Send + 'static) {
        self.others.is_busy = true;
        self.tasks.spawn(async move { Ended::Other(write.await) });
    }

    /// Takes note of what came of it.
    pub(super) fn end_other(&mut self, result: Result<Vec<Change>, WriteError>) {
        self.others.is_busy = false;
        match result {
            Ok(changes) => {
                self.others.not_before = None;
                for change in changes {
                    self.cluster.handle(change);
                }
            }
            Err(error) => {
                if error.is_of_what_ends() {
                    tracing::debug!(%error, "it is gone");
                } else {
                    tracing::warn!(%error, "it is tried again");
                }
                self.others.not_before = Some(Instant::now() + AGAIN);
                self.others.mark(true, true);
            }
        }
    }

    /// The shared Service, where it is not as it is to be, and whether it exists. Without gateways that have hosts
    /// nobody needs it; one that is there keeps its addresses.
    fn shared_service(&self) -> Option<(serde_json::Value, bool)> {
        let namespace = self.cluster.namespace();
        let seen = self.cluster.service(namespace, SHARED_SERVICE);
        let found = seen.and_then(|seen| seen.service.as_deref());
        if !self.cluster.has_hosts() {
            return None;
        }
        let desired = service::shared(namespace, found);
        match found {
            Some(found) if service::is_shared_as_desired(found, &desired) => None,
            Some(_) => Some((desired, true)),
            None => Some((desired, false)),
        }
    }

    /// The load balancer addresses that Services are to have, those only that have them of a pool.
    fn given(&self) -> BTreeMap<Key, Vec<IpAddr>> {
        let asking: Vec<Asking<'_>> = self
            .cluster
            .services()
            .filter_map(|seen| {
                let owner = self.cluster.gateway_of(&seen.key);
                let service = seen.service.as_deref()?;
                let is_shared = seen.key.0 == self.cluster.namespace() && seen.key.1 == SHARED_SERVICE;
                let is_ours = is_shared || owner.is_some_and(|facts| service::is_ours(service, facts));
                let wanted =
                    owner.map(|facts| facts.service.load_balancer_ips.as_slice()).unwrap_or_default();
                is_ours.then_some(Asking { key: &seen.key, service, wanted })
            })
            .collect();
        pool::assign(&asking, &self.cluster.pools())
    }

    /// The next Service that is to have other load balancer addresses.
    fn address(&self, given: &BTreeMap<Key, Vec<IpAddr>>) -> Option<(Key, Vec<IpAddr>)> {
        given.iter().find_map(|(key, given)| {
            let service = self.cluster.service(&key.0, &key.1)?.service.as_deref()?;
            (load_balancer_addresses(service) != *given).then(|| (key.clone(), given.clone()))
        })
    }

    /// Addresses that lack a Lease, and Leases of addresses that are nobody's any more.
    fn leases(&self, given: &BTreeMap<Key, Vec<IpAddr>>) -> (Vec<IpAddr>, Vec<LeaseFacts>) {
        let Some(leases) = self.cluster.leases() else { return Default::default() };
        let mut lacking: BTreeSet<IpAddr> = given.values().flatten().copied().collect();
        // Those that are wanted are taken out one by one; the rest has none.
        let orphans = leases.filter(|lease| !lacking.remove(&lease.address)).cloned().collect();
        (lacking.into_iter().collect(), orphans)
    }
}
