//! Following the node's interfaces, addresses and routes.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Dataplane, error::Error, reach::Reach};

impl Dataplane {
    /// How an endpoint is reached from here.
    ///
    /// # Errors
    /// Where the kernel's routing does not answer.
    pub fn endpoint_reach(&mut self, address: IpAddr) -> Result<Reach, Error> {
        Ok(self.reach.get(&mut self.netlink, address)?.reach)
    }

    /// Addresses of the uplinks, both families, link-local ones left out.
    ///
    /// # Errors
    /// Where the kernel's routing does not answer.
    pub fn interface_addresses(&mut self) -> Result<BTreeSet<IpAddr>, Error> {
        let uplinks = self.links.indices().collect();
        self.netlink.addresses(&uplinks).map_err(Error::routing("list addresses"))
    }

    /// Makes the kernel answer for these addresses, and for no other that Weir made local before.
    ///
    /// # Errors
    /// Where the kernel refuses a route.
    pub fn ensure_local_routes(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<(), Error> {
        for &address in addresses {
            let failed = Error::routing(format!("add a local route to {address}"));
            self.netlink.ensure_local_route(address).map_err(failed)?;
        }
        let routes = self.netlink.local_routes().map_err(Error::routing("list local routes"))?;
        for &address in routes.difference(addresses) {
            let failed = Error::routing(format!("remove the local route to {address}"));
            self.netlink.remove_local_route(address).map_err(failed)?;
        }
        Ok(())
    }

    /// Follows interfaces and routes; true where anything changed.
    pub(super) fn follow_network(&mut self, now: u32) -> Result<bool, Error> {
        let failed = Error::routing("watch interfaces and routes");
        // What could not be followed is still to be followed at the next tick.
        self.network_changed |= self.watch.take_changes().map_err(failed)?;
        let changed = self.network_changed;
        // A link that somebody detached by force sends no message.
        if changed || now.saturating_sub(self.followed) >= 10 {
            self.followed = now;
            self.links.follow(&self.pins, &self.programs, &mut self.netlink)?;
        }
        if changed {
            self.reach.renew(&mut self.netlink, self.links.indices().collect())?;
            self.is_desired_in_force = false;
            if let Some(plan) = self.plan.clone() {
                self.apply(&plan)?;
            }
        }
        self.network_changed = false;
        Ok(changed)
    }
}
