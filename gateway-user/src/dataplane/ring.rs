//! Rings in the kernel: created, pinned, mapped into memory, found again.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
};

use gateway_common::abi::slot::Slot;

use super::{
    error::Error,
    load::Pins,
    maps::Maps,
    slot,
    sys::{self, memory::SlotMemory},
};

/// A ring in the kernel, and when its slots last changed.
#[derive(Debug)]
pub(super) struct Ring {
    /// Its index in RINGS and the name of its pin.
    pub(super) index: u32,
    /// Its slots.
    pub(super) slots: SlotMemory,
    /// Per slot the second (of the data plane's clock) of the last change.
    changed_at: Vec<u32>,
    /// The fewest slots it ever had: entries of flow tables may name slots of that time.
    pub(super) least_slots: usize,
    map: OwnedFd,
}

impl Ring {
    /// Creates and pins a ring; it is not in RINGS yet. `flags` are those of RINGS' inner map.
    pub(super) fn create(
        pins: &Pins,
        flags: u32,
        index: u32,
        initial: &[Slot],
        now: u32,
    ) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::Map { map: "RINGS", action: "create a ring for", source };
        let map = sys::create_ring("RING", initial.len() as u32, flags).map_err(failed)?;
        let slots = SlotMemory::map(map.as_fd(), initial.len()).map_err(failed)?;
        for (at, slot) in initial.iter().enumerate() {
            slots.store(at, *slot);
        }
        let path = pin_path(pins, index);
        remove_pin(&path)?;
        sys::pin(map.as_fd(), &path).map_err(Error::pin("pin", &path))?;
        Ok(Self { index, changed_at: vec![now; initial.len()], least_slots: slots.len(), slots, map })
    }

    /// Opens a pinned ring; `None` where there is none with this index and at least `slots` slots.
    pub(super) fn adopt(pins: &Pins, index: u32, slots: usize, now: u32) -> Result<Option<Self>, Error> {
        let path = pin_path(pins, index);
        let map = match sys::open_pin(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            map => map.map_err(Error::pin("open", &path))?,
        };
        let info = sys::map_info(map.as_fd()).map_err(Error::pin("inspect", &path))?;
        let len = info.max_entries as usize;
        if len < slots || !len.is_power_of_two() || info.value_size as usize != size_of::<Slot>() {
            return Ok(None);
        }
        let memory = SlotMemory::map(map.as_fd(), len).map_err(Error::pin("map", &path))?;
        Ok(Some(Self { index, changed_at: vec![now; len], least_slots: slots, slots: memory, map }))
    }

    /// Makes it visible to the packet path.
    pub(super) fn publish(&self, maps: &Maps) -> Result<(), Error> {
        maps.rings
            .set(&self.index, &self.map.as_raw_fd().cast_unsigned())
            .map_err(Error::map("RINGS", "write"))
    }

    /// Sends new connections of each slot to the desired backend. Returns how many slots changed.
    pub(super) fn write(&mut self, desired: impl Iterator<Item = u32>, now: u32) -> usize {
        let mut changed = 0;
        for (at, desired) in desired.enumerate().take(self.slots.len()) {
            let old = self.slots.load(at);
            let new = slot::transition(old, desired);
            if new != old {
                self.slots.store(at, new);
                self.changed_at[at] = now;
                changed += 1;
            }
        }
        changed
    }

    /// Settles the slots for which `may_settle(slot number, slot, second of its last change)` says yes.
    /// Returns how many.
    pub(super) fn settle(&mut self, mut verdict: impl FnMut(usize, Slot, u32) -> Option<Slot>) -> usize {
        let mut settled = 0;
        for (at, changed_at) in self.changed_at.iter().enumerate() {
            if let Some(slot) = verdict(at, self.slots.load(at), *changed_at) {
                self.slots.store(at, slot);
                settled += 1;
            }
        }
        settled
    }

    /// All slots, as they are now.
    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> {
        (0..self.slots.len()).map(|at| self.slots.load(at))
    }

    /// Takes the ring with this index away.
    pub(super) fn remove(pins: &Pins, maps: &Maps, index: u32) -> Result<(), Error> {
        maps.rings.remove(&index).map_err(Error::map("RINGS", "write"))?;
        remove_pin(&pin_path(pins, index))
    }

    /// Indices of all pinned rings.
    pub(super) fn pinned(pins: &Pins) -> Result<Vec<u32>, Error> {
        let entries = fs::read_dir(&pins.rings).map_err(Error::pin("list", &pins.rings))?;
        Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
    }
}

fn pin_path(pins: &Pins, index: u32) -> PathBuf {
    pins.rings.join(index.to_string())
}

fn remove_pin(path: &PathBuf) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::pin("remove", path)(error)),
        _ => Ok(()),
    }
}
