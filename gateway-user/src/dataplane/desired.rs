//! A plan in the kernel's terms: indices instead of names, backends instead of endpoints.
//!
//! Only gateways that changed are worked out anew: each has a [`Part`], which says what is desired for its sake.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use gateway_common::abi::{
    backend::{AGENT, Backend, DROP, REFUSE, mode},
    frontend::flags,
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
    reach::{Reach, Way},
    shadow::{Family, RingKey, Scope, Shadow, SourceOf, address_bytes, backend_address},
    sockets::picks::Shares,
};

/// What the maps are to hold.
#[derive(Debug, Default)]
pub(super) struct Desired {
    pub(super) names: BTreeMap<u32, RouteNames>,
    pub(super) backends: BTreeMap<u32, Backend>,
    pub(super) rings: BTreeMap<RingKey, DesiredRing>,
    pub(super) frontends: BTreeMap<l4::Frontend, DesiredFrontend>,
    pub(super) sources: BTreeSet<SourceOf>,
    pub(super) marks: MarkTable,
    /// How many backends on other nodes are reached through a device.
    pub(super) devices: BTreeMap<u32, usize>,
    parts: BTreeMap<GatewayKey, Part>,
    /// Of gateways whose ring is in the kernel, endpoints that cannot be reached there; only gateways that have such.
    lost: BTreeMap<GatewayKey, Vec<(EndpointKey, Reach)>>,
}

/// What is desired for the sake of one gateway. There are thousands of endpoints: what it says of them is in [`Desired`]
/// alone.
#[derive(Debug)]
struct Part {
    names: Box<[u32]>,
    backends: Box<[u32]>,
    rings: Box<[RingKey]>,
    frontends: BTreeMap<l4::Frontend, DesiredFrontend>,
    sources: BTreeSet<SourceOf>,
}

/// One gateway's part while it is worked out.
#[derive(Debug, Default)]
struct Draft {
    names: BTreeMap<u32, RouteNames>,
    backends: BTreeMap<u32, Backend>,
    rings: BTreeMap<RingKey, DesiredRing>,
    frontends: BTreeMap<l4::Frontend, DesiredFrontend>,
    sources: BTreeSet<SourceOf>,
    marks: HashMap<RouteName, RouteMarks>,
    /// Endpoints that cannot be reached in the kernel, where the ring is in the kernel.
    unreachable: Vec<(EndpointKey, Reach)>,
}

/// What a frontend is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DesiredFrontend {
    pub(super) ring: RingKey,
    /// Those of [`flags`] that the plan decides about.
    pub(super) flags: u32,
}

/// What may not be in the kernel as it is desired.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) names: BTreeSet<u32>,
    pub(super) backends: BTreeSet<u32>,
    pub(super) rings: BTreeSet<RingKey>,
    pub(super) frontends: BTreeSet<l4::Frontend>,
    pub(super) sources: BTreeSet<SourceOf>,
    /// Gateways that could not be taken in, and why.
    pub(super) rejected: Vec<(GatewayKey, Error)>,
}

impl Touched {
    /// Everything that is desired, or in the kernel.
    pub(super) fn add_all(&mut self, desired: &Desired, shadow: &Shadow) {
        self.names.extend(desired.names.keys().copied().chain(shadow.names.iter().map(|(_, id)| id)));
        self.backends
            .extend(desired.backends.keys().copied().chain(shadow.backends.iter().map(|(_, id)| id)));
        self.rings.extend(desired.rings.keys().chain(shadow.rings.keys()));
        self.frontends.extend(desired.frontends.keys().chain(shadow.frontends.keys()));
        self.sources.extend(desired.sources.iter().chain(&shadow.sources));
    }

    fn add(&mut self, part: &Part) {
        self.names.extend(&part.names);
        self.backends.extend(&part.backends);
        self.rings.extend(&part.rings);
        self.frontends.extend(part.frontends.keys());
        self.sources.extend(&part.sources);
    }
}

/// What a ring's slots are to send new connections to.
#[derive(Clone, Debug)]
pub(super) struct DesiredRing {
    /// Per member of the plan's ring its backend id, or REFUSE where it cannot be used.
    members: Arc<[u32]>,
    /// The plan's slots; `None`: every slot is the agent's.
    slots: Option<l4::Slots>,
    /// How many slots the plan has.
    pub(super) len: usize,
    /// What slots say that have no endpoint.
    nobody: u32,
}

