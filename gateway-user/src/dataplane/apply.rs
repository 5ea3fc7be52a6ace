//! Bringing the kernel from what it holds to a plan: of the gateways that changed, and of no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    net::SocketAddr,
    sync::Arc,
};

use gateway_model::{
    key::{EndpointKey, GatewayKey},
    plan::l4::{L4Gateway, L4Plan},
};

use super::{
    Dataplane,
    desired::Desired,
    error::Error,
    reach::Reach,
    write::{Writer, Written},
};

/// What [`Dataplane::apply`] did.
#[derive(Debug, Default)]
pub struct Applied {
    /// Backends written.
    pub backends: usize,
    /// Slots written.
    pub slots: usize,
    /// Frontends written or removed.
    pub frontends: usize,
    /// Endpoints of kernel gateways that cannot be reached in the kernel, and so get no connections.
    pub unreachable: Vec<(EndpointKey, Reach)>,
    /// Gateways that the kernel cannot hold as planned, and why; they stay as they were, all others are applied.
    pub rejected: Vec<(GatewayKey, Error)>,
}

/// Gateways as they are planned from now on; nothing for those that are gone.
pub type Changes = BTreeMap<GatewayKey, Option<Arc<L4Gateway>>>;

impl Dataplane {
    /// Makes the kernel hold `plan`; works out what changed since the last call and writes only what differs. Live
    /// connections stay where they are.
    ///
    /// # Errors
    /// The first write that failed. What was written before it is consistent; the next call goes on from there.
    pub fn apply(&mut self, plan: &L4Plan) -> Result<Applied, Error> {
        let old = mem::replace(&mut self.asked, plan.clone());
        let is_same = |(key, gateway): &(&GatewayKey, &Arc<L4Gateway>)| {
            old.gateways.get(*key).is_some_and(|old| Arc::ptr_eq(old, gateway))
        };
        let gone = old.gateways.keys().filter(|key| !plan.gateways.contains_key(*key));
        self.stale.extend(gone.cloned());
        let changed = plan.gateways.iter().filter(|gateway| !is_same(gateway));
        self.stale.extend(changed.map(|(key, _)| key.clone()));
        self.bring()
    }

    /// The same for the plan of the last call with these changes: costs what they cost.
    ///
    /// # Errors
    /// Those of [`Self::apply`].
    pub fn change(&mut self, changes: Changes) -> Result<Applied, Error> {
        for (key, gateway) in changes {
            match gateway {
                Some(gateway) => drop(self.asked.gateways.insert(key.clone(), gateway)),
                None => drop(self.asked.gateways.remove(&key)),
            }
            self.stale.insert(key);
        }
        self.bring()
    }

    /// Makes the kernel hold what is asked, of what is stale.
    pub(super) fn bring(&mut self) -> Result<Applied, Error> {
        let now = self.seconds();
        // An error on the way leaves something half done: then, and at first, all is compared.
        let is_known = mem::take(&mut self.is_desired_in_force);
        // What was rejected may find room by now.
        let mut stale = mem::take(&mut self.stale);
        stale.append(&mut self.rejected);
        if !is_known {
            self.desired = Desired::default();
            stale = self.asked.gateways.keys().cloned().collect();
        }
        let nothing = L4Plan::default();
        let previous = self.plan.as_ref().unwrap_or(&nothing);
        let (reach, netlink) = (&mut self.reach, &mut self.netlink);
        let mut ask = |address: SocketAddr| reach.get(netlink, address.ip());
        let mut touched = self.desired.update(&stale, &self.asked, previous, &mut self.shadow, &mut ask)?;
        if !is_known {
            touched.add_all(&self.desired, &self.shadow);
        }
        if is_known {
            for key in &stale {
                self.marker.set(key, &self.desired.marks);
            }
        } else {
            self.marker.set_all(&self.desired.marks);
        }
        self.follow_planned_devices()?;
        let writer = Writer {
            maps: &self.maps,
            pins: &self.pins,
            shadow: &mut self.shadow,
            sockets: self.sockets.as_mut(),
            ring_flags: self.ring_flags,
            now,
            scan: self.scans,
            written: Written::default(),
        };
        let Written { backends, slots, frontends } = writer.write(&self.desired, &touched)?;
        let rejected = touched.rejected;
        self.rejected = rejected.iter().map(|(key, _)| key.clone()).collect();
        self.note_in_force(stale, is_known);
        self.is_desired_in_force = true;
        let unreachable = self.desired.unreachable();
        Ok(Applied { backends, slots, frontends, unreachable, rejected })
    }

    /// Rejected gateways are in force as they were before.
    fn note_in_force(&mut self, stale: BTreeSet<GatewayKey>, is_known: bool) {
        let plan = self.plan.get_or_insert_default();
        if !is_known {
            plan.gateways.retain(|key, _| self.asked.gateways.contains_key(key));
        }
        for key in stale.into_iter().filter(|key| !self.rejected.contains(key)) {
            match self.asked.gateways.get(&key) {
                Some(gateway) => drop(plan.gateways.insert(key, gateway.clone())),
                None => drop(plan.gateways.remove(&key)),
            }
        }
    }
}
