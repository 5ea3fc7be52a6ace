//! Numbers of the wire: header sizes, field offsets (from the start of the header) and values.

/// Ethernet and VLAN tags (IEEE 802.3, 802.1Q).
pub mod eth {
    /// Bytes of an untagged header.
    pub const HEADER: usize = 14;
    /// Bytes of a VLAN tag.
    pub const TAG: usize = 4;
    /// VLAN tags that are looked through.
    pub const MAX_TAGS: usize = 2;
    /// Ethertype.
    pub const ARP: u16 = 0x0806;
    /// Ethertype.
    pub const IPV4: u16 = 0x0800;
    /// Ethertype.
    pub const IPV6: u16 = 0x86dd;
    /// Ethertype of a VLAN tag.
    pub const VLAN: u16 = 0x8100;
    /// Ethertype of an outer VLAN tag.
    pub const QINQ: u16 = 0x88a8;
}

/// IPv4 (RFC 791) and IPv6 (RFC 8200).
pub mod ip {
    /// Bytes of an IPv4 header without options.
    pub const HEADER4: usize = 20;
    /// Bytes of the fixed IPv6 header.
    pub const HEADER6: usize = 40;
    /// "More fragments" and the fragment offset of an IPv4 header.
    pub const FRAGMENT_MASK: u16 = 0x3fff;
    /// Protocol number.
    pub const TCP: u8 = 6;
    /// Protocol number.
    pub const UDP: u8 = 17;
    /// Protocol number.
    pub const ICMP: u8 = 1;
    /// Protocol number.
    pub const ICMPV6: u8 = 58;
    /// Extension header: hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// Extension header: routing.
    pub const ROUTING: u8 = 43;
    /// Extension header: fragment.
    pub const FRAGMENT: u8 = 44;
    /// Extension header: authentication (RFC 4302).
    pub const AUTHENTICATION: u8 = 51;
    /// Extension header: destination options.
    pub const DESTINATION: u8 = 60;
    /// Extension headers that are looked through.
    pub const MAX_EXTENSIONS: usize = 4;
    /// Bytes of extension headers that are looked through; the offset of what follows fits a byte.
    pub const MAX_EXTENSION_BYTES: usize = 192;
    /// Time to live of packets made here.
    pub const TTL: u8 = 64;
}

/// TCP (RFC 9293).
pub mod tcp {
    /// Bytes of a header without options.
    pub const HEADER: usize = 20;
    /// Offset of the checksum.
    pub const CHECKSUM: usize = 16;
    /// Offset of the byte whose high half is the header's length in words.
    pub const OFFSET: usize = 12;
    /// Flag.
    pub const FIN: u8 = 1;
    /// Flag.
    pub const SYN: u8 = 2;
    /// Flag.
    pub const RST: u8 = 4;
    /// Flag.
    pub const ACK: u8 = 16;
    /// What a first window may hold: it is not scaled yet.
    pub const FIRST_WINDOW: u32 = 65_536;
}

/// UDP (RFC 768).
pub mod udp {
    /// Bytes of the header.
    pub const HEADER: usize = 8;
    /// Offset of the checksum.
    pub const CHECKSUM: usize = 6;
}

/// ICMP (RFC 792) and `ICMPv6` (RFC 4443).
pub mod icmp {
    /// Bytes of an error's header.
    pub const HEADER: usize = 8;
    /// ICMP type "destination unreachable" and code "port unreachable".
    pub const PORT_UNREACHABLE4: [u8; 2] = [3, 3];
    /// The same in `ICMPv6`.
    pub const PORT_UNREACHABLE6: [u8; 2] = [1, 4];
    /// Bytes of the refused packet that an error quotes, at most: headers, extension headers, ports.
    pub const MAX_QUOTE: usize = 128;
}

/// ARP for IPv4 over Ethernet (RFC 826).
pub mod arp {
    /// Bytes of a packet.
    pub const SIZE: usize = 28;
    /// Hardware type Ethernet, protocol type IPv4.
    pub const ETHERNET_IPV4: [u8; 4] = [0, 1, 8, 0];
    /// Lengths of the addresses, and the operation: a question.
    pub const REQUEST: [u8; 4] = [6, 4, 0, 1];
    /// The same: an answer.
    pub const REPLY: [u8; 4] = [6, 4, 0, 2];
}

/// Neighbour discovery (RFC 4861).
pub mod ndp {
    /// Type and code of a solicitation.
    pub const SOLICITATION: [u8; 2] = [135, 0];
    /// Type and code of an advertisement.
    pub const ADVERTISEMENT: [u8; 2] = [136, 0];
    /// Bytes of a solicitation without options.
    pub const SOLICITATION_SIZE: usize = 24;
    /// The hop limit that no router lets through.
    pub const HOP_LIMIT: u8 = 255;
    /// Flag of an advertisement: it was asked for.
    pub const SOLICITED: u8 = 0x40;
    /// Flag of an advertisement: it replaces what is known.
    pub const OVERRIDE: u8 = 0x20;
    /// Type of the option "target link-layer address", and its length in units of eight bytes.
    pub const TARGET_LINK_LAYER: [u8; 2] = [2, 1];
}