impl DesiredRing {
    /// The target of slot `at` of a ring with at least as many slots (a power of two) as the plan's: the flow
    /// hash's low bits choose, so a larger ring repeats the plan's.
    pub(super) fn target(&self, at: usize) -> u32 {
        match &self.slots {
            None => AGENT,
            Some(slots) => {
                let member = slots.get(at & (slots.len() - 1));
                member
                    .and_then(|member| self.members.get(usize::from(member)))
                    .copied()
                    .unwrap_or(self.nobody)
            }
        }
    }

    /// What the slots are to say, for the hooks that pick without them.
    pub(super) fn shares(&self) -> Shares {
        Shares { members: self.members.clone(), slots: self.slots.clone() }
    }

    /// Without endpoints on this node another one may have them: what comes here all the same gets no answer, which
    /// would be wrong of those.
    fn or_dropped(self) -> Self {
        let or_drop = |id: &u32| if *id == REFUSE { DROP } else { *id };
        Self { members: self.members.iter().map(or_drop).collect(), nobody: DROP, ..self }
    }

    /// Whether every slot is the agent's.
    pub(super) fn is_agent(&self) -> bool {
        self.slots.is_none()
    }
}

impl Desired {
    /// Makes these gateways as they are in `plan`, or takes them out where they are not in it: gives out ids and says
    /// what is to be. `reach` answers where an endpoint is. A gateway that the maps have no room for, or whose ring is
    /// of an impossible size, is rejected and is as in `previous`.
    ///
    /// # Errors
    /// Routing that does not answer. It is then neither the one nor the other, and to be worked out from nothing.
    pub(super) fn update(
        &mut self,
        keys: &BTreeSet<GatewayKey>,
        plan: &L4Plan,
        previous: &L4Plan,
        shadow: &mut Shadow,
        reach: &mut dyn FnMut(SocketAddr) -> Result<Way, Error>,
    ) -> Result<Touched, Error> {
        let mut touched = Touched::default();
        for key in keys.iter().filter(|key| !plan.gateways.contains_key(*key)) {
            self.remove(key, &mut touched);
        }
        for (key, gateway) in keys.iter().filter_map(|key| plan.gateways.get_key_value(key)) {
            self.remove(key, &mut touched);
            match self.add(key, gateway, shadow, reach, &mut touched) {
                Err(error @ (Error::Full { .. } | Error::RingSize { .. })) => {
                    touched.rejected.push((key.clone(), error));
                    let old = previous.gateways.get(key);
                    old.map_or(Ok(()), |old| self.add(key, old, shadow, reach, &mut touched))?;
                }
                added => added?,
            }
        }
        Ok(touched)
    }

    /// Gateways that have an endpoint with one of these addresses.
    pub(super) fn gateways_at(&self, addresses: &BTreeSet<IpAddr>) -> impl Iterator<Item = &GatewayKey> {
        let is_there = move |part: &Part| {
            let backends = part.backends.iter().filter_map(|id| self.backends.get(id));
            let mut known = backends.filter_map(backend_address);
            known.any(|address| addresses.contains(&address.ip()))
        };
        self.parts.iter().filter(move |(_, part)| is_there(part)).map(|(key, _)| key)
    }

    /// Endpoints of gateways whose ring is in the kernel that cannot be reached there.
    pub(super) fn unreachable(&self) -> Vec<(EndpointKey, Reach)> {
        self.lost.values().flatten().cloned().collect()
    }

    /// Nothing is desired for this gateway's sake any more.
    fn remove(&mut self, key: &GatewayKey, touched: &mut Touched) {
        let Some(part) = self.parts.remove(key) else { return };
        self.lost.remove(key);
        touched.add(&part);
        for index in &part.names {
            self.names.remove(index);
        }
        for id in &part.backends {
            if let Some(backend) = self.backends.remove(id) {
                self.count_device(&backend, false);
            }
        }
        for ring in &part.rings {
            self.rings.remove(ring);
        }
        // Another gateway may have it by now.
        for (frontend, ring) in &part.frontends {
            if self.frontends.get(frontend) == Some(ring) {
                self.frontends.remove(frontend);
            }
        }
        // Whom the next owner lets in as well stays, and nobody else.
        for source in &part.sources {
            if !self.parts.values().any(|other| other.sources.contains(source)) {
                self.sources.remove(source);
            }
        }
        self.marks.remove(key);
    }

