//! What the kernel holds against what should be there: read from the maps, not from memory.

use std::{collections::BTreeMap, io, net::SocketAddr};

use gateway_common::abi::{
    backend::{AGENT, Backend, DROP, KERNEL, NONE, REFUSE, mode},
    frontend::flags::{AGENT_LISTENS, HAS_OUTGOING},
};
use gateway_model::{
    key::{GatewayKey, Protocol, RouteName},
    plan::l4::{self, L4Plan},
};
use serde::Serialize;

use super::{
    desired::Desired,
    error::Error,
    maps::Maps,
    names::digest,
    ring::Ring,
    shadow::{Family, Shadow, backend_address},
};

/// The state of the kernel maps, readable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dump {
    /// Frontends in the kernel.
    pub frontends: Vec<FrontendDump>,
    /// Rings in the kernel.
    pub rings: Vec<RingDump>,
    /// Backends in the kernel, those of endpoints that are gone included.
    pub backends: Vec<BackendDump>,
    /// Entries of the flow tables, by table.
    pub flows: BTreeMap<String, u64>,
    /// What the kernel holds otherwise than desired, in words; empty: everything desired is there.
    pub differences: Vec<String>,
}

/// A frontend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FrontendDump {
    /// Address and port.
    pub address: SocketAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// The gateway, where its index is known.
    pub gateway: Option<GatewayKey>,
    /// Index of its ring.
    pub ring: u32,
    /// Whether the agent's listeners answer.
    pub agent_listens: bool,
    /// Connections of the node's, or of its pods, begin there, too: their answers are not for the gateway.
    pub is_origin: bool,
}

/// A ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RingDump {
    /// Its index.
    pub ring: u32,
    /// The gateway, where its index is known.
    pub gateway: Option<GatewayKey>,
    /// Address family.
    pub family: Family,
    /// Number of slots.
    pub slots: usize,
    /// Slots whose new connections go to a route, or to `kernel`, `agent`, `refuse`, `drop`.
    pub current: BTreeMap<String, usize>,
    /// Slots that keep live connections elsewhere than new ones, by where.
    pub previous: BTreeMap<String, usize>,
    /// How many slots ask.
    pub asking: usize,
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendDump {
    /// Its id.
    pub id: u32,
    /// The endpoint's address.
    pub address: SocketAddr,
    /// The gateway, where its index is known.
    pub gateway: Option<GatewayKey>,
    /// The route, where its index is known.
    pub route: Option<RouteName>,
    /// How many endpoints had this id.
    pub generation: u32,
    /// `local`, `nat` (elsewhere, and sees this node's address), or `unusable`: gone, or not to be reached at L4.
    pub mode: &'static str,
}

/// Names of indices, as far as the plan has them.
#[derive(Default)]
struct Names<'a> {
    gateways: BTreeMap<u32, &'a GatewayKey>,
    routes: BTreeMap<u32, &'a RouteName>,
}

/// Reads the maps; without a plan nothing is desired yet, and nothing differs.
pub(super) fn read(
    maps: &Maps,
    shadow: &Shadow,
    plan: Option<&L4Plan>,
    desired: &Desired,
) -> Result<Dump, Error> {
    let names = plan.map_or_else(Names::default, |plan| Names::of(plan, shadow));
    let mut dump = Dump { flows: count_flows(maps)?, ..Dump::default() };
    let kernel = Shadow::read(maps)?;
    let backends: BTreeMap<u32, Backend> = kernel.backend_values.into_iter().collect();
    for (frontend, value) in &kernel.frontends {
        dump.frontends.push(FrontendDump {
            address: frontend.address,
            protocol: frontend.protocol,
            gateway: names.gateway(value.gateway),
            ring: value.ring,
            agent_listens: value.flags & AGENT_LISTENS != 0,
            is_origin: value.flags & HAS_OUTGOING != 0,
        });
    }
    for ((gateway, family, _), ring) in &shadow.rings {
        let dumped = dump_ring(ring, names.gateway(*gateway), *family, &backends, &names);
        dump.rings.push(dumped.map_err(Error::map("RING", "map"))?);
    }
    for (&id, backend) in &backends {
        dump.backends.extend(dump_backend(id, backend, &names));
    }
    if plan.is_some() {
        let found = differences(shadow, desired, &kernel.frontends, &backends);
        dump.differences = found.map_err(Error::map("RING", "map"))?;
    }
    Ok(dump)
}

impl<'a> Names<'a> {
    fn of(plan: &'a L4Plan, shadow: &Shadow) -> Self {
        let mut names = Self::default();
        for (key, gateway) in &plan.gateways {
            names.gateways.extend(shadow.names.get(&digest(key, None)).map(|index| (index, key)));
            for route in gateway.routes.keys() {
                names.routes.extend(shadow.names.get(&digest(key, Some(route))).map(|index| (index, route)));
            }
        }
        names
    }

    fn gateway(&self, index: u32) -> Option<GatewayKey> {
        self.gateways.get(&index).copied().cloned()
    }

    fn route(&self, index: u32) -> Option<RouteName> {
        self.routes.get(&index).copied().cloned()
    }

