//! What a finished scan of the flow tables allows: slots settle, numbers are freed.

use std::{collections::HashSet, io};

use gateway_common::abi::{
    backend::{Backend, FIRST_REAL, mode},
    slot::Slot,
};

use super::{
    Dataplane, Ticked,
    error::Error,
    scan::Scan,
    shadow::{Shadow, clear_origins, put_frontend},
    slot::{self, Drain},
    write::frontend_value,
};

impl Dataplane {
    /// Draws the conclusions from a scan that has seen every table.
    pub(super) fn finish_scan(&mut self, scan: &Scan, now: u32, ticked: &mut Ticked) -> Result<(), Error> {
        ticked.expired += scan.expired;
        ticked.settled += self.settle_slots(scan, now)?;
        if ticked.settled > 0 {
            self.write_listening_flags()?;
        }
        clear_origins(&self.maps, |frontend| scan.found_origin(frontend))?;
        ticked.freed += self.free_backends(scan)?;
        ticked.freed += self.free_names(scan)?;
        self.shadow.ring_ids.release(scan.number, |index| scan.found_ring(index));
        Ok(())
    }

    fn settle_slots(&mut self, scan: &Scan, now: u32) -> Result<usize, Error> {
        let window = self.options.drain_window.as_secs() as u32;
        let dead = dead_backends(&self.shadow);
        let mut settled = 0;
        for (key, ring) in &mut self.shadow.rings {
            let may_settle = ring.may_ask_since(now.saturating_sub(window))
                || ring.is_adopted()
                || dead.gateways.contains(&key.0);
            // What was chosen during the scan the scan may have missed.
            if !may_settle || !ring.may_ask_since(scan.began.saturating_sub(1)) {
                continue;
            }
            let held = scan.held_of(ring);
            let done = ring.settle(scan.began, |at, slot: Slot, changed_at| {
                let drain = Drain {
                    window_over: now.saturating_sub(changed_at) >= window,
                    previous_dead: dead.is_dead(slot.previous),
                    held_elsewhere: held.holds(at),
                };
                slot::settle(slot, drain)
            });
            settled += done.map_err(Error::map("RING", "map"))?;
        }
        Ok(settled)
    }

    /// Frontends whose last slot of the agent's has settled need its listeners no more.
    fn write_listening_flags(&mut self) -> Result<(), Error> {
        let frontends: Vec<_> = self.desired.frontends.iter().map(|(f, key)| (*f, *key)).collect();
        for (frontend, key) in frontends {
            if let Some(value) = frontend_value(&self.shadow, key)
                && self.shadow.frontends.get(&frontend) != Some(&value)
            {
                put_frontend(&self.maps, &frontend, Some(&value))?;
                self.shadow.frontends.insert(frontend, value);
            }
        }
        Ok(())
    }

    /// Backends that no entry and no slot names; the entry keeps its generation for the next owner of the id.
    fn free_backends(&mut self, scan: &Scan) -> Result<usize, Error> {
        if !self.shadow.backends.has_retired() {
            return Ok(0);
        }
        let named = retired_of_slots(&self.shadow).map_err(Error::map("RING", "map"))?;
        let freed =
            self.shadow.backends.release(scan.number, |id| scan.found_backend(id) || named.contains(&id));
        for (_, id) in &freed {
            let Some(old) = self.shadow.backend_values.remove(id) else { continue };
            let empty = Backend { generation: old.generation, ..Backend::default() };
            self.maps.backends.set(id, &empty).map_err(Error::map("BACKENDS", "write"))?;
        }
        Ok(freed.len())
    }

    /// Indices of gateways and routes that no backend, ring or frontend names.
    fn free_names(&mut self, scan: &Scan) -> Result<usize, Error> {
        let Shadow { backend_values, rings, frontends, .. } = &self.shadow;
        let used: HashSet<u32> = backend_values
            .values()
            .flat_map(|backend| [backend.route, backend.gateway])
            .chain(rings.keys().map(|(gateway, ..)| *gateway))
            .chain(frontends.values().map(|frontend| frontend.gateway))
            .collect();
        let freed = self.shadow.names.release(scan.number, |index| used.contains(&index));
        for (_, index) in &freed {
            self.shadow.name_entries.remove(index);
            self.maps.names.remove(index).map_err(Error::map("ROUTE_NAMES", "write"))?;
        }
        Ok(freed.len())
    }
}

/// Backends whose endpoints are gone, or cannot be used: their flows get a RST.
struct Dead {
    /// By id; what is beyond was never given out.
    by_id: Vec<bool>,
    /// Indices of the gateways that have one.
    gateways: HashSet<u32>,
}

impl Dead {
    fn is_dead(&self, id: u32) -> bool {
        id >= FIRST_REAL && self.by_id.get(id as usize).copied().unwrap_or(true)
    }
}

fn dead_backends(shadow: &Shadow) -> Dead {
    let mut dead =
        Dead { by_id: vec![true; shadow.backends.high_water() as usize], gateways: HashSet::new() };
    for (id, backend) in &shadow.backend_values {
        if backend.mode == mode::UNUSABLE || shadow.backends.is_retired(*id) {
            dead.gateways.insert(backend.gateway);
        } else if let Some(is_dead) = dead.by_id.get_mut(*id as usize) {
            *is_dead = false;
        }
    }
    dead
}

/// Retired backends that slots name, which only their own gateways' do.
fn retired_of_slots(shadow: &Shadow) -> io::Result<HashSet<u32>> {
    let retired = shadow.backend_values.iter().filter(|(id, _)| shadow.backends.is_retired(**id));
    let gateways: HashSet<u32> = retired.map(|(_, backend)| backend.gateway).collect();
    let rings = shadow.rings.iter().filter(|((gateway, ..), _)| gateways.contains(gateway));
    let mut named = HashSet::new();
    for (_, ring) in rings {
        let ids = ring.slots()?;
        let ids = ids.iter().flat_map(|slot| [slot.current, slot.previous]);
        named.extend(ids.filter(|id| shadow.backends.is_retired(*id)));
    }
    Ok(named)
}
