//! REPLIES: which frontend a pod's replies show. Every flow to a pod claims its entry here, because the pod only
//! sees the client's address: two frontends cannot lead one client port to one pod.

use gateway_common::{
    abi::{
        backend::{self, Backend},
        flow::{Reply, ReplyKey, state},
    },
    limits,
    packet::tcp,
};

use crate::{
    family::Family,
    flow::{client_bits, stamp, take},
    maps::BACKENDS,
    nat,
    packet::Packet,
    visit::{ANY_GENERATION, Steer, Visit, endpoint},
};

/// `BPF_ANY`.
pub const ANY: u64 = 0;
/// `BPF_NOEXIST`.
pub const NOEXIST: u64 = 1;

/// What became of a claim.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The connection is known and its handshake is over.
    Established,
    /// This packet begins it.
    Begun,
    /// Its handshake is under way.
    Embryonic,
    /// The client's port is in use towards this pod, through another frontend.
    Conflict,
    /// Nothing is known of such a connection.
    Missing,
    /// It would be established now, but REPLIES is full.
    Full,
    /// It would begin now, but the agent is away.
    Stale,
    /// It would begin now, but no port of the node's is free towards the pod.
    NoPort,
    /// There is no endpoint to claim.
    Nowhere,
}

impl Claim {
    /// The claim that has this number.
    #[inline(always)]
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Established,
            1 => Self::Begun,
            2 => Self::Embryonic,
            3 => Self::Conflict,
            4 => Self::Missing,
            5 => Self::Full,
            6 => Self::Stale,
            7 => Self::NoPort,
            _ => Self::Nowhere,
        }
    }
}

/// The fast path: whether the packet belongs to an established connection with the endpoint of a settled slot.
/// Refreshes its entry. False means no more than that the question needs a closer look.
#[inline(always)]
pub fn is_settled<F: Steer>(visit: &Visit<F>) -> bool {
    if visit.asks() || visit.current < backend::FIRST_REAL || visit.has(tcp::SYN) {
        return false;
    }
    let Some(backend) = endpoint::<F>(visit.current, ANY_GENERATION).1 else { return false };
    let Some(reply) = F::replies().get_ptr_mut(&visit.reply_key(backend)) else { return false };
    // SAFETY: a live entry; racing writers of single words are harmless.
    let reply = unsafe { &mut *reply };
    if !visit.owns(reply) || reply.backend != visit.current || reply.generation != backend.generation {
        return false;
    }
    stamp(&mut reply.seen, visit.now);
    take(&mut reply.state, client_bits(visit.flags));
    true
}

impl<F: Steer> Visit<F> {
    /// Key in the reply maps for a flow to that pod.
    #[inline(always)]
    fn reply_key(&self, backend: &Backend) -> ReplyKey<F::Bytes> {
        ReplyKey {
            client: F::bytes(self.client),
            pod: F::bytes(F::backend_words(&backend.addr)),
            client_port: self.client_port.to_ne_bytes(),
            pod_port: backend.port,
        }
    }

    /// Whether an entry is this frontend's.
    #[inline(always)]
    fn owns(&self, reply: &Reply<F::Bytes>) -> bool {
        F::same(F::words(reply.frontend), self.frontend)
            && u16::from_ne_bytes(reply.frontend_port) == self.frontend_port
    }

    #[inline(always)]
    fn new_reply(&self, id: u32, backend: &Backend, node_port: u16) -> Reply<F::Bytes> {
        Reply {
            frontend: F::bytes(self.frontend),
            frontend_port: self.frontend_port.to_ne_bytes(),
            node_port: node_port.to_be_bytes(),
            node: F::bytes(F::backend_words(&backend.source)),
            backend: id,
            generation: backend.generation,
            client_isn: self.sequence,
            server_isn: 0,
            seen: self.now,
            state: 0,
        }
    }

    /// A claim by a TCP packet.
    #[inline(always)]
    pub fn claim(&self, id: u32, backend: &Backend) -> Claim {
        let key = &self.reply_key(backend);
        let opens = self.opens();
        if let Some(reply) = F::replies().get_ptr_mut(key) {
            // SAFETY: a live entry; racing writers of single words are harmless.
            let reply = unsafe { &mut *reply };
            let is_over = state::is_closing(reply.state) || !is_current(reply);
            if !(opens && is_over) {
                return self.renew(reply, id, backend);
            }
            // The pod's answer must be looked up in the handshake's own map.
            let _ = F::replies().remove(key);
        }
        if opens { self.begin(key, id, backend) } else { self.proceed(key) }
    }