    /// Where a slot points, in words.
    fn target(&self, id: u32, backends: &BTreeMap<u32, Backend>) -> String {
        match id {
            NONE => "none".to_owned(),
            KERNEL => "kernel".to_owned(),
            AGENT => "agent".to_owned(),
            REFUSE => "refuse".to_owned(),
            DROP => "drop".to_owned(),
            id => backends
                .get(&id)
                .and_then(|backend| self.route(backend.route))
                .map_or_else(|| format!("backend {id}"), |route| route.0),
        }
    }
}

fn dump_ring(
    ring: &Ring,
    gateway: Option<GatewayKey>,
    family: Family,
    backends: &BTreeMap<u32, Backend>,
    names: &Names<'_>,
) -> io::Result<RingDump> {
    let mut pairs = BTreeMap::new();
    for slot in ring.slots()?.iter() {
        *pairs.entry((slot.current, slot.previous)).or_insert(0) += 1;
    }
    let (mut current, mut previous, mut asking) = (BTreeMap::new(), BTreeMap::new(), 0);
    for ((now, before), count) in pairs {
        *current.entry(names.target(now, backends)).or_insert(0) += count;
        if before != NONE {
            *previous.entry(names.target(before, backends)).or_insert(0) += count;
            asking += count;
        }
    }
    Ok(RingDump { ring: ring.index, gateway, family, slots: ring.len, current, previous, asking })
}

fn dump_backend(id: u32, backend: &Backend, names: &Names<'_>) -> Option<BackendDump> {
    Some(BackendDump {
        id,
        address: backend_address(backend)?,
        gateway: names.gateway(backend.gateway),
        route: names.route(backend.route),
        generation: backend.generation,
        mode: match backend.mode {
            mode::LOCAL => "local",
            mode::NAT => "nat",
            _ => "unusable",
        },
    })
}

fn count_flows(maps: &Maps) -> Result<BTreeMap<String, u64>, Error> {
    let (v4, v6) = (&maps.flows4, &maps.flows6);
    let counts = [
        ("FLOWS4", v4.flows.count()),
        ("FLOWS6", v6.flows.count()),
        ("EMBRYO4", v4.embryo.count()),
        ("EMBRYO6", v6.embryo.count()),
        ("OLD4", v4.old.count()),
        ("OLD6", v6.old.count()),
        ("UDP_FLOWS4", v4.udp_flows.count()),
        ("UDP_FLOWS6", v6.udp_flows.count()),
        ("REPLIES4", v4.replies.count()),
        ("REPLIES6", v6.replies.count()),
        ("REPLY_EMBRYO4", v4.reply_embryo.count()),
        ("REPLY_EMBRYO6", v6.reply_embryo.count()),
        ("UDP_REPLIES4", v4.udp_replies.count()),
        ("UDP_REPLIES6", v6.udp_replies.count()),
        ("NAT4", v4.nat.count()),
        ("NAT6", v6.nat.count()),
        ("NAT_EMBRYO4", v4.nat_embryo.count()),
        ("NAT_EMBRYO6", v6.nat_embryo.count()),
        ("UDP_NAT4", v4.udp_nat.count()),
        ("UDP_NAT6", v6.udp_nat.count()),
        ("OUTGOING4", v4.outgoing.count()),
        ("OUTGOING6", v6.outgoing.count()),
        ("UDP_OUTGOING4", v4.udp_outgoing.count()),
        ("UDP_OUTGOING6", v6.udp_outgoing.count()),
    ];
    counts
        .into_iter()
        .map(|(name, count)| Ok((name.to_owned(), count.map_err(Error::map(name, "count"))?)))
        .collect()
}

fn differences(
    shadow: &Shadow,
    desired: &Desired,
    frontends: &BTreeMap<l4::Frontend, gateway_common::abi::frontend::Frontend>,
    backends: &BTreeMap<u32, Backend>,
) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for (frontend, want) in &desired.frontends {
        let ring = shadow.rings.get(&want.ring).map(|ring| ring.index);
        let actual = frontends.get(frontend).map(|value| value.ring);
        if actual != ring || ring.is_none() {
            found.push(format!("frontend {}: ring {actual:?} instead of {ring:?}", frontend.address));
        }
    }
    if shadow.sources != desired.sources {
        found.push("prefixes that clients may come from: not as wanted".to_owned());
    }
    for frontend in frontends.keys().filter(|frontend| !desired.frontends.contains_key(frontend)) {
        found.push(format!("frontend {}: not wanted", frontend.address));
    }
    for (id, want) in &desired.backends {
        let parts = |one: &Backend| (one.addr, one.port, one.mode, one.device, one.source);
        let same = |have: &Backend| parts(have) == parts(want);
        if !backends.get(id).is_some_and(same) {
            found.push(format!("backend {id}: not as wanted"));
        }
    }
    for (key, want) in &desired.rings {
        let Some(ring) = shadow.rings.get(key) else { continue };
        let slots = ring.slots()?;
        let wrong = slots.iter().enumerate().filter(|(at, slot)| slot.current != want.target(*at)).count();
        if wrong > 0 {
            found.push(format!("ring {}: {wrong} slots send new connections elsewhere", ring.index));
        }
    }
    Ok(found)
}
