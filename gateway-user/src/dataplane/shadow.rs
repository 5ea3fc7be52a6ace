//! What the kernel holds, as far as this agent wrote or adopted it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use gateway_common::abi::{
    backend::{Backend, FIRST_REAL},
    frontend::{
        Frontend, FrontendKey4, FrontendKey6,
        flags::{HAS_OUTGOING, LOCAL_ONLY},
    },
    names::RouteNames,
};
use gateway_model::{key::Protocol, plan::l4};
use ipnet::IpNet;
use serde::Serialize;

use super::{error::Error, ids::Ids, load::Pins, maps::Maps, names::Digest, ring::Ring, sources};

/// Address family; each gateway has one ring for each in which it has frontends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Whose endpoints a ring has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scope {
    /// Every node's.
    All,
    /// This node's.
    Local,
}

/// A ring's owner: gateway index, family and scope.
pub(super) type RingKey = (u32, Family, Scope);

/// A prefix that clients of a frontend may come from.
pub(super) type SourceOf = (l4::Frontend, IpNet);

/// The state of the maps that the agent writes. Each part is updated right after the kernel took the write, so
/// that after a failure the next attempt knows what is left to do.
#[derive(Debug)]
pub(super) struct Shadow {
    /// Indices of gateways and routes.
    pub(super) names: Ids<Digest>,
    pub(super) name_entries: HashMap<u32, RouteNames>,
    /// Backend ids, by route index and address.
    pub(super) backends: Ids<(u32, SocketAddr)>,
    pub(super) backend_values: HashMap<u32, Backend>,
    /// Ring indices.
    pub(super) ring_ids: Ids<RingKey>,
    pub(super) rings: BTreeMap<RingKey, Ring>,
    pub(super) frontends: BTreeMap<l4::Frontend, Frontend>,
    pub(super) sources: BTreeSet<SourceOf>,
    /// How many frontends of one family there may be.
    pub(super) frontends_end: u32,
}

/// How much the maps hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) names: u32,
    pub(super) backends: u32,
    pub(super) rings: u32,
    pub(super) frontends: u32,
}

impl Shadow {
    /// Of maps in which nothing was written yet.
    pub(super) fn empty(capacity: Capacity) -> Self {
        Self {
            names: Ids::new(0, capacity.names),
            name_entries: HashMap::new(),
            backends: Ids::new(FIRST_REAL, capacity.backends),
            backend_values: HashMap::new(),
            ring_ids: Ids::new(0, capacity.rings),
            rings: BTreeMap::new(),
            frontends: BTreeMap::new(),
            sources: BTreeSet::new(),
            frontends_end: capacity.frontends,
        }
    }

    /// Rebuilds it from the maps; rings that no frontend names are left-overs and are removed.
    pub(super) fn adopt(maps: &Maps, pins: &Pins, now: u32) -> Result<Self, Error> {
        let mut shadow = Self::read(maps)?;
        shadow.adopt_rings(maps, pins, now)?;
        shadow.frontends.values_mut().for_each(|value| value.flags &= !HAS_OUTGOING);
        Ok(shadow)
    }

    /// What the maps say, without rings.
    pub(super) fn read(maps: &Maps) -> Result<Self, Error> {
        let mut shadow = Self::empty(Capacity {
            names: maps.names.capacity().min(maps.route_stats.capacity()).min(maps.gateway_stats.capacity()),
            backends: maps.backends.capacity().min(maps.backend_stats.capacity()),
            rings: maps.rings.capacity(),
            frontends: maps.frontends4.capacity().min(maps.frontends6.capacity()),
        });
        shadow.adopt_names(maps)?;
        shadow.adopt_backends(maps)?;
        shadow.adopt_frontends(maps)?;
        shadow.sources = sources::read(maps)?;
        Ok(shadow)
    }

    fn adopt_names(&mut self, maps: &Maps) -> Result<(), Error> {
        let entries = maps.names.entries(u32::MAX).map_err(Error::map("ROUTE_NAMES", "read"))?;
        for (index, entry) in entries {
            if self.names.adopt(entry.digest, index) {
                self.name_entries.insert(index, entry);
            }
        }
        Ok(())
    }

    fn adopt_backends(&mut self, maps: &Maps) -> Result<(), Error> {
        let entries = maps.backends.entries(u32::MAX).map_err(Error::map("BACKENDS", "read"))?;
        for (id, backend) in entries {
            let Some(address) = backend_address(&backend) else { continue };
            if id >= FIRST_REAL && self.backends.adopt((backend.route, address), id) {
                self.backend_values.insert(id, backend);
            }
        }
        Ok(())
    }

    fn adopt_frontends(&mut self, maps: &Maps) -> Result<(), Error> {
        self.frontends.extend(read_frontends(maps)?);
        Ok(())
    }

    fn adopt_rings(&mut self, maps: &Maps, pins: &Pins, now: u32) -> Result<(), Error> {
        let mut claims = BTreeSet::new();
        for (frontend, value) in &self.frontends {
            let scope = if value.flags & LOCAL_ONLY == 0 { Scope::All } else { Scope::Local };
            let key = (value.gateway, Family::of(frontend.address.ip()), scope);
            if self.rings.contains_key(&key) {
                continue;
            }
            let slots = value.ring_mask as usize + 1;
            if let Some(ring) = Ring::adopt(pins, value.ring, slots, now)?
                && self.ring_ids.adopt(key, value.ring)
            {
                claims.insert(value.ring);
                self.rings.insert(key, ring);
            }
        }
        for index in Ring::pinned(pins)?.into_iter().filter(|index| !claims.contains(index)) {
            tracing::info!(index, "removing a ring that no frontend uses");
            Ring::remove(pins, maps, index)?;
        }
        Ok(())
    }

