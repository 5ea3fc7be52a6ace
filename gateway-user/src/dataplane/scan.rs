//! Going through the flow tables, a part at each tick: removes what is over, and finds out which slots may settle
//! and which numbers are used nowhere any more.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet, hash_map::Entry as Place},
    hash::{DefaultHasher, Hash, Hasher as _},
    io, mem,
    net::IpAddr,
};

use aya::Pod;
use gateway_common::{
    abi::{
        backend::{FIRST_REAL, NONE, mode},
        flow::{Flow, FlowKey, Nat, NatKey, Outgoing, Reply, ReplyKey, state},
        frontend::flags::BY_CLIENT,
        slot::Slot,
    },
    hash,
};
use gateway_model::{key::Protocol, plan::l4};

use super::{
    error::Error,
    expiry::{Entry, IdleTimes, Kind, is_over},
    maps::{FlowMaps, Maps},
    ring::Ring,
    shadow::Shadow,
    sys::{
        memory::SlotMemory,
        table::{Cursor, Table},
    },
};

/// Entries asked of the kernel at once.
pub(super) const BATCH: u32 = 4_096;
/// Tables of one address family.
const TABLES: usize = 12;

/// A scan under way, and then its result.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Its number; scans are counted from 1.
    pub(super) number: u64,
    /// Second in which it began.
    pub(super) began: u32,
    /// Entries removed.
    pub(super) expired: usize,
    /// The table it has come to, and the place in it.
    table: usize,
    cursor: Cursor,
    backends: HashSet<u32>,
    rings: HashSet<u32>,
    /// Slots by ring.
    held: HashMap<u32, HashSet<u32>>,
    /// Frontends where connections of the node's begin.
    origins: HashSet<l4::Frontend>,
    /// Ports of the node's that no flow has, by fingerprint.
    unused: HashSet<u64>,
    /// Those that the scan before found.
    unused_before: HashSet<u64>,
}

/// What a scan needs to judge entries.
pub(super) struct Judge<'a> {
    shadow: &'a Shadow,
    rings: HashMap<u32, &'a Ring>,
    /// Slots of those that were asked for.
    slots: RefCell<HashMap<u32, SlotMemory>>,
    times: &'a IdleTimes,
    now: u32,
    hash_seed: u32,
}

impl<'a> Judge<'a> {
    pub(super) fn new(shadow: &'a Shadow, times: &'a IdleTimes, now: u32, hash_seed: u32) -> Self {
        let rings = shadow.rings.values().map(|ring| (ring.index, ring)).collect();
        Self { shadow, rings, slots: RefCell::default(), times, now, hash_seed }
    }

    /// Whether `backend` is still the endpoint that it was in `generation`; pseudo-backends always are.
    fn is_alive(&self, backend: u32, generation: u32) -> bool {
        backend < FIRST_REAL
            || self
                .shadow
                .live_backend(backend)
                .is_some_and(|known| known.generation == generation && known.mode != mode::UNUSABLE)
    }

    /// Whether entries may name slots of a time when the ring had fewer: the flow's slot now may be another.
    fn has_grown(&self, ring: u32) -> bool {
        self.rings.get(&ring).is_some_and(|ring| ring.least_slots < ring.len)
    }

    /// The asking slot that a flow at `backend` falls into, if settling would move it: ring index and slot.
    fn asking_slot(
        &self,
        client: (IpAddr, u16),
        frontend: (IpAddr, u16),
        kind: Kind,
        backend: u32,
    ) -> io::Result<Option<(u32, u32)>> {
        let (protocol, number) = if kind == Kind::Udp { (Protocol::Udp, 17) } else { (Protocol::Tcp, 6) };
        let frontends = &self.shadow.frontends;
        let Some(value) = frontends.get(&l4::Frontend { address: frontend.into(), protocol }) else {
            return Ok(None);
        };
        let (mut from, mut to) = (client, frontend);
        if value.flags & BY_CLIENT != 0 {
            (from.1, to.1) = (0, 0);
        }
        // Only rings that ask are looked at, which few do.
        if !self.rings.get(&value.ring).is_some_and(|ring| ring.asks()) {
            return Ok(None);
        }
        let Some(hash) = flow_hash(from, to, number, self.hash_seed) else { return Ok(None) };
        let at = hash & value.ring_mask;
        let slot = self.slot(value.ring, at)?.unwrap_or_default();
        Ok((slot.previous != NONE && slot.current != backend).then_some((value.ring, at)))
    }

