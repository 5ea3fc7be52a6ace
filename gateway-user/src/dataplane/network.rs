//! Following the node's interfaces, addresses and routes.

use std::{collections::BTreeSet, net::IpAddr};

use gateway_common::abi::backend::mode;

use super::{
    Dataplane,
    attach::devices::{Role, Wanted},
    error::Error,
    reach::Reach,
    shadow::backend_address,
};

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

    /// Addresses of this node's own pods, those with the node's network left out. Devices that routes to them use get
    /// our programs, and an endpoint is local if it is among them. To be said before the first plan is applied.
    ///
    /// # Errors
    /// Where the kernel's routing or a map does not answer.
    pub fn set_node_pods(&mut self, pods: &BTreeSet<IpAddr>) -> Result<(), Error> {
        let old = self.reach.pods();
        if !self.reach.set_pods(pods) {
            return Ok(());
        }
        let has_moved = |address: IpAddr| old.contains(&address) != pods.contains(&address);
        let mut known = self.desired.backends.values().filter_map(backend_address);
        // The next plan compares everything; should none come, the next tick does.
        if known.any(|address| has_moved(address.ip())) {
            self.is_desired_in_force = false;
            self.network_changed = true;
        }
        self.follow_devices()
    }

    /// Puts our programs on the devices of this node's pods, and on those through which others are reached.
    pub(super) fn follow_devices(&mut self) -> Result<(), Error> {
        let mut wanted = Wanted::new();
        for backend in self.desired.backends.values().filter(|backend| backend.mode == mode::NAT) {
            wanted.insert(backend.device, Role::Nodes);
        }
        let has_nat = !wanted.is_empty();
        wanted.retain(|device, _| self.reach.is_inner(*device));
        for address in self.reach.pods() {
            let way = self.reach.get(&mut self.netlink, address)?;
            if self.reach.is_inner(way.device) {
                wanted.insert(way.device, Role::Pods);
            }
        }
        if has_nat || !wanted.is_empty() {
            self.give_out_ports()?;
        }
        self.devices.follow(&self.pins, &self.programs, &self.maps, &mut self.netlink, &wanted)
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
            self.follow_uplinks_announced()?;
            self.is_desired_in_force = false;
            match self.plan.clone() {
                Some(plan) => drop(self.apply(&plan)?),
                None => self.follow_devices()?,
            }
        }
        self.network_changed = false;
        Ok(changed)
    }
}