    /// An established connection, if it is this frontend's.
    #[inline(always)]
    fn renew(&self, reply: &mut Reply<F::Bytes>, id: u32, backend: &Backend) -> Claim {
        if !self.owns(reply) {
            return Claim::Conflict;
        }
        stamp(&mut reply.seen, self.now);
        take(&mut reply.state, client_bits(self.flags));
        if reply.backend != id || reply.generation != backend.generation {
            // The pod has another route now: count there.
            reply.backend = id;
            reply.generation = backend.generation;
        }
        Claim::Established
    }

    /// A SYN: the claim lasts for the handshake, in a map whose oldest entries give way to a flood.
    #[inline(always)]
    fn begin(&self, key: &ReplyKey<F::Bytes>, id: u32, backend: &Backend) -> Claim {
        let mut repeated = None;
        if let Some(embryo) = F::reply_embryo().get_ptr_mut(key) {
            // SAFETY: as above.
            let embryo = unsafe { &mut *embryo };
            let age = self.now.wrapping_sub(embryo.seen);
            if self.owns(embryo) {
                if embryo.client_isn == self.sequence && embryo.backend == id {
                    stamp(&mut embryo.seen, self.now);
                    repeated = Some(embryo);
                }
            } else if age < limits::EMBRYO_SECONDS && !state::is_closing(embryo.state) {
                return Claim::Conflict;
            }
        }
        let Some(port) = self.port(id, backend) else { return Claim::NoPort };
        if let Some(embryo) = repeated {
            embryo.node_port = port.to_be_bytes();
            return Claim::Embryonic;
        }
        // A full LRU map makes room; should it fail all the same, the client's next SYN tries again.
        let _ = F::reply_embryo().insert(key, &self.new_reply(id, backend, port), ANY);
        Claim::Begun
    }

    /// The port of the node's that the pod is to see, 0 where it may see the client; `None`: all are taken. Asked
    /// again for a flow that has one: its entry may have had to give way.
    #[inline(always)]
    fn port(&self, id: u32, backend: &Backend) -> Option<u16> {
        if !nat::is_needed(self, backend) {
            return Some(0);
        }
        match nat::claim_port(self, id, backend) {
            0 => None,
            port => Some(port),
        }
    }

    /// Not a SYN, and not established: the end of the handshake, or a stranger. Who acknowledges the pod's initial
    /// sequence number has seen its SYN-ACK, so no forged packets get in here.
    #[inline(always)]
    fn proceed(&self, key: &ReplyKey<F::Bytes>) -> Claim {
        let Some(embryo) = F::reply_embryo().get_ptr_mut(key) else { return Claim::Missing };
        // SAFETY: as above.
        let embryo = unsafe { &mut *embryo };
        if !self.owns(embryo) || !is_in_first_window(self.sequence, embryo.client_isn) {
            return Claim::Missing;
        }
        embryo.state |= client_bits(self.flags);
        if !has_seen_syn_ack(self, embryo.state, embryo.server_isn) {
            return Claim::Embryonic;
        }
        embryo.seen = self.now;
        match nat::establish::<F>(key, embryo) {
            Ok(()) | Err(EXISTS) => {
                let _ = F::reply_embryo().remove(key);
                Claim::Established
            }
            Err(_) => Claim::Full,
        }
    }

    /// Whether a connection of this frontend to that pod is established or, with the same SYN, under way.
    #[inline(always)]
    pub fn is_held_by(&self, backend: &Backend) -> bool {
        let key = &self.reply_key(backend);
        // SAFETY: read once, at once.
        if let Some(reply) = unsafe { F::replies().get(key) } {
            return self.owns(reply) && !state::is_closing(reply.state);
        }
        // SAFETY: read once, at once.
        match unsafe { F::reply_embryo().get(key) } {
            Some(embryo) => self.owns(embryo) && embryo.client_isn == self.sequence,
            None => false,
        }
    }