    /// Takes back those of the numbers that the kernel has never seen.
    pub(super) fn take_back<'a>(
        &mut self,
        names: impl Iterator<Item = &'a u32>,
        backends: impl Iterator<Item = &'a u32>,
        rings: impl Iterator<Item = &'a RingKey>,
    ) {
        names.filter(|id| !self.name_entries.contains_key(id)).for_each(|id| self.names.take_back(*id));
        backends
            .filter(|id| !self.backend_values.contains_key(id))
            .for_each(|id| self.backends.take_back(*id));
        for key in rings.filter(|key| !self.rings.contains_key(key)) {
            self.ring_ids.get(key).into_iter().for_each(|index| self.ring_ids.take_back(index));
        }
    }

    /// The backend with this id, if its endpoint still exists.
    pub(super) fn live_backend(&self, id: u32) -> Option<&Backend> {
        self.backend_values.get(&id).filter(|_| !self.backends.is_retired(id))
    }
}

/// Address and port of an entry that is in use.
pub(super) fn backend_address(backend: &Backend) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(backend.port);
    match backend.family {
        4 => {
            let [a, b, c, d, ..] = backend.addr;
            Some((IpAddr::from([a, b, c, d]), port).into())
        }
        6 => Some((IpAddr::from(backend.addr), port).into()),
        _ => None,
    }
}

/// Address bytes as [`Backend::addr`] holds them, and the family's number.
pub(super) fn address_bytes(address: IpAddr) -> ([u8; 16], u8) {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            (bytes, 4)
        }
        IpAddr::V6(address) => (address.octets(), 6),
    }
}

/// All frontends of the maps.
fn read_frontends(maps: &Maps) -> Result<impl Iterator<Item = (l4::Frontend, Frontend)> + use<>, Error> {
    let v4 = maps.frontends4.entries(u32::MAX).map_err(Error::map("FRONTENDS4", "read"))?;
    let v6 = maps.frontends6.entries(u32::MAX).map_err(Error::map("FRONTENDS6", "read"))?;
    let v4 = v4.into_iter().map(|(k, value)| (IpAddr::from(k.addr), k.port, k.protocol, value));
    let v6 = v6.into_iter().map(|(k, value)| (IpAddr::from(k.addr), k.port, k.protocol, value));
    Ok(v4.chain(v6).map(|(address, port, protocol, value)| {
        let protocol = if protocol == 17 { Protocol::Udp } else { Protocol::Tcp };
        let address = SocketAddr::new(address, u16::from_be_bytes(port));
        (l4::Frontend { address, protocol }, value)
    }))
}

/// Writes or, without a value, removes a frontend. What the packet path notes in it stays.
pub(super) fn put_frontend(
    maps: &Maps,
    frontend: &l4::Frontend,
    value: Option<&Frontend>,
) -> Result<(), Error> {
    write_frontend(maps, frontend, value, HAS_OUTGOING)
}

/// Packets to frontends where no connection begins any more are asked no more whether they answer one. Should one
/// begin meanwhile, its next packet notes it again.
pub(super) fn clear_origins(maps: &Maps, is_origin: impl Fn(&l4::Frontend) -> bool) -> Result<(), Error> {
    for (frontend, value) in read_frontends(maps)? {
        if value.flags & HAS_OUTGOING != 0 && !is_origin(&frontend) {
            let value = Frontend { flags: value.flags & !HAS_OUTGOING, ..value };
            write_frontend(maps, &frontend, Some(&value), 0)?;
        }
    }
    Ok(())
}

/// `kept`: flags that stay as they are.
fn write_frontend(
    maps: &Maps,
    frontend: &l4::Frontend,
    value: Option<&Frontend>,
    kept: u32,
) -> Result<(), Error> {
    let port = frontend.address.port().to_be_bytes();
    let protocol = match frontend.protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    };
    match frontend.address.ip() {
        IpAddr::V4(address) => {
            let key = FrontendKey4 { addr: address.octets(), port, protocol, pad: 0 };
            put(&maps.frontends4, &key, value, kept).map_err(Error::map("FRONTENDS4", "write"))
        }
        IpAddr::V6(address) => {
            let key = FrontendKey6 { addr: address.octets(), port, protocol, pad: 0 };
            put(&maps.frontends6, &key, value, kept).map_err(Error::map("FRONTENDS6", "write"))
        }
    }
}

fn put<K: aya::Pod>(
    table: &super::sys::table::Table<K, Frontend>,
    key: &K,
    value: Option<&Frontend>,
    kept: u32,
) -> std::io::Result<()> {
    let Some(value) = value else { return table.remove(key).map(drop) };
    let old = if kept == 0 { None } else { table.get(key)? };
    let flags = value.flags | old.map_or(0, |old| old.flags & kept);
    table.set(key, &Frontend { flags, ..*value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_map() {
        for text in ["10.1.2.3:80", "[fd00::7]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            let (addr, family) = address_bytes(address.ip());
            let backend = Backend { addr, family, port: address.port().to_be_bytes(), ..Default::default() };
            assert_eq!(backend_address(&backend), Some(address));
        }
        assert_eq!(backend_address(&Backend::default()), None);
    }
}
