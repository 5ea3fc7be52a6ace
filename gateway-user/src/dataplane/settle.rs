//! What a finished scan of the flow tables allows: slots settle, numbers are freed.

use std::collections::HashSet;

use gateway_common::abi::{
    backend::{Backend, FIRST_REAL, NONE, mode},
    slot::Slot,
};

use super::{
    Dataplane, Ticked,
    error::Error,
    ring::Ring,
    scan::Scan,
    shadow::{Shadow, clear_origins, put_frontend},
    slot::{self, Drain},
    write::frontend_value,
};

impl Dataplane {
    /// Draws the conclusions from a scan that has seen every table.
    pub(super) fn finish_scan(&mut self, scan: &Scan, now: u32, ticked: &mut Ticked) -> Result<(), Error> {
        ticked.expired += scan.expired;
        ticked.settled += self.settle_slots(scan, now);
        if ticked.settled > 0 {
            self.write_listening_flags()?;
        }
        clear_origins(&self.maps, |frontend| scan.found_origin(frontend))?;
        ticked.freed += self.free_backends(scan)?;
        ticked.freed += self.free_names(scan)?;
        self.shadow.ring_ids.release(scan.number, |index| scan.found_ring(index));
        Ok(())
    }

    fn settle_slots(&mut self, scan: &Scan, now: u32) -> usize {
        let window = self.options.drain_window.as_secs() as u32;
        let asked = previous_backends(&self.shadow);
        let dead: HashSet<u32> = asked.into_iter().filter(|&id| is_dead(&self.shadow, id)).collect();
        let mut settled = 0;
        for ring in self.shadow.rings.values_mut().filter(|ring| ring.asks()) {
            let held: Vec<bool> = (0..ring.slots.len()).map(|at| scan.holds(ring, at)).collect();
            settled += ring.settle(|at, slot: Slot, changed_at| {
                // What was chosen during the scan the scan may have missed.
                (changed_at < scan.began)
                    .then(|| Drain {
                        window_over: now.saturating_sub(changed_at) >= window,
                        previous_dead: dead.contains(&slot.previous),
                        held_elsewhere: held[at],
                    })
                    .and_then(|drain| slot::settle(slot, drain))
            });
        }
        settled
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
        let is_named = backends_of_slots(&self.shadow);
        let freed =
            self.shadow.backends.release(scan.number, |id| scan.found_backend(id) || is_named[id as usize]);
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

/// A real backend whose endpoint is gone, or cannot be used: its flows get a RST.
fn is_dead(shadow: &Shadow, id: u32) -> bool {
    id >= FIRST_REAL && shadow.live_backend(id).is_none_or(|backend| backend.mode == mode::UNUSABLE)
}

fn previous_backends(shadow: &Shadow) -> HashSet<u32> {
    let asking = shadow.rings.values().filter(|ring| ring.asks());
    let previous = asking.flat_map(|ring| ring.iter().map(|slot| slot.previous));
    previous.filter(|id| *id != NONE).collect()
}

/// By id, whether a slot names the backend: millions of slots, so no set.
fn backends_of_slots(shadow: &Shadow) -> Vec<bool> {
    let mut is_named = vec![false; shadow.backends.high_water().max(FIRST_REAL) as usize];
    for slot in shadow.rings.values().flat_map(Ring::iter) {
        for id in [slot.current, slot.previous] {
            if let Some(place) = is_named.get_mut(id as usize) {
                *place = true;
            }
        }
    }
    is_named
}