    /// A claim by a UDP packet.
    #[inline(always)]
    pub fn claim_udp(&self, id: u32, backend: &Backend) -> Claim {
        let key = &self.reply_key(backend);
        let mut live = None;
        if let Some(reply) = F::udp_replies().get_ptr_mut(key) {
            // SAFETY: a live entry; racing writers of single words are harmless.
            let reply = unsafe { &mut *reply };
            let is_live = self.is_fresh(reply.seen) && is_current(reply);
            if is_live && !self.owns(reply) {
                return Claim::Conflict;
            }
            if is_live && reply.backend == id {
                stamp(&mut reply.seen, self.now);
                stamp(&mut reply.client_isn, self.now);
                live = Some(reply);
            }
        }
        if live.is_none() && self.is_stale() {
            return Claim::Stale;
        }
        let Some(port) = self.port(id, backend) else { return Claim::NoPort };
        if let Some(reply) = live {
            if u16::from_be_bytes(reply.node_port) != port {
                reply.node_port = port.to_be_bytes();
            }
            return Claim::Established;
        }
        let reply = Reply { client_isn: self.now, ..self.new_reply(id, backend, port) };
        // A full LRU map makes room; should it fail all the same, the next packet tries again.
        let _ = F::udp_replies().insert(key, &reply, ANY);
        Claim::Begun
    }

    /// Whether a UDP flow of this frontend to that pod is alive.
    #[inline(always)]
    pub fn is_held_by_udp(&self, backend: &Backend) -> bool {
        // SAFETY: read once, at once.
        match unsafe { F::udp_replies().get(&self.reply_key(backend)) } {
            Some(reply) => self.owns(reply) && self.is_fresh(reply.seen),
            None => false,
        }
    }

    /// Whether a UDP flow that was last seen then is still the same flow.
    #[inline(always)]
    pub fn is_fresh(&self, seen: u32) -> bool {
        self.now.wrapping_sub(seen) < limits::UDP_IDLE_SECONDS
    }
}

/// A datagram that is for no frontend. If an earlier one from its port reached the same pod through a frontend, the
/// client asks the pod itself now, and is to hear the pod.
///
/// What this node has rewritten looks the same, and may come by again, on a VLAN device after its parent: the frontend
/// was asked in this second then, or in the last one, should the clock have gone on in between. So a client that goes
/// over to the pod hears the frontend for up to two seconds. One that uses both ways from one port at once is answered
/// by either: a pod's answers to the two do not differ.
#[inline(always)]
pub fn forget_if_direct<F: Family>(packet: &Packet<F>, now: u32) {
    let key = &ReplyKey {
        client: F::bytes(packet.source),
        pod: F::bytes(packet.destination),
        client_port: packet.source_port.to_ne_bytes(),
        pod_port: packet.destination_port.to_ne_bytes(),
    };
    // SAFETY: read once, at once.
    if let Some(reply) = unsafe { F::udp_replies().get(key) }
        && now.saturating_sub(reply.client_isn) > 1
    {
        // Of a port of the node's that it had, the next scan disposes.
        let _ = F::udp_replies().remove(key);
    }
}

/// `-EEXIST`: another CPU was faster.
pub const EXISTS: i32 = -17;

/// Whether the endpoint of an entry is still the one that the entry was made for.
#[inline(always)]
pub fn is_current<A>(reply: &Reply<A>) -> bool {
    BACKENDS
        .get(reply.backend)
        .is_some_and(|backend| backend.generation == reply.generation && backend.family != 0)
}

/// Whether a sequence number can belong to the first window after that SYN, reordered packets included.
#[inline(always)]
pub fn is_in_first_window(sequence: u32, client_isn: u32) -> bool {
    sequence.wrapping_sub(client_isn).wrapping_sub(1) < tcp::FIRST_WINDOW
}

/// Whether the packet acknowledges the SYN-ACK.
#[inline(always)]
pub fn has_seen_syn_ack<F: Family>(visit: &Visit<F>, state: u32, server_isn: u32) -> bool {
    visit.has(tcp::ACK)
        && !visit.has(tcp::RST)
        && state & state::SERVER_ISN != 0
        && visit.acknowledged == server_isn.wrapping_add(1)
}
