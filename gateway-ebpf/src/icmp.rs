//! ICMP errors: "port unreachable" for a UDP packet that is refused.

use gateway_common::{
    checksum::Sum,
    packet::{icmp, udp},
};

use crate::{
    answer::Answer,
    family::Family,
    hook::{Failed, Hook},
    packet::Packet,
    raw::forget,
    refuse::pseudo_header,
};

/// IP header and ICMP header.
#[repr(C)]
struct Unreachable<F: Family> {
    ip: F::IpHeader,
    icmp: [u32; 2],
}

// SAFETY: `IpHeader` is an array of words for each family.
unsafe impl<F: Family> Answer for Unreachable<F> {}

/// Quotes the packet up to its ports (RFC 792, RFC 4443): that is what a client needs to find its socket.
#[inline(always)]
pub fn unreachable<H: Hook, F: Family>(hook: &H, packet: &Packet<F>) -> Result<(), Failed> {
    let quote = packet.l4 - packet.l3 + udp::HEADER;
    if quote > icmp::MAX_QUOTE {
        return Err(Failed);
    }
    let (source, destination) = (packet.destination, packet.source);
    let [kind, code] = F::PORT_UNREACHABLE;
    let length = (icmp::HEADER + quote) as u16;
    let mut sum = Sum::default();
    if F::VERSION == 6 {
        sum = pseudo_header::<F>(source, destination, F::ICMP, length);
    }
    sum = sum.word(u32::from_ne_bytes([kind, code, 0, 0]));
    // All headers are multiples of four bytes. The end is a number of its own, or the verifier would learn
    // something else about `quote` at each turn and walk what follows as many times.
    let end = usize::from(forget((quote / 4) as u8));
    let mut word = 0;
    while word < end && word < icmp::MAX_QUOTE / 4 {
        sum = sum.word(hook.at(packet.l3 + word * 4, 4).ok_or(Failed)?.word::<0>());
        word += 1;
    }
    if hook.is_checksum_left(packet)? {
        // It will be completed in the quote, over what is left of the packet there.
        let header = hook.at(packet.l4, udp::HEADER).ok_or(Failed)?;
        let completed = match Sum::default().word(header.word::<0>()).word(header.word::<4>()).checksum() {
            0 => 0xffff,
            completed => completed,
        };
        sum = sum.replace_half(header.half::<6>(), completed);
    }
    let [c0, c1] = sum.checksum().to_ne_bytes();
    let answer = Unreachable::<F> {
        ip: F::ip_header(source, destination, F::ICMP, length),
        icmp: [u32::from_ne_bytes([kind, code, c0, c1]), 0],
    };
    hook.quote(packet.l3, quote, &answer)
}