    fn slot(&self, ring: u32, slot: u32) -> io::Result<Option<Slot>> {
        let Some(known) = self.rings.get(&ring).filter(|ring| ring.len > slot as usize) else {
            return Ok(None);
        };
        let mut slots = self.slots.borrow_mut();
        let slots = match slots.entry(ring) {
            Place::Occupied(mapped) => mapped.into_mut(),
            Place::Vacant(place) => place.insert(known.slots()?),
        };
        Ok(Some(slots.load(slot as usize)))
    }
}

/// What is to be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Remove,
}

/// The values of the flow tables, seen alike.
trait Tracked<K>: Pod {
    /// Judges the entry, and notes in `scan` what it names.
    fn judge(&self, key: &K, kind: Kind, judge: &Judge<'_>, scan: &mut Scan) -> io::Result<Fate>;
}

impl<A> Tracked<FlowKey<A>> for Flow {
    fn judge(&self, _key: &FlowKey<A>, kind: Kind, judge: &Judge<'_>, scan: &mut Scan) -> io::Result<Fate> {
        let alive = judge.is_alive(self.backend, self.generation);
        if is_over(kind, Entry { state: self.state, seen: self.seen, alive }, judge.now, judge.times) {
            return Ok(Fate::Remove);
        }
        let slot = judge.slot(self.ring, self.slot)?.unwrap_or_default();
        let elsewhere = slot.current != self.backend;
        if kind == Kind::Established && slot.previous == NONE && !elsewhere && !judge.has_grown(self.ring) {
            // A settled slot sends it there anyway.
            return Ok(Fate::Remove);
        }
        scan.backends.insert(self.backend);
        scan.rings.insert(self.ring);
        if alive && elsewhere {
            scan.hold(self.ring, self.slot);
        }
        Ok(Fate::Keep)
    }
}

macro_rules! outgoing_is_tracked {
    ($($address:ty),+) => {$(
        impl Tracked<FlowKey<$address>> for Outgoing {
            fn judge(
                &self,
                key: &FlowKey<$address>,
                kind: Kind,
                judge: &Judge<'_>,
                scan: &mut Scan,
            ) -> io::Result<Fate> {
                let entry = Entry { state: self.state, seen: self.seen, alive: true };
                if is_over(kind, entry, judge.now, judge.times) {
                    return Ok(Fate::Remove);
                }
                let address = (IpAddr::from(key.frontend), u16::from_be_bytes(key.frontend_port)).into();
                let protocol = if kind == Kind::Udp { Protocol::Udp } else { Protocol::Tcp };
                scan.origins.insert(l4::Frontend { address, protocol });
                Ok(Fate::Keep)
            }
        }
    )+};
}
outgoing_is_tracked!([u8; 4], [u8; 16]);

macro_rules! reply_is_tracked {
    ($($address:ty),+) => {$(
        impl Tracked<ReplyKey<$address>> for Reply<$address> {
            fn judge(
                &self,
                key: &ReplyKey<$address>,
                kind: Kind,
                judge: &Judge<'_>,
                scan: &mut Scan,
            ) -> io::Result<Fate> {
                let alive = judge.is_alive(self.backend, self.generation);
                let entry = Entry { state: self.state, seen: self.seen, alive };
                if is_over(kind, entry, judge.now, judge.times) {
                    return Ok(Fate::Remove);
                }
                scan.backends.insert(self.backend);
                if alive && !state::is_closing(self.state) {
                    let end = |address: $address, port| (IpAddr::from(address), u16::from_be_bytes(port));
                    let client = end(key.client, key.client_port);
                    let frontend = end(self.frontend, self.frontend_port);
                    // `OLD` knows as many flows as it has room for, and none that is silent; this knows all.
                    if let Some((ring, slot)) = judge.asking_slot(client, frontend, kind, self.backend)? {
                        scan.hold(ring, slot);
                    }
                }
                Ok(Fate::Keep)
            }
        }
    )+};
}
reply_is_tracked!([u8; 4], [u8; 16]);

impl Scan {
    /// Begins scan `number` at second `now`; the last one found that these ports are unused.
    pub(super) fn begin(number: u64, now: u32, unused_before: HashSet<u64>) -> Self {
        Self { number, began: now, unused_before, ..Self::default() }
    }

