//! Mode `nat`: a pod elsewhere answers to a port of this node's, because to the client's address it would answer by
//! itself. Both legs cross the stack as client ↔ pod all the same: what leaves gets the node's address at egress,
//! what comes back gets the client's at ingress, and routing and connection tracking see one whole flow.

use gateway_common::{
    abi::{
        backend::{Backend, mode},
        flow::{Nat, NatKey, Reply, ReplyKey, state},
    },
    limits,
    packet::ip,
};

use crate::{
    family::Family,
    hook::settings,
    maps::POD_DEVICES,
    packet::Packet,
    reply::{EXISTS, NOEXIST},
    visit::{Steer, Visit},
};

/// Whether the pod must not see the client's address: it is elsewhere, or leaves by the device that the client came
/// in by (a pod that is sent to itself, or to its neighbour on a bridge) and would answer past this node. A pod of
/// this node keeps its address otherwise: replies to it come back here.
#[inline(always)]
pub fn is_needed<F: Family>(visit: &Visit<F>, backend: &Backend) -> bool {
    // SAFETY: only asked whether it is there.
    let is_from_pod = visit.device != 0 && unsafe { POD_DEVICES.get(&visit.device) }.is_some();
    if is_from_pod { backend.device == visit.device } else { backend.mode == mode::NAT }
}

/// What a port is to its asker.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Claimed, now or earlier.
    Ours,
    /// In use.
    Taken,
    /// Another flow's that is over.
    Spent,
}

impl Port {
    /// The one that has this number.
    #[inline(always)]
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Ours,
            1 => Self::Taken,
            _ => Self::Spent,
        }
    }
}

/// Claims a port of the node's towards a pod, in host order; 0: there is none. A flow asks for the same ports each
/// time, so that it finds the one that it has. Only when none of them is free, one whose flow is over is taken.
#[inline(always)]
pub fn claim_port<F: Steer>(visit: &Visit<F>, id: u32, backend: &Backend) -> u16 {
    /// Keeps the choice apart from that of the slot.
    const SALT: u32 = 0x6e61_7421;
    let settings = settings();
    let (first, count) = (settings.nat_first, settings.nat_ports);
    let pod = F::backend_words(&backend.addr);
    let ports = (u16::from_be(visit.client_port), u16::from_be_bytes(backend.port));
    let hash = F::hash(visit.client, pod, ports, visit.protocol, settings.hash_seed ^ SALT);
    let mut offset = ((u64::from(hash) * u64::from(count)) >> 32) as u32;
    // Less than the number of ports, so that one subtraction brings it back.
    let step = if count > 0xff { (hash & 0xff) | 1 } else { 1 };
    let mut spent = 0;
    let mut tries = 0;
    while tries < limits::NAT_TRIES && count > 0 {
        tries += 1;
        let port = (first + offset) as u16;
        match F::probe_port(visit, id, port) {
            Port::Ours => return port,
            Port::Spent if spent == 0 => spent = port,
            Port::Spent | Port::Taken => {}
        }
        offset += step;
        if offset >= count {
            offset -= count;
        }
    }
    if spent != 0 && F::take_port(visit, id, spent) { spent } else { 0 }
}

#[inline(always)]
fn key<F: Family>(backend: &Backend, port: u16) -> NatKey<F::Bytes> {
    NatKey {
        pod: F::bytes(F::backend_words(&backend.addr)),
        node: F::bytes(F::backend_words(&backend.source)),
        pod_port: backend.port,
        node_port: port.to_be_bytes(),
    }
}

#[inline(always)]
fn value<F: Family>(visit: &Visit<F>) -> Nat<F::Bytes> {
    Nat { client: F::bytes(visit.client), client_port: visit.client_port.to_ne_bytes(), pad: [0; 2] }
}

/// See [`Steer::probe_port`].
#[inline(always)]
pub fn probe<F: Family>(visit: &Visit<F>, backend: &Backend, port: u16) -> Port {
    let key = &key::<F>(backend, port);
    if visit.protocol != ip::TCP {
        // SAFETY: read once, at once.
        if let Some(owner) = unsafe { F::udp_nat().get(key) } {
            return judge(visit, key, owner);
        }
        let is_claimed = F::udp_nat().insert(key, &value(visit), NOEXIST).is_ok();
        return if is_claimed { Port::Ours } else { Port::Taken };
    }
    // SAFETY: read once, at once.
    if let Some(owner) = unsafe { F::nat().get(key) } {
        return judge(visit, key, owner);
    }
    if F::nat_embryo().insert(key, &value(visit), NOEXIST).is_ok() {
        return Port::Ours;
    }
    // SAFETY: read once, at once.
    match unsafe { F::nat_embryo().get(key) } {
        Some(owner) => judge(visit, key, owner),
        None => Port::Taken,
    }
}

/// What somebody's port is to this flow.
#[inline(always)]
fn judge<F: Family>(visit: &Visit<F>, key: &NatKey<F::Bytes>, owner: &Nat<F::Bytes>) -> Port {
    let is_ours = F::same(F::words(owner.client), visit.client)
        && u16::from_ne_bytes(owner.client_port) == visit.client_port;
    if is_ours {
        return Port::Ours;
    }
    if is_spent::<F>(visit, &forward_key(key, owner)) { Port::Spent } else { Port::Taken }
}

/// Key in the reply maps of the flow that has this port.
#[inline(always)]
fn forward_key<A: Copy>(key: &NatKey<A>, owner: &Nat<A>) -> ReplyKey<A> {
    ReplyKey { client: owner.client, pod: key.pod, client_port: owner.client_port, pod_port: key.pod_port }
}

