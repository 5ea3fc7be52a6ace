//! Rings in the kernel: created, pinned, found again, and mapped into memory while something looks at their slots:
//! of thousands few change at a time.

mod changed;

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
};

use gateway_common::abi::{backend::NONE, slot::Slot};

use self::changed::ChangedAt;
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
    /// How many slots it has.
    pub(super) len: usize,
    changed_at: ChangedAt,
    /// How many slots ask.
    asking: usize,
    /// How many slots send anything to the agent.
    to_agent: usize,
    /// No slot that asks changed before this second.
    asking_since: u32,
    /// An earlier agent wrote it: it may name what nobody knows.
    is_adopted: bool,
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
        Ok(Self::new(index, &slots, initial.len(), map, now, false))
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
        Ok(Some(Self::new(index, &memory, slots, map, now, true)))
    }

    fn new(
        index: u32,
        slots: &SlotMemory,
        least_slots: usize,
        map: OwnedFd,
        now: u32,
        is_adopted: bool,
    ) -> Self {
        let (mut asking, mut to_agent) = (0, 0);
        for slot in slots.iter() {
            asking += usize::from(slot.previous != NONE);
            to_agent += usize::from(slot::needs_agent(slot));
        }
        let (changed_at, len) = (ChangedAt::All(now), slots.len());
        Self { index, len, changed_at, asking, to_agent, asking_since: now, is_adopted, least_slots, map }
    }

    /// Its slots, as they are at any moment while this lives.
    pub(super) fn slots(&self) -> io::Result<SlotMemory> {
        SlotMemory::map(self.map.as_fd(), self.len)
    }

    /// Whether a slot of it asks.
    pub(super) fn asks(&self) -> bool {
        self.asking > 0
    }

    /// Whether a slot of it sends anything to the agent.
    pub(super) fn needs_agent(&self) -> bool {
        self.to_agent > 0
    }

    /// Whether a slot may ask since this second, or before it.
    pub(super) fn may_ask_since(&self, second: u32) -> bool {
        self.asks() && self.asking_since <= second
    }

    /// Whether it may name backends that are not known.
    pub(super) fn is_adopted(&self) -> bool {
        self.is_adopted
    }

    /// Makes rings visible to the packet path; how many are, whatever happens.
    pub(super) fn publish(rings: &[Self], maps: &Maps) -> (usize, Result<(), Error>) {
        let keys: Vec<u32> = rings.iter().map(|ring| ring.index).collect();
        let values: Vec<u32> = rings.iter().map(|ring| ring.map.as_raw_fd().cast_unsigned()).collect();
        let (count, result) = maps.rings.set_all(&keys, &values);
        (count, result.map_err(Error::map("RINGS", "write")))
    }

    /// Sends new connections of each slot to the desired backend. Returns how many slots changed.
    pub(super) fn write(&mut self, desired: impl Iterator<Item = u32>, now: u32) -> io::Result<usize> {
        let (slots, mut changed) = (self.slots()?, 0);
        for (at, desired) in desired.enumerate().take(self.len) {
            let old = slots.load(at);
            let new = slot::transition(old, desired);
            if new != old {
                if !self.asks() {
                    self.asking_since = now;
                }
                slots.store(at, new);
                self.count(old, new);
                self.changed_at.set(at, now, self.len);
                changed += 1;
            }
        }
        Ok(changed)
    }

    /// Settles the slots for which `verdict(slot number, slot, second of its last change)` says how, of those that did
    /// not change since second `began`. Returns how many.
    pub(super) fn settle(
        &mut self,
        began: u32,
        mut verdict: impl FnMut(usize, Slot, u32) -> Option<Slot>,
    ) -> io::Result<usize> {
        let (mut settled, mut since, mut is_seen_whole) = (0, u32::MAX, true);
        let slots = self.slots()?;
        for at in 0..self.len {
            let (old, changed_at) = (slots.load(at), self.changed_at.get(at));
            if old.previous == NONE {
                continue;
            }
            is_seen_whole &= changed_at < began;
            let new = if changed_at < began { verdict(at, old, changed_at) } else { None };
            if let Some(new) = new {
                slots.store(at, new);
                self.count(old, new);
                settled += 1;
            } else {
                since = since.min(changed_at);
            }
        }
        self.asking_since = since;
        self.is_adopted &= !is_seen_whole;
        if !self.asks() {
            self.changed_at = ChangedAt::All(0);
        }
        Ok(settled)
    }

    /// Takes note of what has become of a slot.
    fn count(&mut self, old: Slot, new: Slot) {
        self.asking += usize::from(new.previous != NONE);
        self.asking -= usize::from(old.previous != NONE);
        self.to_agent += usize::from(slot::needs_agent(new));
        self.to_agent -= usize::from(slot::needs_agent(old));
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