    /// Adds one gateway whole, or takes back what it was given.
    fn add(
        &mut self,
        key: &GatewayKey,
        gateway: &L4Gateway,
        shadow: &mut Shadow,
        reach: &mut dyn FnMut(SocketAddr) -> Result<Way, Error>,
        touched: &mut Touched,
    ) -> Result<(), Error> {
        let mut draft = Draft::default();
        if let Err(error) =
            draft.fill(key, gateway, shadow, reach).and_then(|()| self.check_room(&draft, shadow))
        {
            shadow.take_back(draft.names.keys(), draft.backends.keys(), draft.rings.keys());
            return Err(error);
        }
        let part = Part {
            names: draft.names.keys().copied().collect(),
            backends: draft.backends.keys().copied().collect(),
            rings: draft.rings.keys().copied().collect(),
            frontends: draft.frontends,
            sources: draft.sources,
        };
        touched.add(&part);
        draft.backends.values().for_each(|backend| self.count_device(backend, true));
        self.names.extend(draft.names);
        self.backends.extend(draft.backends);
        self.rings.extend(draft.rings);
        self.frontends.extend(&part.frontends);
        self.sources.extend(&part.sources);
        self.marks.insert(Arc::new(key.clone()), Arc::new(draft.marks));
        if !draft.unreachable.is_empty() {
            self.lost.insert(key.clone(), draft.unreachable);
        }
        self.parts.insert(key.clone(), part);
        Ok(())
    }

    /// Notes that one more or one less is reached through a device.
    fn count_device(&mut self, backend: &Backend, is_more: bool) {
        if backend.mode != mode::NAT {
            return;
        }
        let count = self.devices.entry(backend.device).or_default();
        if is_more {
            *count += 1;
        } else {
            *count -= 1;
            if *count == 0 {
                self.devices.remove(&backend.device);
            }
        }
    }

    fn check_room(&self, draft: &Draft, shadow: &Shadow) -> Result<(), Error> {
        let limit = shadow.frontends_end;
        // Each family has this room of its own: as long as both fit into it nobody has to be counted.
        if self.frontends.len() + draft.frontends.len() <= limit as usize {
            return Ok(());
        }
        for family in [Family::V4, Family::V6] {
            let count = |frontends: &BTreeMap<l4::Frontend, DesiredFrontend>| {
                frontends.values().filter(|frontend| frontend.ring.1 == family).count()
            };
            if count(&self.frontends) + count(&draft.frontends) > limit as usize {
                return Err(Error::Full { what: "frontends", limit });
            }
        }
        Ok(())
    }
}

impl Draft {
    fn fill(
        &mut self,
        key: &GatewayKey,
        gateway: &L4Gateway,
        shadow: &mut Shadow,
        reach: &mut dyn FnMut(SocketAddr) -> Result<Way, Error>,
    ) -> Result<(), Error> {
        let index = self.give_name(shadow, key, None)?;
        let mut ids = HashMap::new();
        for (name, route) in &gateway.routes {
            let route_index = self.give_name(shadow, key, Some(name))?;
            let mut marks = RouteMarks { route: route_index, backends: HashMap::new() };
            for &address in &route.endpoints {
                let way = reach(address)?;
                let (id, backend) = give_backend(shadow, index, route_index, address, way)?;
                let usable = backend.mode != mode::UNUSABLE;
                if !usable && gateway.target == Target::Ring {
                    let endpoint = EndpointKey { gateway: key.clone(), route: name.clone(), address };
                    self.unreachable.push((endpoint, way.reach));
                }
                ids.insert((name, address), if usable { id } else { REFUSE });
                marks.backends.insert(address, id);
                self.backends.insert(id, backend);
            }
            self.marks.insert(name.clone(), marks);
        }
        for (family, ring) in [(Family::V4, &gateway.ring4), (Family::V6, &gateway.ring6)] {
            let ring = desired_ring(key, gateway.target, ring, family, &ids)?;
            self.give_ring((index, family, Scope::All), ring, gateway, shadow)?;
        }
        if let Some(local) = &gateway.local {
            for (family, ring) in [(Family::V4, &local.ring4), (Family::V6, &local.ring6)] {
                let ring = desired_ring(key, gateway.target, ring, family, &ids)?.or_dropped();
                self.give_ring((index, family, Scope::Local), ring, gateway, shadow)?;
            }
        }
        Ok(())
    }

