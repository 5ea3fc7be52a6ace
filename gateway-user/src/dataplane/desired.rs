//! A plan in the kernel's terms: indices instead of names, backends instead of endpoints.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use gateway_common::abi::{
    backend::{AGENT, Backend, REFUSE, mode},
    names::RouteNames,
};
use gateway_model::{
    key::{EndpointKey, GatewayKey, RouteName},
    plan::l4::{self, L4Gateway, L4Plan, Target},
};

use super::{
    error::Error,
    mark::{MarkTable, RouteMarks},
    names,
    reach::Reach,
    shadow::{Family, RingKey, Shadow, address_bytes},
};

/// What the maps are to hold.
#[derive(Debug, Default)]
pub(super) struct Desired {
    pub(super) names: BTreeMap<u32, RouteNames>,
    pub(super) backends: BTreeMap<u32, Backend>,
    pub(super) rings: BTreeMap<RingKey, DesiredRing>,
    pub(super) frontends: BTreeMap<l4::Frontend, RingKey>,
    pub(super) marks: MarkTable,
    /// Endpoints of gateways whose ring is in the kernel that cannot be reached there.
    pub(super) unreachable: Vec<(EndpointKey, Reach)>,
    /// Gateways that could not be taken in, and why.
    pub(super) rejected: Vec<(GatewayKey, Error)>,
}

/// What a ring's slots are to send new connections to.
#[derive(Debug)]
pub(super) struct DesiredRing {
    /// Per member of the plan's ring its backend id, or REFUSE where it cannot be used.
    members: Vec<u32>,
    /// The plan's slots; `None`: every slot is the agent's.
    slots: Option<Arc<[u32]>>,
    /// How many slots the plan has.
    pub(super) len: usize,
}

impl DesiredRing {
    /// The target of slot `at` of a ring with at least as many slots (a power of two) as the plan's: the flow
    /// hash's low bits choose, so a larger ring repeats the plan's.
    pub(super) fn target(&self, at: usize) -> u32 {
        match &self.slots {
            None => AGENT,
            Some(slots) => {
                let member = slots[at & (slots.len() - 1)];
                self.members.get(member as usize).copied().unwrap_or(REFUSE)
            }
        }
    }

    /// Whether every slot is the agent's.
    pub(super) fn is_agent(&self) -> bool {
        self.slots.is_none()
    }
}

impl Desired {
    /// Gives out ids and says what is to be. `reach` answers where an endpoint is. A gateway that the maps have no
    /// room for, or whose ring is of an impossible size, is rejected and stays as it was in `previous`.
    ///
    /// # Errors
    /// Routing that does not answer. Nothing has been written then.
    pub(super) fn resolve(
        plan: &L4Plan,
        previous: Option<&L4Plan>,
        shadow: &mut Shadow,
        reach: &mut dyn FnMut(SocketAddr) -> Result<Reach, Error>,
    ) -> Result<Self, Error> {
        let mut desired = Self::default();
        for (key, gateway) in &plan.gateways {
            match desired.add(key, gateway, shadow, reach) {
                Err(error @ (Error::Full { .. } | Error::RingSize { .. })) => {
                    desired.rejected.push((key.clone(), error));
                    let old = previous.and_then(|previous| previous.gateways.get(key));
                    old.map_or(Ok(()), |old| desired.add(key, old, shadow, reach))?;
                }
                added => added?,
            }
        }
        Ok(desired)
    }

    /// Adds one gateway whole, or takes back what it was given.
    fn add(
        &mut self,
        key: &GatewayKey,
        gateway: &L4Gateway,
        shadow: &mut Shadow,
        reach: &mut dyn FnMut(SocketAddr) -> Result<Reach, Error>,
    ) -> Result<(), Error> {
        let mut part = Self::default();
        if let Err(error) =
            part.fill(key, gateway, shadow, reach).and_then(|()| self.check_room(&part, shadow))
        {
            shadow.take_back(part.names.keys(), part.backends.keys(), part.rings.keys());
            return Err(error);
        }
        self.names.extend(part.names);
        self.backends.extend(part.backends);
        self.rings.extend(part.rings);
        self.frontends.extend(part.frontends);
        self.marks.extend(part.marks);
        self.unreachable.extend(part.unreachable);
        Ok(())
    }

