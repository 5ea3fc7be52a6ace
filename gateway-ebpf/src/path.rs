//! The packet path: frontend → slot → flow → backend → rewrite. One function, one order, one exit.

use gateway_common::{
    abi::{backend::mode, frontend::flags},
    packet::{ip, tcp},
    verdict::{Action, Verdict},
};

use crate::{
    count::{self, Amount},
    family::{Family, V4, V6},
    hook::{End, Hook, settings},
    maps::BACKENDS,
    nat, outgoing,
    packet::{self, Network, Packet, ReadIp, Segment},
    reply,
    visit::{Steer, Target, Visit, slot},
};

/// Client → endpoint.
#[inline(always)]
pub fn run<H: Hook>(hook: &H) -> Verdict {
    let verdict = match packet::network(hook) {
        Ok(Network::V4(l3)) => visit::<H, V4>(hook, l3),
        Ok(Network::V6(l3)) => visit::<H, V6>(hook, l3),
        Err(verdict) => verdict,
    };
    if verdict == Verdict::NotIp || verdict == Verdict::OtherProtocol {
        return hook.announce(verdict);
    }
    match verdict.action() {
        Action::SendBack => hook.refuse(verdict),
        Action::Pass | Action::Drop => verdict,
    }
}

/// The packet comes in, its way is decided, it goes: three calls one after the other, because the stack of nested
/// ones adds up.
#[inline(always)]
fn visit<H: Hook, F: ReadIp + Steer>(hook: &H, l3: usize) -> Verdict {
    let verdict = arrive::<H, F>(hook, l3);
    if verdict != UNDECIDED {
        return Verdict::from_number(verdict as u8);
    }
    depart::<H, F>(hook, l3, F::steer())
}

/// From [`arrive`]: the slow path has to decide.
const UNDECIDED: u32 = 256;

/// The fast path, as far as the verdict of most packets; else leaves a [`Visit`] behind.
#[inline(never)]
fn arrive<H: Hook, F: ReadIp + Steer>(hook: &H, l3: usize) -> u32 {
    let packet = match packet::read::<H, F>(hook, l3) {
        Ok(packet) => packet,
        Err(verdict) => return verdict as u32,
    };
    let settings = settings();
    if nat::is_given_out(packet.destination_port, settings.nat_first, settings.nat_ports)
        && let Some((client, port)) = nat::client_of(&packet)
    {
        return match hook.rewrite(&packet, End::Destination, client, port) {
            Ok(()) => Verdict::NatReply as u32,
            Err(_) => Verdict::RewriteFailed as u32,
        };
    }
    let Some(frontend) = F::frontend(packet.destination, packet.destination_port, packet.protocol) else {
        if packet.protocol != ip::TCP {
            reply::forget_if_direct(&packet, settings.now);
        }
        return Verdict::NotOurs as u32;
    };
    let segment = match packet::segment(hook, &packet) {
        Ok(segment) => segment,
        Err(verdict) => return verdict as u32,
    };
    if segment.has(tcp::SYN) && segment.has(tcp::ACK) {
        return Verdict::SynAck as u32;
    }
    if frontend.flags & flags::HAS_OUTGOING != 0 && outgoing::is_answer(&packet, segment, settings.now) {
        return Verdict::OutgoingReply as u32;
    }
    if frontend.flags & flags::HAS_SOURCES != 0
        && !F::lets_in(packet.source, packet.destination, packet.destination_port, packet.protocol)
    {
        return Verdict::SourceDenied as u32;
    }
    let ports = if frontend.flags & flags::BY_CLIENT == 0 {
        (u16::from_be(packet.source_port), u16::from_be(packet.destination_port))
    } else {
        (0, 0)
    };
    let hash = F::hash(packet.source, packet.destination, ports, packet.protocol, settings.hash_seed);
    let index = hash & frontend.ring_mask;
    let Some(slot) = slot(frontend.ring, index) else { return Verdict::RingMissing as u32 };
    let visit = Visit {
        client: packet.source,
        frontend: packet.destination,
        client_port: packet.source_port,
        frontend_port: packet.destination_port,
        protocol: packet.protocol,
        flags: segment.flags,
        pad: [0; 2],
        sequence: segment.sequence,
        acknowledged: segment.acknowledged,
        ring: frontend.ring,
        ring_mask: frontend.ring_mask,
        gateway: frontend.gateway,
        slot: index,
        current: slot.current,
        previous: slot.previous,
        now: settings.now,
        stale_after: settings.stale_after,
        device: hook.device(),
    };
    if packet.protocol == ip::TCP && reply::is_settled(&visit) {
        return forward(hook, &packet, segment, Target::known(visit.current)) as u32;
    }
    let Some(place) = F::visit() else { return Verdict::RingMissing as u32 };
    // SAFETY: this CPU's own, and no program here interrupts another.
    unsafe { *place = visit };
    UNDECIDED
}

/// What was decided is done.
#[inline(never)]
fn depart<H: Hook, F: ReadIp + Steer>(hook: &H, l3: usize, target: Target) -> Verdict {
    let verdict = target.verdict();
    if verdict != Verdict::Local && verdict != Verdict::Agent {
        return verdict;
    }
    let packet = match packet::read::<H, F>(hook, l3) {
        Ok(packet) => packet,
        Err(verdict) => return verdict,
    };
    let segment = match packet::segment(hook, &packet) {
        Ok(segment) => segment,
        Err(verdict) => return verdict,
    };
    if verdict == Verdict::Local {
        return forward(hook, &packet, segment, target);
    }
    if let Some(visit) = F::visit() {
        // SAFETY: this CPU's own.
        count::to_agent(unsafe { (*visit).gateway }, Amount::of(hook, &packet, segment.header));
    }
    verdict
}

/// The destination becomes the pod, the kernel routes.
#[inline(always)]
fn forward<H: Hook, F: Family>(hook: &H, packet: &Packet<F>, segment: Segment, target: Target) -> Verdict {
    let Some(backend) = BACKENDS.get(target.id()) else { return Verdict::BackendDead };
    let address = F::backend_words(&backend.addr);
    let port = u16::from_ne_bytes(backend.port);
    if hook.rewrite(packet, End::Destination, address, port).is_err() {
        return Verdict::RewriteFailed;
    }
    let amount = Amount::of(hook, packet, segment.header);
    count::forwarded(target.id(), backend, amount, target.is_new());
    if backend.mode == mode::NAT { Verdict::Nat } else { Verdict::Local }
}