/// Whether the flow is over, and neither end minds another one from the same port. One that the server closed first
/// the server remembers for a while. A flow that is not known at all is left to the scan.
#[inline(always)]
fn is_spent<F: Family>(visit: &Visit<F>, key: &ReplyKey<F::Bytes>) -> bool {
    let age = |reply: &Reply<F::Bytes>| visit.now.wrapping_sub(reply.seen);
    if visit.protocol != ip::TCP {
        // SAFETY: read once, at once.
        return unsafe { F::udp_replies().get(key) }
            .is_some_and(|reply| age(reply) >= limits::UDP_IDLE_SECONDS);
    }
    // SAFETY: read once, at once.
    if let Some(reply) = unsafe { F::replies().get(key) } {
        let waits = reply.state & (state::SERVER_FIRST | state::RST) == state::SERVER_FIRST;
        return state::is_closing(reply.state) && (!waits || age(reply) >= limits::TIME_WAIT_SECONDS);
    }
    // SAFETY: read once, at once.
    unsafe { F::reply_embryo().get(key) }.is_some_and(|embryo| age(embryo) >= limits::EMBRYO_SECONDS)
}

/// See [`Steer::take_port`]. Of several flows that want it, the one that removes the old one has it.
#[inline(always)]
pub fn take<F: Family>(visit: &Visit<F>, backend: &Backend, port: u16) -> bool {
    let key = &key::<F>(backend, port);
    if visit.protocol != ip::TCP {
        // SAFETY: read once, at once.
        let Some(owner) = (unsafe { F::udp_nat().get(key) }) else { return false };
        return F::udp_replies().remove(&forward_key(key, owner)).is_ok()
            && F::udp_nat().remove(key).is_ok()
            && F::udp_nat().insert(key, &value(visit), NOEXIST).is_ok();
    }
    // SAFETY: read once, at once.
    if let Some(owner) = unsafe { F::nat().get(key) } {
        if F::replies().remove(&forward_key(key, owner)).is_err() {
            return false;
        }
        let _ = F::nat().remove(key);
    // SAFETY: read once, at once.
    } else if let Some(owner) = unsafe { F::nat_embryo().get(key) } {
        if F::reply_embryo().remove(&forward_key(key, owner)).is_err() {
            return false;
        }
        let _ = F::nat_embryo().remove(key);
    }
    F::nat_embryo().insert(key, &value(visit), NOEXIST).is_ok()
}

/// A handshake is over: its entries move to where nothing is evicted. The error is REPLIES' or NAT's.
#[inline(always)]
pub fn establish<F: Family>(key: &ReplyKey<F::Bytes>, embryo: &Reply<F::Bytes>) -> Result<(), i32> {
    F::replies().insert(key, embryo, NOEXIST)?;
    if u16::from_ne_bytes(embryo.node_port) == 0 {
        return Ok(());
    }
    let port =
        &NatKey { pod: key.pod, node: embryo.node, pod_port: key.pod_port, node_port: embryo.node_port };
    let client = &Nat { client: key.client, client_port: key.client_port, pad: [0; 2] };
    match F::nat().insert(port, client, NOEXIST) {
        Ok(()) => {
            let _ = F::nat_embryo().remove(port);
            Ok(())
        }
        // The client's last connection had the same port.
        Err(EXISTS) => Ok(()),
        Err(error) => {
            let _ = F::replies().remove(key);
            Err(error)
        }
    }
}

/// The client that a pod's packet to a port of the node's is for.
#[inline(always)]
pub fn client_of<F: Family>(packet: &Packet<F>) -> Option<(F::Words, u16)> {
    let key = &NatKey {
        pod: F::bytes(packet.source),
        node: F::bytes(packet.destination),
        pod_port: packet.source_port.to_ne_bytes(),
        node_port: packet.destination_port.to_ne_bytes(),
    };
    // SAFETY: read once, at once; the same for all three.
    let owner = unsafe {
        if packet.protocol == ip::TCP {
            match F::nat().get(key) {
                Some(owner) => Some(owner),
                None => F::nat_embryo().get(key),
            }
        } else {
            F::udp_nat().get(key)
        }
    };
    owner.map(|owner| (F::words(owner.client), u16::from_ne_bytes(owner.client_port)))
}

/// Whether a port, as it is on the wire, is one of those that are given out.
#[inline(always)]
pub fn is_given_out(port: u16, first: u32, count: u32) -> bool {
    u32::from(u16::from_be(port)).wrapping_sub(first) < count
}

/// The node's address and port that a client's packet to a pod is to show.
#[inline(always)]
pub fn node_of<F: Family>(packet: &Packet<F>) -> Option<(F::Words, u16)> {
    let key = &ReplyKey {
        client: F::bytes(packet.source),
        pod: F::bytes(packet.destination),
        client_port: packet.source_port.to_ne_bytes(),
        pod_port: packet.destination_port.to_ne_bytes(),
    };
    // SAFETY: read once, at once; the same for all three.
    let reply = unsafe {
        if packet.protocol == ip::TCP {
            match F::replies().get(key) {
                Some(reply) => Some(reply),
                None => F::reply_embryo().get(key),
            }
        } else {
            F::udp_replies().get(key)
        }
    }?;
    let port = u16::from_ne_bytes(reply.node_port);
    (port != 0).then(|| (F::words(reply.node), port))
}
