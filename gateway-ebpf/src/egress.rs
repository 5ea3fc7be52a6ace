//! The way back: at egress of the device towards the client, after routing and connection tracking, a pod's
//! reply gets its frontend's address. Both legs cross the stack as client ↔ pod.

use aya_ebpf::programs::TcContext;
use gateway_common::{
    abi::{
        flow::{FlowKey, Reply, ReplyKey, state},
        frontend::flags,
    },
    packet::{ip, tcp},
    verdict::Verdict,
};

use crate::{
    count::{self, Amount},
    family::{Family, V4, V6},
    flow::{stamp, take},
    hook::{End, Hook, settings},
    maps::BACKENDS,
    nat, outgoing,
    packet::{self, Network, Packet, ReadIp, Segment},
};

/// Endpoint → client; on a pod's device if `POD`.
#[inline(always)]
pub fn run<const POD: bool>(hook: &TcContext) -> Verdict {
    match packet::network(hook) {
        Ok(Network::V4(l3)) => turn::<V4, POD>(hook, l3),
        Ok(Network::V6(l3)) => turn::<V6, POD>(hook, l3),
        Err(verdict) => verdict,
    }
}

#[inline(always)]
fn turn<F: ReadIp, const POD: bool>(hook: &TcContext, l3: usize) -> Verdict {
    let packet = match packet::read::<TcContext, F>(hook, l3) {
        Ok(packet) => packet,
        Err(verdict) => return verdict,
    };
    let is_tcp = packet.protocol == ip::TCP;
    let segment = match packet::segment(hook, &packet) {
        Ok(segment) => segment,
        Err(verdict) => return verdict,
    };
    let now = settings().now;
    let reply = if is_tcp { tcp_reply(&packet, segment, now) } else { udp_reply(&packet, now) };
    let amount = Amount::of(hook, &packet, segment.header);
    let Some(reply) = reply else { return not_a_reply::<F, POD>(hook, &packet, segment, amount) };
    let (address, port) = (F::words(reply.frontend), u16::from_ne_bytes(reply.frontend_port));
    if hook.rewrite(&packet, End::Source, address, port).is_err() {
        return Verdict::RewriteFailed;
    }
    if let Some(backend) = BACKENDS.get(reply.backend)
        && backend.generation == reply.generation
    {
        count::replied(reply.backend, backend.route, amount);
    }
    Verdict::Reply
}

#[inline(always)]
fn reply_key<F: Family>(packet: &Packet<F>) -> ReplyKey<F::Bytes> {
    ReplyKey {
        client: F::bytes(packet.destination),
        pod: F::bytes(packet.source),
        client_port: packet.destination_port.to_ne_bytes(),
        pod_port: packet.source_port.to_ne_bytes(),
    }
}

/// State bits that a packet of the server's sets in an entry that has these.
#[inline(always)]
pub fn server_bits(segment: Segment, before: u32) -> u32 {
    if segment.has(tcp::RST) {
        state::RST
    } else if !segment.has(tcp::FIN) {
        0
    } else if before & (state::CLIENT_FIN | state::SERVER_FIN) == 0 {
        state::SERVER_FIN | state::SERVER_FIRST
    } else {
        state::SERVER_FIN
    }
}

#[inline(always)]
fn tcp_reply<F: Family>(packet: &Packet<F>, segment: Segment, now: u32) -> Option<&'static Reply<F::Bytes>> {
    let key = &reply_key(packet);
    if let Some(reply) = F::replies().get_ptr_mut(key) {
        // SAFETY: a live entry; racing writers of single words are harmless.
        let reply = unsafe { &mut *reply };
        if segment.has(tcp::SYN) && state::is_closing(reply.state) {
            // The client has the same port again, and this time for the pod itself: through a frontend the handshake would
            // be in its own map.
            let _ = F::replies().remove(key);
            return None;
        }
        stamp(&mut reply.seen, now);
        let before = reply.state;
        let bits = server_bits(segment, before);
        take(&mut reply.state, bits);
        if reply.state != before {
            mark::<F>(&flow_key(packet, reply), bits);
        }
        return Some(reply);
    }
    let embryo = F::reply_embryo().get_ptr_mut(key)?;
    // SAFETY: as above.
    let embryo = unsafe { &mut *embryo };
    if segment.has(tcp::SYN) {
        embryo.server_isn = segment.sequence;
        embryo.state |= state::SERVER_ISN;
        shake::<F>(&flow_key(packet, embryo), segment.sequence);
    } else if segment.has(tcp::RST) {
        embryo.state |= state::RST;
    } else {
        // Only after the handshake does a pod send anything else.
        embryo.seen = now;
        embryo.state |= server_bits(segment, embryo.state);
        // Full: the client's next packet is told. The embryo stays until the client proves it as well.
        let _ = nat::establish::<F>(key, embryo);
    }
    Some(embryo)
}

