//! Following the node's interfaces, addresses and routes.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use super::{
    Dataplane,
    attach::devices::{Role, Wanted},
    error::Error,
    reach::Reach,
    shadow::backend_address,
};

/// Ways that are asked for again at once: about a millisecond of work.
const WAYS: usize = 128;

impl Dataplane {
    /// How an endpoint is reached from here.
    ///
    /// # Errors
    /// Where the kernel's routing does not answer.
    pub fn endpoint_reach(&mut self, address: IpAddr) -> Result<Reach, Error> {
        Ok(self.reach.get_now(&mut self.netlink, address)?.reach)
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
        let routes = self.netlink.local_routes().map_err(Error::routing("list local routes"))?;
        for &address in addresses.difference(&routes) {
            let failed = Error::routing(format!("add a local route to {address}"));
            self.netlink.ensure_local_route(address).map_err(failed)?;
        }
        let gone: BTreeSet<IpAddr> = routes.difference(addresses).copied().collect();
        if !gone.is_empty() {
            let failed = Error::routing("remove local routes");
            self.netlink.remove_local_routes(&gone).map_err(failed)?;
        }
        Ok(())
    }

    /// Addresses of this node's own pods, those with the node's network left out. Devices that routes to them use get
    /// our programs, and an endpoint is local if it is among them. To be said before the first plan is applied.
    ///
    /// # Errors
    /// Where the kernel's routing or a map does not answer.
    pub fn set_node_pods(&mut self, pods: &BTreeSet<IpAddr>) -> Result<(), Error> {
        let moved = self.reach.set_pods(pods);
        if moved.is_empty() && self.planned_devices.is_some() {
            return Ok(());
        }
        // The next plan makes them anew; should none come, the next tick does.
        self.stale.extend(self.desired.gateways_at(&moved).cloned());
        self.follow_devices(false)
    }

    /// Puts our programs on the devices through which the plan reaches pods of other nodes, where these are others than
    /// before.
    pub(super) fn follow_planned_devices(&mut self) -> Result<(), Error> {
        let known = self.planned_devices.iter().flatten();
        if self.planned_devices.is_some() && known.eq(self.desired.devices.keys()) {
            return Ok(());
        }
        self.follow_devices(false)
    }

    /// Puts our programs on the devices of this node's pods, and on those through which others are reached. Where
    /// `verify` says so, devices that have them are looked at, too.
    fn follow_devices(&mut self, verify: bool) -> Result<(), Error> {
        let planned: BTreeSet<u32> = self.desired.devices.keys().copied().collect();
        let mut wanted: Wanted = planned.iter().map(|device| (*device, Role::Nodes)).collect();
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
        self.devices.follow(&self.pins, &self.programs, &self.maps, &mut self.netlink, &wanted, verify)?;
        self.planned_devices = Some(planned);
        Ok(())
    }

    /// Follows interfaces and routes; true where anything changed.
    pub(super) fn follow_network(&mut self, now: u32) -> Result<bool, Error> {
        let failed = Error::routing("watch interfaces and routes");
        let news = self.watch.take_changes().map_err(failed)?;
        // What could not be followed is still to be followed at the next tick.
        self.network_changed |= news.is_any;
        self.are_links_new |= news.are_links_new;
        if news.is_any {
            self.forget_ways();
            self.reach.doubt(&news);
        }
        let changed = self.network_changed;
        // A link that somebody detached by force sends no message.
        let is_due = now.saturating_sub(self.followed) >= 10;
        if changed || is_due {
            self.followed = now;
            self.links.follow(&self.pins, &self.programs, &mut self.netlink)?;
        }
        if changed {
            self.look_at_devices()?;
            self.follow_uplinks_announced()?;
        }
        self.look_at_routes()?;
        if changed || is_due {
            self.follow_devices(true)?;
        }
        self.network_changed = false;
        Ok(changed)
    }

    /// Interfaces may be others than before.
    fn look_at_devices(&mut self) -> Result<(), Error> {
        let parents = if self.are_links_new {
            Some(self.netlink.vlan_parents().map_err(Error::routing("list interfaces"))?)
        } else {
            None
        };
        self.are_links_new = false;
        if self.reach.set_devices(self.links.indices().collect(), parents) {
            self.is_desired_in_force = false;
        }
        Ok(())
    }

    /// Asks again for some of the ways that may have changed, and follows those that have.
    pub(super) fn look_at_routes(&mut self) -> Result<(), Error> {
        let verified = self.reach.verify(&mut self.netlink, WAYS);
        let moved = self.reach.take_moved();
        if !moved.is_empty() {
            self.stale.extend(self.desired.gateways_at(&moved).cloned());
        }
        if self.plan.is_some() && !(self.stale.is_empty() && self.is_desired_in_force) {
            self.bring()?;
        }
        if !moved.is_disjoint(&self.reach.pods()) {
            self.follow_devices(false)?;
        }
        verified
    }

    /// Forgets the ways to endpoints of the past, once they are the most.
    fn forget_ways(&mut self) {
        let pods = self.reach.pods();
        if self.reach.len() > 2 * (self.desired.backends.len() + pods.len()) + WAYS {
            let planned = self.desired.backends.values().filter_map(backend_address);
            let planned: HashSet<IpAddr> = planned.map(|address| address.ip()).collect();
            self.reach.keep(|address| planned.contains(address) || pods.contains(address));
        }
    }
}
