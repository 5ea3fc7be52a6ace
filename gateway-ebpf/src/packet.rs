//! Reading headers. Everything that the path needs is taken out once; afterwards only rewriting touches the packet.

use gateway_common::{
    packet::{eth, ip, tcp, udp},
    verdict::Verdict,
};

use crate::{
    family::{Family, V4, V6},
    hook::Hook,
    raw::{At, forget},
};

/// What the path knows of a TCP or UDP packet. Addresses and ports are as on the wire.
pub struct Packet<F: Family> {
    /// Offset of the IP header.
    pub l3: usize,
    /// Offset of the TCP or UDP header.
    pub l4: usize,
    /// Length of the IP packet.
    pub ip_len: usize,
    /// TCP or UDP.
    pub protocol: u8,
    pub source: F::Words,
    pub destination: F::Words,
    pub source_port: u16,
    pub destination_port: u16,
}

/// What the path knows of a TCP header; numbers in host order.
#[derive(Clone, Copy)]
pub struct Segment {
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
    /// Length of the header.
    pub header: usize,
}

impl Segment {
    /// Whether the flag is set.
    #[inline(always)]
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What is behind the Ethernet header.
pub enum Network {
    /// IPv4 at this offset.
    V4(usize),
    /// IPv6 at this offset.
    V6(usize),
}

/// Looks behind the Ethernet header and up to two VLAN tags: the type of what is there, and its offset.
#[inline(always)]
pub fn ethertype<H: Hook>(hook: &H) -> Result<(u16, usize), Verdict> {
    let mut ethertype = hook.at(0, eth::HEADER).ok_or(Verdict::Truncated)?.half::<12>();
    let mut offset = eth::HEADER;
    for _ in 0..eth::MAX_TAGS {
        if ethertype != eth::VLAN.to_be() && ethertype != eth::QINQ.to_be() {
            break;
        }
        ethertype = hook.at(offset, eth::TAG).ok_or(Verdict::Truncated)?.half::<2>();
        offset += eth::TAG;
    }
    Ok((u16::from_be(ethertype), usize::from(forget(offset as u8))))
}

/// Whether that is IP.
#[inline(always)]
pub fn network<H: Hook>(hook: &H) -> Result<Network, Verdict> {
    match ethertype(hook)? {
        (eth::IPV4, offset) => Ok(Network::V4(offset)),
        (eth::IPV6, offset) => Ok(Network::V6(offset)),
        _ => Err(Verdict::NotIp),
    }
}

/// Where the transport header is; see [`Packet`].
pub struct Transport {
    l4: usize,
    ip_len: usize,
    protocol: u8,
}

/// Reads the IP header of family `F`; implemented where the two differ.
pub trait ReadIp: Family {
    /// Finds the TCP or UDP header and checks the lengths of what is before it.
    fn transport<H: Hook>(hook: &H, l3: usize, header: At) -> Result<Transport, Verdict>;
}

impl ReadIp for V4 {
    #[inline(always)]
    fn transport<H: Hook>(hook: &H, l3: usize, header: At) -> Result<Transport, Verdict> {
        let first = header.byte::<0>();
        let header_len = usize::from(first & 15) * 4;
        if first >> 4 != 4 || header_len < ip::HEADER4 {
            return Err(Verdict::Truncated);
        }
        if u16::from_be(header.half::<6>()) & ip::FRAGMENT_MASK != 0 {
            return Err(Verdict::Fragment);
        }
        let ip_len = ip_len(hook, l3, usize::from(u16::from_be(header.half::<2>())))?;
        Ok(Transport { l4: l3 + header_len, ip_len, protocol: header.byte::<9>() })
    }
}

impl ReadIp for V6 {
    #[inline(always)]
    fn transport<H: Hook>(hook: &H, l3: usize, header: At) -> Result<Transport, Verdict> {
        if header.byte::<0>() >> 4 != 6 {
            return Err(Verdict::Truncated);
        }
        let payload = usize::from(u16::from_be(header.half::<4>()));
        let declared = if payload == 0 { 0 } else { ip::HEADER6 + payload };
        let mut next = header.byte::<6>();
        let mut l4 = l3 + ip::HEADER6;
        for _ in 0..ip::MAX_EXTENSIONS {
            match next {
                ip::TCP | ip::UDP => break,
                ip::HOP_BY_HOP | ip::ROUTING | ip::DESTINATION | ip::AUTHENTICATION => {}
                ip::FRAGMENT => return Err(Verdict::Fragment),
                _ => return Err(Verdict::OtherProtocol),
            }
            let extension = hook.at(l4, 8).ok_or(Verdict::Truncated)?;
            if next == ip::ROUTING && extension.byte::<3>() != 0 {
                return Err(Verdict::ExtensionHeaders);
            }
            let length = usize::from(extension.byte::<1>());
            l4 += if next == ip::AUTHENTICATION { (length + 2) * 4 } else { (length + 1) * 8 };
            if l4 > l3 + ip::HEADER6 + ip::MAX_EXTENSION_BYTES {
                return Err(Verdict::ExtensionHeaders);
            }
            next = extension.byte::<0>();
        }
        match next {
            ip::TCP | ip::UDP => {
                let l4 = usize::from(forget(l4 as u8));
                Ok(Transport { l4, ip_len: ip_len(hook, l3, declared)?, protocol: next })
            }
            ip::FRAGMENT => Err(Verdict::Fragment),
            ip::HOP_BY_HOP | ip::ROUTING | ip::DESTINATION | ip::AUTHENTICATION => {
                Err(Verdict::ExtensionHeaders)
            }
            _ => Err(Verdict::OtherProtocol),
        }
    }
}

/// The length of the IP packet: as declared, if the frame has that much. Buffers of more than 64 KiB declare 0.
#[inline(always)]
fn ip_len<H: Hook>(hook: &H, l3: usize, declared: usize) -> Result<usize, Verdict> {
    if H::SEGMENTS && declared == 0 {
        return Ok(hook.frame_len() - l3);
    }
    // Most packets end in the part that can be read directly: no helper is called.
    if hook.data() + l3 + declared > hook.data_end() && l3 + declared > hook.frame_len() {
        return Err(Verdict::Truncated);
    }
    Ok(declared)
}

/// Reads the IP header and the ports.
#[inline(always)]
pub fn read<H: Hook, F: ReadIp>(hook: &H, l3: usize) -> Result<Packet<F>, Verdict> {
    let header = hook.at(l3, F::HEADER).ok_or(Verdict::Truncated)?;
    let source = F::load(header.plus(F::SOURCE));
    let destination = F::load(header.plus(F::SOURCE + size_of::<F::Words>()));
    let Transport { l4, ip_len, protocol } = F::transport(hook, l3, header)?;
    let smallest = match protocol {
        ip::TCP => tcp::HEADER,
        ip::UDP => udp::HEADER,
        _ => return Err(Verdict::OtherProtocol),
    };
    if ip_len < l4 - l3 + smallest {
        return Err(Verdict::Truncated);
    }
    let ports = hook.at(l4, 4).ok_or(Verdict::Truncated)?;
    Ok(Packet {
        l3,
        l4,
        ip_len,
        protocol,
        source,
        destination,
        source_port: ports.half::<0>(),
        destination_port: ports.half::<2>(),
    })
}

/// Reads the rest of a TCP header; for UDP it is one without flags, of UDP's length.
#[inline(always)]
pub fn segment<H: Hook, F: Family>(hook: &H, packet: &Packet<F>) -> Result<Segment, Verdict> {
    if packet.protocol != ip::TCP {
        return Ok(Segment { sequence: 0, acknowledged: 0, flags: 0, header: udp::HEADER });
    }
    let at = hook.at(packet.l4, tcp::HEADER).ok_or(Verdict::Truncated)?;
    let header = usize::from(at.byte::<12>() >> 4) * 4;
    if header < tcp::HEADER || packet.ip_len < packet.l4 - packet.l3 + header {
        return Err(Verdict::Truncated);
    }
    Ok(Segment {
        sequence: u32::from_be(at.word::<4>()),
        acknowledged: u32::from_be(at.word::<8>()),
        flags: at.byte::<13>(),
        header,
    })
}