    /// A ring, and the frontends that use it; none where no frontend does, or did.
    fn give_ring(
        &mut self,
        owner: RingKey,
        ring: DesiredRing,
        gateway: &L4Gateway,
        shadow: &mut Shadow,
    ) -> Result<(), Error> {
        let (_, family, scope) = owner;
        let is_ours = |(frontend, access): &(&l4::Frontend, &l4::Access)| {
            let is_local = access.local_only && gateway.local.is_some();
            Family::of(frontend.address.ip()) == family && is_local == (scope == Scope::Local)
        };
        let of_ring: Vec<_> = gateway.frontends.iter().filter(is_ours).collect();
        if of_ring.is_empty() && !shadow.rings.contains_key(&owner) {
            return Ok(());
        }
        let limit = shadow.ring_ids.end();
        shadow.ring_ids.give(&owner).ok_or(Error::Full { what: "rings", limit })?;
        self.rings.insert(owner, ring);
        for (&frontend, access) in of_ring {
            let flag = |is_set, flag| if is_set { flag } else { 0 };
            let flags = flag(scope == Scope::Local, flags::LOCAL_ONLY)
                | flag(access.by_client, flags::BY_CLIENT)
                | flag(!access.sources.is_empty(), flags::HAS_SOURCES);
            self.frontends.insert(frontend, DesiredFrontend { ring: owner, flags });
            self.sources.extend(access.sources.iter().map(|prefix| (frontend, prefix.trunc())));
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
    way: Way,
) -> Result<(u32, Backend), Error> {
    let limit = shadow.backends.end();
    let id = shadow.backends.give(&(route, address)).ok_or(Error::Full { what: "endpoints", limit })?;
    let known = shadow.backend_values.get(&id).copied().unwrap_or_default();
    let (addr, family) = address_bytes(address.ip());
    let backend = Backend {
        addr,
        family,
        port: address.port().to_be_bytes(),
        generation: known.generation,
        route,
        gateway,
        mode: match way.reach {
            Reach::Local => mode::LOCAL,
            Reach::Remote { .. } => mode::NAT,
            // A route that is missing for a moment cuts no connection.
            Reach::None => known.mode,
        },
        device: if way.reach == Reach::None { known.device } else { way.device },
        source: way.source.map_or(known.source, |source| address_bytes(source).0),
        ..Backend::default()
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
        slots: (target == Target::Ring).then(|| ring.slots.clone()),
        len,
        nobody: REFUSE,
    })
}

#[cfg(test)]
mod tests {
    use gateway_common::abi::backend::FIRST_REAL;
    use gateway_model::{key::Protocol, plan::l4::L4Route};

    use super::{super::shadow::Capacity, *};

    const ROOM: Capacity = Capacity { names: 8, backends: FIRST_REAL + 8, rings: 4, frontends: 4 };

    fn key(name: &str) -> GatewayKey {
        GatewayKey { namespace: "default".into(), name: name.into() }
    }

    /// A gateway on one IPv4 frontend with one route; its ring's slots take turns with the endpoints.
    fn gateway(port: u16, endpoints: &[&str]) -> L4Gateway {
        let route = RouteName("(1)".into());
        let endpoints: Vec<SocketAddr> = endpoints.iter().map(|text| text.parse().unwrap()).collect();
        let frontend = l4::Frontend { address: ([192, 0, 2, 1], port).into(), protocol: Protocol::Tcp };
        L4Gateway {
            frontends: [(frontend, l4::Access::default())].into(),
            target: Target::Ring,
            routes: [(route.clone(), L4Route { endpoints: endpoints.iter().copied().collect() })].into(),
            ring4: l4::Ring {
                slots: (0..4).map(|at| at % endpoints.len().max(1) as u16).collect::<Vec<_>>().into(),
                members: endpoints.iter().map(|endpoint| (route.clone(), *endpoint)).collect(),
            },
            ring6: l4::Ring { members: [].into(), slots: vec![0; 4].into() },
            local: None,
        }
    }

    fn plan(gateways: &[(&str, L4Gateway)]) -> L4Plan {
        let gateways = gateways.iter().map(|(name, gateway)| (key(name), Arc::new(gateway.clone())));
        L4Plan { gateways: gateways.collect() }
    }

