//! How an endpoint can be reached from this node.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use serde::Serialize;

use super::{
    error::Error,
    netlink::{LOOPBACK, Netlink},
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

/// Answers for endpoints, kept until routes change.
#[derive(Debug, Default)]
pub(super) struct ReachCache {
    known: HashMap<IpAddr, Way>,
    uplinks: BTreeSet<u32>,
    vlan_parents: BTreeMap<u32, u32>,
    /// This node's pods, once they are known; until then a pod is what no uplink leads to.
    pods: Option<BTreeSet<IpAddr>>,
}

impl ReachCache {
    /// Forgets everything: interfaces or routes have changed.
    pub(super) fn renew(&mut self, netlink: &mut Netlink, uplinks: BTreeSet<u32>) -> Result<(), Error> {
        self.known.clear();
        self.uplinks = uplinks;
        self.vlan_parents = netlink.vlan_parents().map_err(Error::routing("list interfaces"))?;
        Ok(())
    }

    /// How `address` is reached.
    pub(super) fn get(&mut self, netlink: &mut Netlink, address: IpAddr) -> Result<Way, Error> {
        if let Some(way) = self.known.get(&address) {
            return Ok(*way);
        }
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
        self.known.insert(address, way);
        Ok(way)
    }

    /// This node's pods are these; true where that changes where an address is. Only those that came or went are
    /// asked for again.
    pub(super) fn set_pods(&mut self, pods: &BTreeSet<IpAddr>) -> bool {
        match self.pods.replace(pods.clone()) {
            Some(old) if old == *pods => return false,
            Some(old) => {
                for address in old.symmetric_difference(pods) {
                    self.known.remove(address);
                }
            }
            None => self.known.clear(),
        }
        true
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
