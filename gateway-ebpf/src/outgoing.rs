//! Connections of the node's own, or of pods that show its address, may begin at a frontend's port: a masqueraded one
//! may have any. Their answers are not the frontend's. What leaves from a frontend's address without being an answer
//! is written down at egress, after NAT, and the frontend is flagged: only then do packets to it cost another lookup.

use gateway_common::{
    abi::{
        flow::{FlowKey, Outgoing, state},
        frontend::{Frontend, flags},
    },
    limits,
    packet::{ip, tcp},
};

use crate::{
    egress::server_bits,
    family::{Family, RecentOutgoing},
    flow::{client_bits, stamp, take},
    packet::{Packet, Segment},
    reply::ANY,
};

#[inline(always)]
fn table<F: Family>(protocol: u8) -> &'static RecentOutgoing<F> {
    if protocol == ip::TCP { F::outgoing() } else { F::udp_outgoing() }
}

/// Whether a packet to a flagged frontend answers such a connection.
#[inline(always)]
pub fn is_answer<F: Family>(packet: &Packet<F>, segment: Segment, now: u32) -> bool {
    let key = &FlowKey {
        client: F::bytes(packet.source),
        frontend: F::bytes(packet.destination),
        client_port: packet.source_port.to_ne_bytes(),
        frontend_port: packet.destination_port.to_ne_bytes(),
    };
    let table = table::<F>(packet.protocol);
    let Some(entry) = table.get_ptr_mut(key) else { return false };
    // SAFETY: a live entry; racing writers of single words are harmless.
    let entry = unsafe { &mut *entry };
    let idle = now.wrapping_sub(entry.seen);
    let is_new = if packet.protocol == ip::TCP {
        // The far end may begin a connection from the same port once that one is over, or forgotten there.
        segment.has(tcp::SYN) && (state::is_closing(entry.state) || idle >= limits::TIME_WAIT_SECONDS)
    } else {
        idle >= limits::UDP_IDLE_SECONDS
    };
    if is_new {
        let _ = table.remove(key);
        return false;
    }
    stamp(&mut entry.seen, now);
    let bits = server_bits(segment, entry.state);
    take(&mut entry.state, bits);
    true
}

/// Whether a packet from a frontend's address belongs to such a connection; writes it down if it does.
#[inline(always)]
pub fn note<F: Family>(
    packet: &Packet<F>,
    segment: Segment,
    frontend: &Frontend,
    key: &FlowKey<F::Bytes>,
    is_forwarded: bool,
    now: u32,
) -> bool {
    let is_tcp = packet.protocol == ip::TCP;
    // The programs' own refusals are forwarded RSTs.
    let is_reset = segment.has(tcp::RST);
    let is_answer = segment.has(tcp::SYN) && segment.has(tcp::ACK);
    let begins = segment.has(tcp::SYN) && !is_answer;
    // Answers of the agent come from sockets of this node's; those to clients in the kernel's hands stay there.
    let is_certain = !is_tcp || begins || is_forwarded;
    let is_flagged = frontend.flags & flags::HAS_OUTGOING != 0;
    if is_answer || !(is_certain || is_flagged) {
        return false;
    }
    let table = table::<F>(packet.protocol);
    if let Some(entry) = table.get_ptr_mut(key) {
        // SAFETY: a live entry; racing writers of single words are harmless.
        let entry = unsafe { &mut *entry };
        if begins {
            entry.state = 0;
        }
        stamp(&mut entry.seen, now);
        take(&mut entry.state, client_bits(segment.flags));
    } else if is_certain && !is_reset {
        let _ = table.insert(key, &Outgoing { seen: now, state: client_bits(segment.flags) }, ANY);
    } else {
        return false;
    }
    // User space writes frontends anew now and then: then the next packet flags it again.
    if !is_flagged {
        F::flag_frontend(packet.source, packet.source_port, packet.protocol, flags::HAS_OUTGOING);
    }
    true
}