#[inline(always)]
fn udp_reply<F: Family>(packet: &Packet<F>, now: u32) -> Option<&'static Reply<F::Bytes>> {
    let reply = F::udp_replies().get_ptr_mut(&reply_key(packet))?;
    // SAFETY: as above.
    let reply = unsafe { &mut *reply };
    stamp(&mut reply.seen, now);
    Some(reply)
}

/// A client's packet on its way to a pod that is to see the node's address; or none of a pod's at all.
#[inline(always)]
fn not_a_reply<F: Family, const POD: bool>(
    hook: &TcContext,
    packet: &Packet<F>,
    segment: Segment,
    amount: Amount,
) -> Verdict {
    // SAFETY: the context is the program's own.
    let came_in_by = unsafe { (*hook.skb.skb).ingress_ifindex };
    // What the node sends itself has its address already, and a pod sees other clients than itself as they are.
    let may_be_nat = if POD { came_in_by == hook.device() } else { came_in_by != 0 };
    if settings().nat_ports != 0
        && may_be_nat
        && let Some((address, port)) = nat::node_of(packet)
    {
        return match hook.rewrite(packet, End::Source, address, port) {
            Ok(()) => Verdict::Masqueraded,
            Err(_) => Verdict::RewriteFailed,
        };
    }
    from_frontend::<F, POD>(packet, segment, amount, came_in_by != 0)
}

/// A packet that has a frontend's address already: from the agent's listeners, from the kernel's own, or of a
/// connection that happens to begin there.
#[inline(always)]
fn from_frontend<F: Family, const POD: bool>(
    packet: &Packet<F>,
    segment: Segment,
    amount: Amount,
    is_forwarded: bool,
) -> Verdict {
    let Some(frontend) = F::frontend(packet.source, packet.source_port, packet.protocol) else {
        return Verdict::EgressNotOurs;
    };
    let key = FlowKey {
        client: F::bytes(packet.destination),
        frontend: F::bytes(packet.source),
        client_port: packet.destination_port.to_ne_bytes(),
        frontend_port: packet.source_port.to_ne_bytes(),
    };
    if !POD && outgoing::note(packet, segment, frontend, &key, is_forwarded, settings().now) {
        return Verdict::EgressNotOurs;
    }
    if segment.has(tcp::SYN) {
        shake::<F>(&key, segment.sequence);
    }
    let bits = server_bits(segment, 0);
    if bits != 0 {
        mark::<F>(&key, bits);
    }
    if frontend.flags & flags::AGENT_LISTENS == 0 {
        return Verdict::EgressNotOurs;
    }
    count::from_agent(frontend.gateway, amount);
    Verdict::AgentReply
}

/// Key in the flow maps of the flow that a reply belongs to.
#[inline(always)]
fn flow_key<F: Family>(packet: &Packet<F>, reply: &Reply<F::Bytes>) -> FlowKey<F::Bytes> {
    FlowKey {
        client: F::bytes(packet.destination),
        frontend: reply.frontend,
        client_port: packet.destination_port.to_ne_bytes(),
        frontend_port: reply.frontend_port,
    }
}

/// Notes the server's initial sequence number: who acknowledges it has seen it.
#[inline(always)]
fn shake<F: Family>(key: &FlowKey<F::Bytes>, server_isn: u32) {
    if let Some(embryo) = F::embryo().get_ptr_mut(key) {
        // SAFETY: a live entry; racing writers of single words are harmless.
        unsafe {
            (*embryo).server_isn = server_isn;
            (*embryo).state |= state::SERVER_ISN;
        }
    }
}

/// Marks the end of a flow where it is kept.
#[inline(always)]
fn mark<F: Family>(key: &FlowKey<F::Bytes>, bits: u32) {
    if let Some(flow) = F::flows().get_ptr_mut(key) {
        // SAFETY: a live entry; racing writers of single words are harmless.
        take(unsafe { &mut (*flow).state }, bits);
    } else if let Some(old) = F::old().get_ptr_mut(key) {
        // SAFETY: a live entry; racing writers of single words are harmless.
        take(unsafe { &mut (*old).state }, bits);
    }
}
