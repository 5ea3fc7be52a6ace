//! Who has this address? Every node serves the addresses of load balancers, and one of them answers for each on the
//! link: the kernels would all do so for IPv4, where the address is local, and none for IPv6, where it is no device's.

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    programs::{TcContext, XdpContext},
};
use gateway_common::{
    abi::announce::{UplinkMac, answers},
    limits,
    packet::{arp, eth, icmp, ip, ndp},
    verdict::Verdict,
};

use crate::{
    answer::Answer,
    family::{Family, V4, V6},
    hook::{Failed, Hook, settings},
    maps::{ANNOUNCED4, ANNOUNCED6, UPLINK_MACS},
    packet,
    refuse::{pseudo_header, seconds},
};

/// Judges a packet that is neither TCP nor UDP, at XDP. A function that the verifier walks by itself.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn announce_xdp(context: *mut xdp_md, otherwise: u32) -> u32 {
    judge(&XdpContext::new(context), Verdict::from_number(otherwise as u8)) as u32
}

/// The same at tcx.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn announce_skb(context: *mut __sk_buff, otherwise: u32) -> u32 {
    judge(&TcContext::new(context), Verdict::from_number(otherwise as u8)) as u32
}

/// `otherwise` for what asks for none of these addresses.
#[inline(always)]
fn judge<H: Hook>(hook: &H, otherwise: Verdict) -> Verdict {
    let verdict = match packet::ethertype(hook) {
        Ok((eth::ARP, l3)) => arp(hook, l3),
        Ok((eth::IPV6, l3)) => solicitation(hook, l3),
        Ok(_) | Err(_) => None,
    };
    verdict.unwrap_or(otherwise)
}

/// What becomes of a question for an address with this entry.
enum Fate {
    /// This device answers.
    Answer([u8; 6]),
    /// Another node does.
    Silence,
}

/// `None`: the kernel decides.
#[inline(always)]
fn fate<H: Hook>(hook: &H, entry: Option<&u32>) -> Option<Fate> {
    // SAFETY: read once, at once.
    let UplinkMac { mac, .. } = *unsafe { UPLINK_MACS.get(&hook.arrived_by()) }?;
    let settings = settings();
    // Without its agent a node cannot know whether another one has taken the address over.
    let silent_for = seconds().saturating_sub(settings.now.wrapping_add(settings.paused));
    Some(if *entry? == answers::HERE && silent_for < limits::ANNOUNCE_SECONDS {
        Fate::Answer(mac)
    } else {
        Fate::Silence
    })
}

/// A MAC address in two pieces, as they are on the wire.
#[inline(always)]
fn pieces([m0, m1, m2, m3, m4, m5]: [u8; 6]) -> (u16, u32) {
    (u16::from_ne_bytes([m0, m1]), u32::from_ne_bytes([m2, m3, m4, m5]))
}

/// An ARP packet for IPv4 over Ethernet (RFC 826).
#[repr(C)]
struct ArpReply([u32; 7]);

// SAFETY: words only.
unsafe impl Answer for ArpReply {}

#[inline(always)]
fn arp<H: Hook>(hook: &H, l3: usize) -> Option<Verdict> {
    let at = hook.at(l3, arp::SIZE)?;
    let (kind, operation) = (at.word::<0>(), at.word::<4>());
    if kind != u32::from_ne_bytes(arp::ETHERNET_IPV4) || operation != u32::from_ne_bytes(arp::REQUEST) {
        return None;
    }
    let (asker, target) = ([at.word::<8>(), at.word::<12>(), at.word::<16>()], at.word::<24>());
    // SAFETY: read once, at once.
    let entry = unsafe { ANNOUNCED4.get(&V4::bytes(target)) };
    let Fate::Answer(mac) = fate(hook, entry)? else { return Some(Verdict::AnnouncedElsewhere) };
    let (first, rest) = pieces(mac);
    // Their address and ours change places: two bytes of each share a word. Little-endian words: `bpfel`.
    let [w0, w1, w2] = asker;
    let reply = ArpReply([
        kind,
        u32::from_ne_bytes(arp::REPLY),
        u32::from(first) | (rest << 16),
        (rest >> 16) | (target << 16),
        (target >> 16) | (w0 << 16),
        (w0 >> 16) | (w1 << 16),
        (w1 >> 16) | (w2 << 16),
    ]);
    Some(send(hook, l3, &reply, mac))
}

/// A neighbour advertisement with the option "target link-layer address" (RFC 4861, 4.4).
#[repr(C)]
struct Advertisement {
    ip: [u32; 10],
    icmp: [u32; 2],
    target: [u32; 4],
    option: [u32; 2],
}

// SAFETY: words only.
unsafe impl Answer for Advertisement {}

#[inline(always)]
fn solicitation<H: Hook>(hook: &H, l3: usize) -> Option<Verdict> {
    const LENGTH: u16 = (size_of::<Advertisement>() - ip::HEADER6) as u16;
    let at = hook.at(l3, ip::HEADER6 + ndp::SOLICITATION_SIZE)?;
    // What has passed a router is forged.
    let is_from_link = at.byte::<7>() == ndp::HOP_LIMIT;
    if at.byte::<6>() != ip::ICMPV6
        || !is_from_link
        || at.half::<40>() != u16::from_ne_bytes(ndp::SOLICITATION)
    {
        return None;
    }
    let asker = V6::load(at.plus(V6::SOURCE));
    let target = V6::load(at.plus(ip::HEADER6 + icmp::HEADER));
    // SAFETY: read once, at once.
    let entry = unsafe { ANNOUNCED6.get(&V6::bytes(target)) };
    let Fate::Answer(mac) = fate(hook, entry)? else { return Some(Verdict::AnnouncedElsewhere) };
    if V6::same(asker, [0; 4]) {
        // Somebody would like to have this address for itself.
        return None;
    }
    let (first, rest) = pieces(mac);
    let [kind, code] = ndp::ADVERTISEMENT;
    let [t, l] = ndp::TARGET_LINK_LAYER;
    let option = [u32::from_ne_bytes([t, l, 0, 0]) | (u32::from(first) << 16), rest];
    let flags = u32::from_ne_bytes([ndp::SOLICITED | ndp::OVERRIDE, 0, 0, 0]);
    let sum = V6::sum(pseudo_header::<V6>(target, asker, ip::ICMPV6, LENGTH), target)
        .word(u32::from_ne_bytes([kind, code, 0, 0]))
        .word(flags)
        .word(option[0])
        .word(option[1]);
    let [c0, c1] = sum.checksum().to_ne_bytes();
    let mut ip = V6::ip_header(target, asker, ip::ICMPV6, LENGTH);
    let [n0, n1, next, _] = ip[1].to_ne_bytes();
    ip[1] = u32::from_ne_bytes([n0, n1, next, ndp::HOP_LIMIT]);
    let icmp = [u32::from_ne_bytes([kind, code, c0, c1]), flags];
    Some(send(hook, l3, &Advertisement { ip, icmp, target, option }, mac))
}

/// The question may have come to everybody's MAC address; the answer comes from the device's own.
#[inline(always)]
fn send<H: Hook, A: Answer>(hook: &H, l3: usize, answer: &A, mac: [u8; 6]) -> Verdict {
    let sent = || -> Result<(), Failed> {
        hook.replace(l3, answer)?;
        hook.set_source_mac(mac)
    };
    if sent().is_ok() { Verdict::Announced } else { Verdict::RewriteFailed }
}
