//! How an endpoint can be reached from this node.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use serde::Serialize;

use super::{
    error::Error,
    netlink::{Changes, LOOPBACK, Netlink},
};

/// Where the kernel's routing would send packets for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// To this node itself or one of its pods, which sees the client's address.
    Local,
    /// To another node; its pod sees the address that the kernel would choose as the source.
    Remote {
        /// That address.
        source: IpAddr,
    },
    /// Nowhere: no route, or none with an address of the node's.
    None,
}

/// The way to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) reach: Reach,
    /// Index of the device; 0 where there is no route.
    pub(super) device: u32,
    /// The node's address towards it.
    pub(super) source: Option<IpAddr>,
}

/// Answers for endpoints. What may have become wrong is asked for again, and only what did counts.
#[derive(Debug, Default)]
pub(super) struct ReachCache {
    known: HashMap<IpAddr, Way>,
    /// Answers that routes which changed may concern.
    concerned: BTreeSet<IpAddr>,
    /// Answers that are most likely still right: a device came or went that none of them leads to.
    doubtful: BTreeSet<IpAddr>,
    /// Answers that were wrong, and what was made with them may be.
    moved: BTreeSet<IpAddr>,
    uplinks: BTreeSet<u32>,
    vlan_parents: BTreeMap<u32, u32>,
    /// This node's pods, once they are known; until then a pod is what no uplink leads to.
    pods: Option<BTreeSet<IpAddr>>,
}

impl ReachCache {
    /// The uplinks, and what is stacked on what; true, and everything is forgotten, where that makes another device an
    /// uplink of those that answers name.
    pub(super) fn set_devices(
        &mut self,
        uplinks: BTreeSet<u32>,
        vlan_parents: Option<BTreeMap<u32, u32>>,
    ) -> bool {
        let devices: BTreeSet<u32> = self.known.values().map(|way| way.device).collect();
        let of = |cache: &Self| -> Vec<bool> { devices.iter().map(|one| cache.is_uplink(*one)).collect() };
        let before = of(self);
        self.uplinks = uplinks;
        if let Some(parents) = vlan_parents {
            self.vlan_parents = parents;
        }
        let is_other = before != of(self);
        if is_other {
            self.known.clear();
            self.concerned.clear();
            self.doubtful.clear();
        }
        is_other
    }

    /// How many answers are kept.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets the answers for other addresses than these.
    pub(super) fn keep(&mut self, is_wanted: impl Fn(&IpAddr) -> bool) {
        self.known.retain(|address, _| is_wanted(address));
    }

    /// Notes which answers what happened may concern.
    pub(super) fn doubt(&mut self, changes: &Changes) {
        for (address, way) in &self.known {
            if changes.concern(*address, way.device) {
                self.concerned.insert(*address);
            } else if changes.is_unclear {
                self.doubtful.insert(*address);
            }
        }
    }

    /// Whether some answers may be wrong.
    pub(super) fn has_doubts(&self) -> bool {
        !(self.concerned.is_empty() && self.doubtful.is_empty())
    }

    /// Asks again for at most `limit` answers that may be wrong.
    pub(super) fn verify(&mut self, netlink: &mut Netlink, limit: usize) -> Result<(), Error> {
        for _ in 0..limit {
            let next = self.concerned.first().or_else(|| self.doubtful.first()).copied();
            let Some(address) = next else { break };
            if self.known.contains_key(&address) {
                self.ask(netlink, address)?;
            } else {
                self.trust(address);
            }
        }
        Ok(())
    }

    /// Addresses of which the answers were wrong.
    pub(super) fn take_moved(&mut self) -> BTreeSet<IpAddr> {
        std::mem::take(&mut self.moved)
    }

    /// How `address` is reached.
    pub(super) fn get(&mut self, netlink: &mut Netlink, address: IpAddr) -> Result<Way, Error> {
        match self.known.get(&address) {
            Some(way) => Ok(*way),
            None => self.ask(netlink, address),
        }
    }

    /// How `address` is reached at this moment.
    pub(super) fn get_now(&mut self, netlink: &mut Netlink, address: IpAddr) -> Result<Way, Error> {
        if self.concerned.contains(&address) || self.doubtful.contains(&address) {
            return self.ask(netlink, address);
        }
        self.get(netlink, address)
    }

    fn ask(&mut self, netlink: &mut Netlink, address: IpAddr) -> Result<Way, Error> {
        let route =
            netlink.route_to(address).map_err(Error::routing(format!("look up the route to {address}")))?;
        let way = route.map_or(Way { reach: Reach::None, device: 0, source: None }, |route| {
            let reach = match route.source {
                _ if self.is_local(address, route.device) => Reach::Local,
                Some(source) => Reach::Remote { source },
                None => Reach::None,
            };
            Way { reach, device: route.device, source: route.source }
        });
        if self.known.insert(address, way).is_some_and(|old| old != way) {
            self.moved.insert(address);
        }
        self.trust(address);
        Ok(way)
    }

    fn trust(&mut self, address: IpAddr) {
        self.concerned.remove(&address);
        self.doubtful.remove(&address);
    }

    /// This node's pods are these; the addresses that came or went, which are asked for again. The first time that is
    /// all of them.
    pub(super) fn set_pods(&mut self, pods: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        let moved: BTreeSet<IpAddr> = match self.pods.replace(pods.clone()) {
            Some(old) => old.symmetric_difference(pods).copied().collect(),
            None => self.known.keys().copied().collect(),
        };
        for address in &moved {
            self.known.remove(address);
        }
        moved
    }

    /// This node's pods, as far as they are known.
    pub(super) fn pods(&self) -> BTreeSet<IpAddr> {
        self.pods.clone().unwrap_or_default()
    }

    /// Whether a device is neither an uplink nor the node itself.
    pub(super) fn is_inner(&self, device: u32) -> bool {
        device != 0 && device != LOOPBACK && !self.is_uplink(device)
    }

    fn is_local(&self, address: IpAddr, device: u32) -> bool {
        match &self.pods {
            Some(pods) => device == LOOPBACK || pods.contains(&address),
            None => !self.is_uplink(device),
        }
    }

    /// An uplink, or a VLAN on one: its packets pass the uplink as well.
    fn is_uplink(&self, device: u32) -> bool {
        let lower = self.vlan_parents.get(&device);
        self.uplinks.contains(&device) || lower.is_some_and(|lower| self.uplinks.contains(lower))
    }
}
