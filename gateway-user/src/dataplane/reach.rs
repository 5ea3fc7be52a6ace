//! How an endpoint can be reached from this node.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use serde::Serialize;

use super::{error::Error, netlink::Netlink};

/// Where the kernel's routing would send packets for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// To a device that is not an uplink: a pod of this node, usable at L4.
    Local,
    /// Out through an uplink: another node's, usable at L7 only.
    Uplink,
    /// Nowhere: no route.
    None,
}

/// Answers for endpoints, kept until routes change.
#[derive(Debug, Default)]
pub(super) struct ReachCache {
    known: HashMap<IpAddr, Reach>,
    uplinks: BTreeSet<u32>,
    vlan_parents: BTreeMap<u32, u32>,
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
    pub(super) fn get(&mut self, netlink: &mut Netlink, address: IpAddr) -> Result<Reach, Error> {
        if let Some(reach) = self.known.get(&address) {
            return Ok(*reach);
        }
        let route =
            netlink.route_to(address).map_err(Error::routing(format!("look up the route to {address}")))?;
        let reach = match route {
            None => Reach::None,
            Some(route) if self.is_uplink(route.device) => Reach::Uplink,
            Some(_) => Reach::Local,
        };
        self.known.insert(address, reach);
        Ok(reach)
    }

    /// An uplink, or a VLAN on one: its packets pass the uplink as well.
    fn is_uplink(&self, device: u32) -> bool {
        let lower = self.vlan_parents.get(&device);
        self.uplinks.contains(&device) || lower.is_some_and(|lower| self.uplinks.contains(lower))
    }
}
