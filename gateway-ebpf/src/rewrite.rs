//! Another address and port in one end of a packet, with the checksums that go with it: in place at XDP, by the
//! kernel's helpers at tcx, where a packet's checksum may be left for the device to complete.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_csum_update, bpf_l3_csum_replace, bpf_l4_csum_replace, bpf_skb_store_bytes},
    programs::{TcContext, XdpContext},
};
use gateway_common::{
    checksum::Sum,
    packet::{ip, tcp, udp},
};

use crate::{
    family::Family,
    hook::{End, Failed, Hook},
    packet::Packet,
};

/// Offset of the header checksum of IPv4.
const IP_CHECKSUM: usize = 10;

impl<F: Family> Packet<F> {
    /// What stands at that end now.
    #[inline(always)]
    fn end(&self, end: End) -> (F::Words, u16) {
        match end {
            End::Source => (self.source, self.source_port),
            End::Destination => (self.destination, self.destination_port),
        }
    }

    /// Offset of that end's address.
    #[inline(always)]
    fn address_offset(&self, end: End) -> usize {
        self.l3 + F::SOURCE + if end == End::Source { 0 } else { size_of::<F::Words>() }
    }

    /// Offset of that end's port.
    #[inline(always)]
    fn port_offset(&self, end: End) -> usize {
        self.l4 + if end == End::Source { 0 } else { 2 }
    }
}

/// At XDP: RFC 1624, on the packet itself.
#[inline(always)]
pub fn in_place<F: Family>(
    hook: &XdpContext,
    packet: &Packet<F>,
    end: End,
    address: F::Words,
    port: u16,
) -> Result<(), Failed> {
    let (old_address, old_port) = packet.end(end);
    let addresses = F::replace(Sum::default(), old_address, address);
    let all = addresses.replace_half(old_port, port);

    let header = hook.at(packet.l3, F::HEADER).ok_or(Failed)?;
    F::store(header.plus(packet.address_offset(end) - packet.l3), address);
    if F::VERSION == 4 {
        header.set_half::<10>(addresses.applied_to(header.half::<10>()));
    }
    if packet.protocol == ip::TCP {
        let at = hook.at(packet.l4, tcp::HEADER).ok_or(Failed)?;
        at.plus(packet.port_offset(end) - packet.l4).set_half::<0>(port);
        at.set_half::<16>(all.applied_to(at.half::<16>()));
    } else {
        let at = hook.at(packet.l4, udp::HEADER).ok_or(Failed)?;
        at.plus(packet.port_offset(end) - packet.l4).set_half::<0>(port);
        at.set_half::<6>(all.applied_to_udp(at.half::<6>()));
    }
    Ok(())
}

/// `BPF_F_PSEUDO_HDR`: the words are part of the pseudo header.
const PSEUDO_HEADER: u64 = 1 << 4;
/// `BPF_F_MARK_MANGLED_0`: UDP's rules for zero.
const UDP_ZERO: u64 = 1 << 5;

/// At tcx: the helpers know whether the checksum is whole, partial, or summed up by the device.
#[inline(always)]
pub fn by_helper<F: Family>(
    hook: &TcContext,
    packet: &Packet<F>,
    end: End,
    address: F::Words,
    port: u16,
) -> Result<(), Failed> {
    let skb = hook.as_ptr().cast();
    let (old_address, old_port) = packet.end(end);
    let (checksum, zero) = if packet.protocol == ip::TCP {
        (packet.l4 + tcp::CHECKSUM, 0)
    } else {
        (packet.l4 + udp::CHECKSUM, UDP_ZERO)
    };
    let change = u64::from(u32::from(F::replace(Sum::default(), old_address, address).folded()));
    let mut failed = 0;
    // SAFETY: the context is the program's own, and what is stored outlives the calls.
    unsafe {
        if F::VERSION == 4 {
            failed |= bpf_l3_csum_replace(skb, (packet.l3 + IP_CHECKSUM) as u32, 0, change, 0);
        }
        failed |= bpf_l4_csum_replace(skb, checksum as u32, 0, change, PSEUDO_HEADER | zero);
        if F::VERSION == 6 {
            // The helper takes the change out of a sum over the whole packet (CHECKSUM_COMPLETE), as fits IPv4,
            // whose header checksum makes up for it; IPv6 has none (BPF_F_IPV6 says so from kernel 6.16 on).
            // On any other packet this does nothing but fail.
            bpf_csum_update(skb, change as u32);
        }
        failed |= bpf_l4_csum_replace(skb, checksum as u32, u64::from(old_port), u64::from(port), 2 | zero);
        let bytes = F::bytes(address);
        failed |= bpf_skb_store_bytes(
            skb,
            packet.address_offset(end) as u32,
            (&raw const bytes).cast(),
            size_of::<F::Bytes>() as u32,
            0,
        );
        failed |= bpf_skb_store_bytes(skb, packet.port_offset(end) as u32, (&raw const port).cast(), 2, 0);
    }
    if failed == 0 { Ok(()) } else { Err(Failed) }
}