    fn check_room(&self, part: &Self, shadow: &Shadow) -> Result<(), Error> {
        let limit = shadow.frontends_end;
        for family in [Family::V4, Family::V6] {
            let count = |desired: &Self| desired.frontends.values().filter(|(_, of)| *of == family).count();
            if count(self) + count(part) > limit as usize {
                return Err(Error::Full { what: "frontends", limit });
            }
        }
        Ok(())
    }

    fn fill(
        &mut self,
        key: &GatewayKey,
        gateway: &L4Gateway,
        shadow: &mut Shadow,
        reach: &mut dyn FnMut(SocketAddr) -> Result<Reach, Error>,
    ) -> Result<(), Error> {
        let index = self.give_name(shadow, key, None)?;
        let mut ids = HashMap::new();
        for (name, route) in &gateway.routes {
            let route_index = self.give_name(shadow, key, Some(name))?;
            let mut marks = RouteMarks { route: route_index, backends: HashMap::new() };
            for &address in &route.endpoints {
                let place = reach(address)?;
                let (id, backend) = give_backend(shadow, index, route_index, address, place)?;
                let usable = backend.mode == mode::LOCAL;
                if !usable && gateway.target == Target::Ring {
                    let endpoint = EndpointKey { gateway: key.clone(), route: name.clone(), address };
                    self.unreachable.push((endpoint, place));
                }
                ids.insert((name, address), if usable { id } else { REFUSE });
                marks.backends.insert(address, id);
                self.backends.insert(id, backend);
            }
            self.marks.entry(key.clone()).or_default().insert(name.clone(), marks);
        }
        for (family, ring) in [(Family::V4, &gateway.ring4), (Family::V6, &gateway.ring6)] {
            let frontends = || gateway.frontends.iter().filter(|f| Family::of(f.address.ip()) == family);
            let owner = (index, family);
            if frontends().next().is_some() || shadow.rings.contains_key(&owner) {
                let ring = desired_ring(key, gateway.target, ring, family, &ids)?;
                let limit = shadow.ring_ids.end();
                shadow.ring_ids.give(&owner).ok_or(Error::Full { what: "rings", limit })?;
                self.rings.insert(owner, ring);
                self.frontends.extend(frontends().map(|frontend| (*frontend, owner)));
            }
        }
        Ok(())
    }

    fn give_name(
        &mut self,
        shadow: &mut Shadow,
        gateway: &GatewayKey,
        route: Option<&RouteName>,
    ) -> Result<u32, Error> {
        let entry = names::entry(gateway, route);
        let limit = shadow.names.end();
        let index =
            shadow.names.give(&entry.digest).ok_or(Error::Full { what: "gateways and routes", limit })?;
        self.names.insert(index, entry);
        Ok(index)
    }
}

/// The backend's id and entry. A generation belongs to an id's owner and is settled when it is first written.
fn give_backend(
    shadow: &mut Shadow,
    gateway: u32,
    route: u32,
    address: SocketAddr,
    place: Reach,
) -> Result<(u32, Backend), Error> {
    let limit = shadow.backends.end();
    let id = shadow.backends.give(&(route, address)).ok_or(Error::Full { what: "endpoints", limit })?;
    let known = shadow.backend_values.get(&id);
    let was_local = known.is_some_and(|backend| backend.mode == mode::LOCAL);
    let (addr, family) = address_bytes(address.ip());
    let backend = Backend {
        addr,
        family,
        port: address.port().to_be_bytes(),
        // A route that is missing for a moment cuts no connection; one through an uplink is no pod's.
        mode: match place {
            Reach::Local => mode::LOCAL,
            Reach::None if was_local => mode::LOCAL,
            Reach::Uplink | Reach::None => mode::UNUSABLE,
        },
        generation: known.map_or(0, |backend| backend.generation),
        route,
        gateway,
    };
    Ok((id, backend))
}

fn desired_ring(
    key: &GatewayKey,
    target: Target,
    ring: &l4::Ring,
    family: Family,
    ids: &HashMap<(&RouteName, SocketAddr), u32>,
) -> Result<DesiredRing, Error> {
    let len = ring.slots.len();
    if !len.is_power_of_two() {
        return Err(Error::RingSize { gateway: key.to_string(), slots: len });
    }
    let id = |(route, address): &(RouteName, SocketAddr)| {
        let same_family = Family::of(address.ip()) == family;
        ids.get(&(route, *address)).copied().filter(|_| same_family).unwrap_or(REFUSE)
    };
    Ok(DesiredRing {
        members: ring.members.iter().map(id).collect(),
        slots: (target == Target::Ring).then(|| Arc::clone(&ring.slots)),
        len,
    })
}