    fn resolve(plan: &L4Plan, previous: Option<&L4Plan>, shadow: &mut Shadow) -> (Desired, Touched) {
        let reach = |address: SocketAddr| {
            let source = IpAddr::from([192, 0, 2, 1]);
            let text = address.ip().to_string();
            let reach = match text.split_once('.') {
                Some(("203", _)) => Reach::Remote { source },
                Some(("198", _)) => Reach::None,
                _ => Reach::Local,
            };
            Ok(Way { reach, device: 2, source: Some(source) })
        };
        let (mut desired, nothing) = (Desired::default(), L4Plan::default());
        let previous = previous.unwrap_or(&nothing);
        let keys = previous.gateways.keys().cloned().collect();
        desired.update(&keys, previous, &nothing, shadow, &mut { reach }).unwrap();
        let keys = keys.into_iter().chain(plan.gateways.keys().cloned()).collect();
        let touched = desired.update(&keys, plan, previous, shadow, &mut { reach }).unwrap();
        (desired, touched)
    }

    #[test]
    fn an_endpoint_elsewhere_is_reached_from_the_nodes_address() {
        let mut shadow = Shadow::empty(ROOM);
        let (desired, _) =
            resolve(&plan(&[("a", gateway(80, &["10.0.0.1:80", "203.0.113.1:80"]))]), None, &mut shadow);
        let ring = desired.rings.values().next().unwrap();
        assert_eq!((0..4).map(|at| ring.target(at)).collect::<Vec<_>>(), [16, 17, 16, 17]);
        assert!(desired.unreachable().is_empty());
        let modes =
            [16, 17].map(|id| (desired.backends[&id].mode, desired.backends[&id].source[..4].to_vec()));
        assert_eq!(modes, [(mode::LOCAL, vec![192, 0, 2, 1]), (mode::NAT, vec![192, 0, 2, 1])]);
    }

    #[test]
    fn an_endpoint_without_a_route_is_reported_and_its_slots_refuse() {
        let mut shadow = Shadow::empty(ROOM);
        let (desired, _) =
            resolve(&plan(&[("a", gateway(80, &["10.0.0.1:80", "198.51.100.1:80"]))]), None, &mut shadow);
        let ring = desired.rings.values().next().unwrap();
        assert_eq!((0..4).map(|at| ring.target(at)).collect::<Vec<_>>(), [16, REFUSE, 16, REFUSE]);
        assert_eq!(desired.unreachable().len(), 1);
        assert_eq!(desired.backends[&17].mode, mode::UNUSABLE);
    }

    #[test]
    fn an_endpoint_of_the_other_family_is_never_in_a_ring() {
        let mut shadow = Shadow::empty(ROOM);
        let (desired, _) = resolve(&plan(&[("a", gateway(80, &["[fd00::1]:80"]))]), None, &mut shadow);
        assert_eq!(desired.rings.values().next().unwrap().target(0), REFUSE);
    }

    #[test]
    fn a_frontend_that_moves_to_another_gateway_lets_in_whom_that_one_does() {
        let mut shadow = Shadow::empty(ROOM);
        let with = |prefixes: &[&str]| {
            let mut gateway = gateway(80, &["10.0.0.1:80"]);
            for access in gateway.frontends.values_mut() {
                access.sources = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
            }
            gateway
        };
        let old = plan(&[("b", with(&["10.0.0.0/8", "192.168.0.1/16"]))]);
        let without = L4Gateway { frontends: [].into(), ..with(&[]) };
        let new = plan(&[("a", with(&["10.0.0.0/8"])), ("b", without)]);
        let (before, _) = resolve(&old, None, &mut shadow);
        assert_eq!(before.sources.len(), 2);
        let (after, touched) = resolve(&new, Some(&old), &mut shadow);
        let left: Vec<_> = after.sources.iter().map(|(_, prefix)| prefix.to_string()).collect();
        assert_eq!((left, touched.sources.len()), (vec!["10.0.0.0/8".to_owned()], 2));
    }

    #[test]
    fn slots_without_an_endpoint_of_this_node_drop() {
        let mut shadow = Shadow::empty(ROOM);
        let mut local = gateway(80, &["10.0.0.1:80"]);
        let nobody = l4::Ring { members: [].into(), slots: vec![l4::Slots::NOBODY; 4].into() };
        local.local = Some(l4::LocalRings { ring4: nobody.clone(), ring6: nobody });
        local.frontends.values_mut().for_each(|access| access.local_only = true);
        let (desired, _) = resolve(&plan(&[("a", local)]), None, &mut shadow);
        let rings: Vec<_> = desired.rings.iter().map(|(key, ring)| (key.2, ring.target(0))).collect();
        assert_eq!(rings, [(Scope::Local, DROP)]);
        let flags: Vec<_> = desired.frontends.values().map(|frontend| frontend.flags).collect();
        assert_eq!(flags, [flags::LOCAL_ONLY]);
    }