    /// The ports that it found unused, for the next scan.
    pub(super) fn take_unused(&mut self) -> HashSet<u64> {
        mem::take(&mut self.unused)
    }

    /// Goes on by one batch; how many entries it had, and whether all tables have been seen.
    pub(super) fn step(&mut self, maps: &Maps, judge: &Judge<'_>) -> Result<(usize, bool), Error> {
        let seen = if self.table < TABLES {
            self.batch(&maps.flows4, self.table, judge)
        } else {
            self.batch(&maps.flows6, self.table - TABLES, judge)
        };
        Ok((seen.map_err(Error::map("FLOWS", "scan"))?, self.table == 2 * TABLES))
    }

    fn hold(&mut self, ring: u32, slot: u32) {
        self.held.entry(ring).or_default().insert(slot);
    }

    /// One batch of table number `table` of a family; how many entries it had.
    fn batch<A>(&mut self, maps: &FlowMaps<A>, table: usize, judge: &Judge<'_>) -> io::Result<usize>
    where
        A: Copy + PartialEq + Hash,
        Flow: Tracked<FlowKey<A>>,
        Outgoing: Tracked<FlowKey<A>>,
        Reply<A>: Tracked<ReplyKey<A>>,
        FlowKey<A>: Pod,
        ReplyKey<A>: Pod,
        NatKey<A>: Pod,
        Nat<A>: Pod,
    {
        match table {
            0 => self.sweep(&maps.flows, Kind::Established, judge),
            1 => self.sweep(&maps.old, Kind::Established, judge),
            2 => self.sweep(&maps.embryo, Kind::Handshake, judge),
            3 => self.sweep(&maps.udp_flows, Kind::Udp, judge),
            4 => self.sweep(&maps.replies, Kind::Established, judge),
            5 => self.sweep(&maps.reply_embryo, Kind::Handshake, judge),
            6 => self.sweep(&maps.udp_replies, Kind::Udp, judge),
            7 => self.sweep_ports(&maps.nat, [&maps.replies, &maps.reply_embryo]),
            8 => self.sweep_ports(&maps.nat_embryo, [&maps.replies, &maps.reply_embryo]),
            9 => self.sweep(&maps.outgoing, Kind::Established, judge),
            10 => self.sweep(&maps.udp_outgoing, Kind::Udp, judge),
            _ => self.sweep_ports(&maps.udp_nat, [&maps.udp_replies, &maps.udp_replies]),
        }
    }

    fn sweep<K, V>(&mut self, table: &Table<K, V>, kind: Kind, judge: &Judge<'_>) -> io::Result<usize>
    where
        K: Pod,
        V: Tracked<K>,
    {
        let mut entries = Vec::new();
        let more = table.next_batch(&mut self.cursor, BATCH, &mut entries)?;
        for (key, value) in &entries {
            if value.judge(key, kind, judge, self)? == Fate::Remove
                && still_over(table, key, kind, judge, self)?
            {
                table.remove(key)?;
                self.expired += 1;
            }
        }
        self.go_on(more);
        Ok(entries.len())
    }

    /// Ports of the node's belong to the flows in `replies`, which stay there for as long as a port must rest. The packet
    /// path claims a port before it notes the flow: one that has no flow may be about to get it, the first time it is seen.
    fn sweep_ports<A>(
        &mut self,
        table: &Table<NatKey<A>, Nat<A>>,
        replies: [&Table<ReplyKey<A>, Reply<A>>; 2],
    ) -> io::Result<usize>
    where
        A: Copy + PartialEq + Hash,
        ReplyKey<A>: Pod,
        Reply<A>: Pod,
        NatKey<A>: Pod,
        Nat<A>: Pod,
    {
        let mut entries = Vec::new();
        let more = table.next_batch(&mut self.cursor, BATCH, &mut entries)?;
        for (key, nat) in &entries {
            if is_used(key, nat, replies)? {
                continue;
            }
            let port = fingerprint(&(self.table, key, nat));
            if !self.unused_before.contains(&port) {
                self.unused.insert(port);
            } else if table.get(key)? == Some(*nat) && !is_used(key, nat, replies)? {
                // It is as it was in the batch, and as it was in the scan before.
                table.remove(key)?;
                self.expired += 1;
            }
        }
        self.go_on(more);
        Ok(entries.len())
    }

    /// To the next table, after the last batch of one.
    fn go_on(&mut self, more: bool) {
        if !more {
            self.table += 1;
            self.cursor = Cursor::default();
        }
    }

    /// Whether an entry names this backend.
    pub(super) fn found_backend(&self, id: u32) -> bool {
        self.backends.contains(&id)
    }

    /// Whether an entry names this ring.
    pub(super) fn found_ring(&self, index: u32) -> bool {
        self.rings.contains(&index)
    }

    /// Whether a connection begins at this frontend.
    pub(super) fn found_origin(&self, frontend: &l4::Frontend) -> bool {
        self.origins.contains(frontend)
    }

    /// The slots of a ring whose live flows live at other backends than the slots' current ones.
    pub(super) fn held_of(&self, ring: &Ring) -> Held<'_> {
        Held { slots: self.held.get(&ring.index), low_bits: ring.least_slots - 1 }
    }
}

/// Slots of a ring that hold live flows of others.
pub(super) struct Held<'a> {
    slots: Option<&'a HashSet<u32>>,
    low_bits: usize,
}

impl Held<'_> {
    /// Whether a live flow of slot `at` lives at a backend other than the slot's current one.
    pub(super) fn holds(&self, at: usize) -> bool {
        let small = at & self.low_bits;
        self.slots.is_some_and(|slots| slots.contains(&(at as u32)) || slots.contains(&(small as u32)))
    }
}

