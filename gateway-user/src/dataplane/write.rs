//! From desired to actual: writes only what differs, in the order in which no packet is ever misled.
//!
//! Names and backends first, then rings, then frontends; removals last. Each write is noted in the shadow right
//! away: a failure leaves a state that is consistent and known.

use std::collections::{BTreeMap, BTreeSet};

use gateway_common::abi::{
    backend::{Backend, mode},
    frontend::{Frontend, flags::AGENT_LISTENS},
};
use gateway_model::plan::l4;

use super::{
    desired::{Desired, DesiredFrontend, DesiredRing, Touched},
    error::Error,
    load::Pins,
    maps::Maps,
    ring::Ring,
    shadow::{RingKey, Shadow, put_frontend},
    slot,
    sockets::Sockets,
    sources,
};

/// What was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) backends: usize,
    pub(super) slots: usize,
    pub(super) frontends: usize,
}

/// One pass of writing.
pub(super) struct Writer<'a> {
    pub(super) maps: &'a Maps,
    pub(super) pins: &'a Pins,
    pub(super) shadow: &'a mut Shadow,
    /// Where this node's own sockets are served.
    pub(super) sockets: Option<&'a mut Sockets>,
    /// Flags of new rings.
    pub(super) ring_flags: u32,
    /// Second of the data plane's clock.
    pub(super) now: u32,
    /// Number of the last scan of the flow tables that has begun.
    pub(super) scan: u64,
    pub(super) written: Written,
}