    #[test]
    fn gateways_are_found_by_the_addresses_of_their_endpoints() {
        let mut shadow = Shadow::empty(ROOM);
        let both = plan(&[
            ("a", gateway(80, &["10.0.0.1:80", "203.0.113.1:80"])),
            ("b", gateway(81, &["203.0.113.1:81"])),
        ]);
        let one = plan(&[("a", gateway(80, &["10.0.0.1:80"]))]);
        let find = |desired: &Desired, address: &str| -> Vec<String> {
            let addresses = BTreeSet::from([address.parse().unwrap()]);
            desired.gateways_at(&addresses).map(|key| key.name.clone()).collect()
        };
        let (desired, _) = resolve(&both, None, &mut shadow);
        assert_eq!(
            (find(&desired, "10.0.0.1"), find(&desired, "203.0.113.1").len()),
            (vec!["a".to_owned()], 2)
        );
        assert_eq!(desired.devices, [(2, 2)].into(), "both elsewhere, through the same device");
        let (desired, _) = resolve(&one, Some(&both), &mut shadow);
        assert!(find(&desired, "203.0.113.1").is_empty() && desired.devices.is_empty());
    }

    #[test]
    fn a_larger_ring_repeats_the_plan() {
        let mut shadow = Shadow::empty(ROOM);
        let (desired, _) =
            resolve(&plan(&[("a", gateway(80, &["10.0.0.1:80", "10.0.0.2:80"]))]), None, &mut shadow);
        let ring = desired.rings.values().next().unwrap();
        assert!((0..64).all(|at| ring.target(at) == ring.target(at + 4)));
    }

    #[test]
    fn a_gateway_that_asks_for_a_request_sends_every_slot_to_the_agent() {
        let mut shadow = Shadow::empty(ROOM);
        let shop = L4Gateway { target: Target::Agent, ..gateway(80, &["203.0.113.1:80"]) };
        let (desired, _) = resolve(&plan(&[("a", shop)]), None, &mut shadow);
        let ring = desired.rings.values().next().unwrap();
        assert!(ring.is_agent() && (0..4).all(|at| ring.target(at) == AGENT));
        assert!(desired.unreachable().is_empty(), "the proxy reaches it");
        assert_eq!(desired.marks[&key("a")][&RouteName("(1)".into())].backends.len(), 1, "it is counted");
    }

    #[test]
    fn a_gateway_that_does_not_fit_keeps_its_old_plan_and_no_new_number() {
        let mut shadow = Shadow::empty(ROOM);
        let old = plan(&[("a", gateway(80, &["10.0.0.1:80"])), ("b", gateway(81, &["10.0.0.2:80"]))]);
        let (before, _) = resolve(&old, None, &mut shadow);
        for (&index, entry) in &before.names {
            shadow.name_entries.insert(index, *entry);
        }
        shadow.backend_values.extend(before.backends.clone());
        let many: Vec<String> = (0..20).map(|host| format!("10.0.1.{host}:80")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let new = plan(&[("a", gateway(80, &many)), ("b", gateway(81, &["10.0.0.3:80"]))]);
        let (after, touched) = resolve(&new, Some(&old), &mut shadow);
        assert!(matches!(&touched.rejected[..], [(gateway, Error::Full { .. })] if *gateway == key("a")));
        let addresses: Vec<_> = after.backends.values().map(|backend| backend.addr[3]).collect();
        assert_eq!(addresses, [1, 3], "a as before, b as planned");
        assert_eq!(after.frontends.len(), 2);
    }

    #[test]
    fn a_ring_of_an_impossible_size_rejects_its_gateway_alone() {
        let mut shadow = Shadow::empty(ROOM);
        let mut odd = gateway(80, &["10.0.0.1:80"]);
        odd.ring4.slots = vec![0; 3].into();
        let (desired, touched) =
            resolve(&plan(&[("a", odd), ("b", gateway(81, &["10.0.0.2:80"]))]), None, &mut shadow);
        assert!(matches!(&touched.rejected[..], [(_, Error::RingSize { slots: 3, .. })]));
        assert_eq!(desired.frontends.len(), 1);
    }
}
