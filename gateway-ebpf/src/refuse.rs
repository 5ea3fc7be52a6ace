//! Saying no: a RST for TCP, "port unreachable" for UDP, so many per second and CPU.

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::bpf_ktime_get_coarse_ns,
    programs::{TcContext, XdpContext},
};
use gateway_common::{
    checksum::Sum,
    packet::{ip, tcp},
    verdict::Verdict,
};

use crate::{
    answer::Answer,
    family::{Family, V4, V6},
    hook::{Failed, Hook, settings},
    icmp,
    maps::REFUSALS,
    packet::{self, Network, Packet, ReadIp, Segment},
};

/// Seconds of the monotonic clock, coarse.
#[inline(always)]
pub fn seconds() -> u32 {
    // SAFETY: no arguments.
    (unsafe { bpf_ktime_get_coarse_ns() } / 1_000_000_000) as u32
}

/// Refuses at XDP. A function that the verifier walks by itself: it reads the headers anew, so nothing has to be
/// kept for it on the stack.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn refuse_xdp(context: *mut xdp_md, why: u32) -> u32 {
    refuse(&XdpContext::new(context), Verdict::from_number(why as u8)) as u32
}

/// Refuses at tcx.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn refuse_skb(context: *mut __sk_buff, why: u32) -> u32 {
    refuse(&TcContext::new(context), Verdict::from_number(why as u8)) as u32
}

#[inline(always)]
fn refuse<H: Hook>(hook: &H, why: Verdict) -> Verdict {
    match packet::network(hook) {
        Ok(Network::V4(l3)) => answer::<H, V4>(hook, l3, why),
        Ok(Network::V6(l3)) => answer::<H, V6>(hook, l3, why),
        Err(verdict) => verdict,
    }
}

#[inline(always)]
fn answer<H: Hook, F: ReadIp>(hook: &H, l3: usize, why: Verdict) -> Verdict {
    let (packet, segment) = match packet::read::<H, F>(hook, l3) {
        Ok(packet) => match packet::segment(hook, &packet) {
            Ok(segment) => (packet, segment),
            Err(verdict) => return verdict,
        },
        Err(verdict) => return verdict,
    };
    if segment.has(tcp::RST) {
        return Verdict::RefusedSilently;
    }
    if !is_allowed() {
        return Verdict::RefusalLimited;
    }
    let sent = if packet.protocol == ip::TCP {
        reset(hook, &packet, segment)
    } else {
        icmp::unreachable(hook, &packet)
    };
    if sent.is_ok() { why } else { Verdict::RefusedSilently }
}

/// Whether this CPU may refuse one more packet in this second. The agent's clock would stand still without it.
#[inline(always)]
fn is_allowed() -> bool {
    let Some(refusals) = REFUSALS.get_ptr_mut(0) else { return false };
    let second = seconds();
    // SAFETY: this CPU's own entry.
    unsafe {
        if (*refusals).second != second {
            (*refusals).second = second;
            (*refusals).sent = 0;
        }
        if (*refusals).sent >= settings().refusals {
            return false;
        }
        (*refusals).sent += 1;
    }
    true
}

/// IP and TCP header of a RST.
#[repr(C)]
struct Reset<F: Family> {
    ip: F::IpHeader,
    tcp: [u32; 5],
}

// SAFETY: `IpHeader` is an array of words for each family.
unsafe impl<F: Family> Answer for Reset<F> {}

/// RFC 9293, 3.5.2: the RST takes its sequence number from the acknowledgement, if there is one; else it
/// acknowledges everything that came.
#[inline(always)]
fn reset<H: Hook, F: Family>(hook: &H, packet: &Packet<F>, segment: Segment) -> Result<(), Failed> {
    const OFFSET_IN_WORDS: u8 = (tcp::HEADER / 4) as u8;
    let (sequence, acknowledged, flags) = if segment.has(tcp::ACK) {
        (segment.acknowledged, 0, tcp::RST)
    } else {
        let payload = packet.ip_len - (packet.l4 - packet.l3) - segment.header;
        let length = payload as u32 + u32::from(segment.has(tcp::SYN)) + u32::from(segment.has(tcp::FIN));
        (0, segment.sequence.wrapping_add(length), tcp::RST | tcp::ACK)
    };
    let ports = u32::from(packet.destination_port) | (u32::from(packet.source_port) << 16);
    let state = u32::from_ne_bytes([OFFSET_IN_WORDS << 4, flags, 0, 0]);
    let (source, destination) = (packet.destination, packet.source);
    let pseudo = pseudo_header::<F>(source, destination, ip::TCP, tcp::HEADER as u16);
    let sum = pseudo.word(ports).word(sequence.to_be()).word(acknowledged.to_be()).word(state);
    // Who completes a checksum adds the segment to the sum of the pseudo header, from where the TCP header was.
    let is_left = hook.is_checksum_left(packet)?;
    if is_left && packet.l4 - packet.l3 != F::HEADER {
        return Err(Failed);
    }
    let checksum = if is_left { pseudo.folded() } else { sum.checksum() };
    let answer = Reset::<F> {
        ip: F::ip_header(source, destination, ip::TCP, tcp::HEADER as u16),
        tcp: [ports, sequence.to_be(), acknowledged.to_be(), state, u32::from(checksum)],
    };
    hook.replace(packet.l3, &answer)
}

/// What TCP, UDP and `ICMPv6` sum up before their own bytes (RFC 9293, 3.1; RFC 8200, 8.1).
#[inline(always)]
pub fn pseudo_header<F: Family>(source: F::Words, destination: F::Words, protocol: u8, length: u16) -> Sum {
    F::sum(F::sum(Sum::default(), source), destination).half(u16::from(protocol).to_be()).half(length.to_be())
}