impl Writer<'_> {
    /// Makes the maps hold what is desired, of what is touched.
    pub(super) fn write(mut self, desired: &Desired, touched: &Touched) -> Result<Written, Error> {
        self.names(desired, touched)?;
        self.backends(desired, touched)?;
        self.listening_frontends(desired, touched)?;
        self.rings(desired, touched)?;
        self.picks(desired, touched)?;
        self.sources(desired, touched)?;
        self.frontends(desired, touched)?;
        self.remove_frontends(desired, touched)?;
        self.remove_sources(desired, touched)?;
        self.remove_rings(desired, touched)?;
        self.remove_backends(desired, touched)?;
        self.retire_names(desired, touched);
        Ok(self.written)
    }

    fn names(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        for (&index, entry) in wanted(&touched.names, &desired.names) {
            if self.shadow.name_entries.get(&index) == Some(entry) {
                continue;
            }
            // The counters of whoever had the index before.
            self.maps.route_stats.clear(&index).map_err(Error::map("ROUTE_STATS", "clear"))?;
            self.maps.gateway_stats.clear(&index).map_err(Error::map("GATEWAY_STATS", "clear"))?;
            self.maps.names.set(&index, entry).map_err(Error::map("ROUTE_NAMES", "write"))?;
            self.shadow.name_entries.insert(index, *entry);
        }
        Ok(())
    }

    fn backends(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        for (&id, backend) in wanted(&touched.backends, &desired.backends) {
            match self.shadow.backend_values.get(&id) {
                Some(known) if known == backend => {}
                Some(_) => self.put_backend(id, *backend)?,
                None => {
                    let old = self.maps.backends.get(&id).map_err(Error::map("BACKENDS", "read"))?;
                    let generation = old.map_or(0, |old| old.generation).wrapping_add(1).max(1);
                    self.maps.backend_stats.clear(&id).map_err(Error::map("BACKEND_STATS", "clear"))?;
                    self.put_backend(id, Backend { generation, ..*backend })?;
                }
            }
        }
        Ok(())
    }

    fn put_backend(&mut self, id: u32, backend: Backend) -> Result<(), Error> {
        self.maps.backends.set(&id, &backend).map_err(Error::map("BACKENDS", "write"))?;
        self.shadow.backend_values.insert(id, backend);
        self.written.backends += 1;
        Ok(())
    }

    /// Frontends whose slots are about to say AGENT must find the listeners before the first packet does.
    fn listening_frontends(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        let to_agent = |key: &RingKey| desired.rings.get(key).is_some_and(DesiredRing::is_agent);
        let wanted = wanted(&touched.frontends, &desired.frontends);
        for (frontend, want) in wanted.filter(|(_, want)| to_agent(&want.ring)) {
            let ring = self.shadow.rings.get(&want.ring).map(|ring| ring.index);
            if let Some(&old) = self.shadow.frontends.get(frontend)
                && ring == Some(old.ring)
            {
                self.put_frontend(*frontend, Frontend { flags: old.flags | AGENT_LISTENS, ..old })?;
            }
        }
        Ok(())
    }

    /// New rings are made first and then published together: for each call the kernel waits until no program can
    /// see what was there before.
    fn rings(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        let mut fresh = Vec::new();
        for (key, want) in wanted(&touched.rings, &desired.rings) {
            match self.shadow.rings.get_mut(key) {
                Some(ring) if ring.len >= want.len => {
                    let written = ring.write((0..).map(|at| want.target(at)), self.now);
                    self.written.slots += written.map_err(Error::map("RING", "map"))?;
                }
                _ => fresh.push((*key, self.make_ring(*key, want)?)),
            }
        }
        let (keys, rings): (Vec<RingKey>, Vec<Ring>) = fresh.into_iter().unzip();
        let (count, published) = Ring::publish(&rings, self.maps);
        for (key, ring) in keys.into_iter().zip(rings).take(count) {
            self.written.slots += ring.len;
            self.shadow.rings.insert(key, ring);
        }
        published
    }

    /// A ring, perhaps a larger one in the place of an old one: each old slot lives on in all that share its low
    /// bits. Frontends choose by their old, shorter mask until they are written.
    fn make_ring(&mut self, key: RingKey, want: &DesiredRing) -> Result<Ring, Error> {
        let limit = self.shadow.ring_ids.end();
        let index = self.shadow.ring_ids.give(&key).ok_or(Error::Full { what: "rings", limit })?;
        let old = self.shadow.rings.get(&key);
        let slots = old.map(Ring::slots).transpose().map_err(Error::map("RING", "map"))?;
        let slot = |at: usize| match &slots {
            Some(old) => slot::transition(old.load(at & (old.len() - 1)), want.target(at)),
            None => slot::first(want.target(at)),
        };
        let initial: Vec<_> = (0..want.len).map(slot).collect();
        let mut ring = Ring::create(self.pins, self.ring_flags, index, &initial, self.now)?;
        if let Some(old) = old {
            ring.least_slots = old.least_slots;
        }
        Ok(ring)
    }

    /// Sockets of this node pick by trees of the rings' shares.
    fn picks(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        let Some(sockets) = &mut self.sockets else { return Ok(()) };
        let route_of = |id| desired.backends.get(&id).map_or(0, |backend| backend.route);
        for (key, want) in wanted(&touched.rings, &desired.rings) {
            if let Some(ring) = self.shadow.rings.get(key) {
                sockets.picks.set(ring.index, want.shares(), route_of, self.now)?;
            }
        }
        Ok(())
    }

    fn frontends(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        for (frontend, want) in wanted(&touched.frontends, &desired.frontends) {
            if let Some(value) = frontend_value(self.shadow, *want) {
                self.put_frontend(*frontend, value)?;
            }
        }
        Ok(())
    }

    /// Whom frontends let in, before they let in nobody else.
    fn sources(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        for source in touched.sources.intersection(&desired.sources) {
            if !self.shadow.sources.contains(source) {
                sources::put(self.maps, source, true)?;
                self.shadow.sources.insert(*source);
            }
        }
        Ok(())
    }

    fn remove_sources(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        for source in touched.sources.difference(&desired.sources) {
            if self.shadow.sources.contains(source) {
                sources::put(self.maps, source, false)?;
                self.shadow.sources.remove(source);
            }
        }
        Ok(())
    }

    fn put_frontend(&mut self, frontend: l4::Frontend, value: Frontend) -> Result<(), Error> {
        if self.shadow.frontends.get(&frontend) != Some(&value) {
            put_frontend(self.maps, &frontend, Some(&value))?;
            self.shadow.frontends.insert(frontend, value);
            self.written.frontends += 1;
        }
        Ok(())
    }

    fn remove_frontends(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        for frontend in unwanted(&touched.frontends, &desired.frontends) {
            if !self.shadow.frontends.contains_key(&frontend) {
                continue;
            }
            put_frontend(self.maps, &frontend, None)?;
            self.shadow.frontends.remove(&frontend);
            self.written.frontends += 1;
        }
        Ok(())
    }

    fn remove_rings(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        for key in unwanted(&touched.rings, &desired.rings) {
            if let Some(ring) = self.shadow.rings.remove(&key) {
                if let Some(sockets) = &mut self.sockets {
                    sockets.picks.remove(ring.index, self.now);
                }
                self.shadow.ring_ids.retire(ring.index, self.scan);
                Ring::remove(self.pins, self.maps, ring.index)?;
            }
        }
        Ok(())
    }

    /// An endpoint that exists no more: what still names it gets a RST, until nothing does.
    fn remove_backends(&mut self, desired: &Desired, touched: &Touched) -> Result<(), Error> {
        for id in unwanted(&touched.backends, &desired.backends) {
            if let Some(&backend) = self.shadow.backend_values.get(&id)
                && backend.mode != mode::UNUSABLE
            {
                self.put_backend(id, Backend { mode: mode::UNUSABLE, ..backend })?;
                if let Some(sockets) = &mut self.sockets {
                    sockets.cuts.add(id, &backend);
                }
            }
            self.shadow.backends.retire(id, self.scan);
        }
        Ok(())
    }

    fn retire_names(&mut self, desired: &Desired, touched: &Touched) {
        for index in unwanted(&touched.names, &desired.names) {
            self.shadow.names.retire(index, self.scan);
        }
    }
}

/// Of what is touched, what is desired.
fn wanted<'a, K: Ord, V>(
    touched: &'a BTreeSet<K>,
    desired: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    touched.iter().filter_map(|key| desired.get_key_value(key))
}

/// Of what is touched, what is not.
fn unwanted<K: Ord + Copy, V>(touched: &BTreeSet<K>, desired: &BTreeMap<K, V>) -> impl Iterator<Item = K> {
    touched.iter().copied().filter(|key| !desired.contains_key(key))
}

/// What a frontend of this ring's owner is to say; `None` while there is no ring.
pub(super) fn frontend_value(shadow: &Shadow, want: DesiredFrontend) -> Option<Frontend> {
    let ring = shadow.rings.get(&want.ring)?;
    Some(Frontend {
        ring: ring.index,
        ring_mask: ring.len as u32 - 1,
        gateway: want.ring.0,
        flags: want.flags | if ring.needs_agent() { AGENT_LISTENS } else { 0 },
    })
}