/// The packet path's hash of a flow; `None` where the families differ.
fn flow_hash(client: (IpAddr, u16), frontend: (IpAddr, u16), protocol: u8, seed: u32) -> Option<u32> {
    let ports = (client.1, frontend.1);
    match (client.0, frontend.0) {
        (IpAddr::V4(client), IpAddr::V4(frontend)) => {
            let [client, frontend] = [client, frontend].map(|address| u32::from_le_bytes(address.octets()));
            Some(hash::flow4(client, frontend, ports.0, ports.1, protocol, seed))
        }
        (IpAddr::V6(client), IpAddr::V6(frontend)) => {
            let words = |address: std::net::Ipv6Addr| -> [u32; 4] {
                let all = u128::from_le_bytes(address.octets());
                std::array::from_fn(|word| (all >> (32 * word)) as u32)
            };
            Some(hash::flow6(words(client), words(frontend), ports.0, ports.1, protocol, seed))
        }
        _ => None,
    }
}

/// Whether a flow has this port of the node's.
fn is_used<A>(key: &NatKey<A>, nat: &Nat<A>, replies: [&Table<ReplyKey<A>, Reply<A>>; 2]) -> io::Result<bool>
where
    A: Copy + PartialEq,
    ReplyKey<A>: Pod,
    Reply<A>: Pod,
{
    let flow =
        ReplyKey { client: nat.client, pod: key.pod, client_port: nat.client_port, pod_port: key.pod_port };
    for table in replies {
        let reply = table.get(&flow)?;
        if reply.is_some_and(|reply| reply.node_port == key.node_port && reply.node == key.node) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Stands for an entry between two scans, in eight bytes however many there are.
fn fingerprint(entry: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.hash(&mut hasher);
    hasher.finish()
}

/// A packet may have come since the batch was read.
fn still_over<K: Pod, V: Tracked<K>>(
    table: &Table<K, V>,
    key: &K,
    kind: Kind,
    judge: &Judge<'_>,
    scan: &mut Scan,
) -> io::Result<bool> {
    match table.get(key)? {
        Some(value) => Ok(value.judge(key, kind, judge, scan)? == Fate::Remove),
        None => Ok(false),
    }
}
