//! Frames as bytes, built the plain way: every checksum is computed from scratch, so that a frame which equals one
//! of these has been rewritten right.

use std::net::{IpAddr, SocketAddr};

use gateway_common::packet::{eth, ip, tcp};

pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const NODE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// What a TCP or UDP header says beyond its ports.
#[derive(Clone, Debug)]
pub enum Transport {
    Tcp { sequence: u32, acknowledged: u32, flags: u8, options: Vec<u8> },
    Udp { has_checksum: bool },
}

/// One TCP or UDP packet in an Ethernet frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub macs: ([u8; 6], [u8; 6]),
    /// Ethertypes of VLAN tags, outermost first.
    pub tags: Vec<u16>,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// IPv4 options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// IPv6 extension headers: kind, and the whole header but its first byte.
    pub extensions: Vec<(u8, Vec<u8>)>,
    pub transport: Transport,
    pub payload: Vec<u8>,
}

impl Frame {
    /// A TCP segment with these flags.
    pub fn tcp(source: SocketAddr, destination: SocketAddr, flags: u8) -> Self {
        let transport = Transport::Tcp { sequence: 1000, acknowledged: 0, flags, options: Vec::new() };
        Self {
            macs: (NODE_MAC, CLIENT_MAC),
            tags: Vec::new(),
            source,
            destination,
            options: Vec::new(),
            extensions: Vec::new(),
            transport,
            payload: Vec::new(),
        }
    }

    /// A SYN with that initial sequence number.
    pub fn syn(source: SocketAddr, destination: SocketAddr, isn: u32) -> Self {
        Self::tcp(source, destination, tcp::SYN).numbers(isn, 0)
    }

    /// A UDP datagram with a payload of odd length.
    pub fn udp(source: SocketAddr, destination: SocketAddr) -> Self {
        let mut frame = Self::tcp(source, destination, 0);
        frame.transport = Transport::Udp { has_checksum: true };
        frame.payload = b"who is there?".to_vec();
        frame
    }

    /// The same with these sequence numbers.
    pub fn numbers(mut self, to_sequence: u32, to_acknowledged: u32) -> Self {
        if let Transport::Tcp { sequence, acknowledged, .. } = &mut self.transport {
            (*sequence, *acknowledged) = (to_sequence, to_acknowledged);
        }
        self
    }

    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    pub fn to(mut self, destination: SocketAddr) -> Self {
        self.destination = destination;
        self
    }

    pub fn from(mut self, source: SocketAddr) -> Self {
        self.source = source;
        self
    }

    pub fn tagged(mut self, tags: &[u16]) -> Self {
        self.tags = tags.to_vec();
        self
    }

    /// The way back.
    pub fn reversed(mut self) -> Self {
        std::mem::swap(&mut self.source, &mut self.destination);
        std::mem::swap(&mut self.macs.0, &mut self.macs.1);
        self
    }

    /// Bytes before the IP header.
    pub fn l3(&self) -> usize {
        eth::HEADER + self.tags.len() * eth::TAG
    }

    /// Bytes before the TCP or UDP header.
    pub fn l4(&self) -> usize {
        let extensions: usize = self.extensions.iter().map(|(_, bytes)| bytes.len() + 1).sum();
        self.l3()
            + if self.source.is_ipv4() { ip::HEADER4 + self.options.len() } else { ip::HEADER6 + extensions }
    }

    /// Length of the IP packet.
    pub fn ip_len(&self) -> u64 {
        (self.bytes().len() - self.l3()) as u64
    }

    /// The frame.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.macs.0);
        bytes.extend(self.macs.1);
        for (index, tag) in self.tags.iter().enumerate() {
            bytes.extend(tag.to_be_bytes());
            bytes.extend([0, 10 + index as u8]);
        }
        let transport = self.transport_bytes();
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                bytes.extend(eth::IPV4.to_be_bytes());
                let length = ip::HEADER4 + self.options.len();
                let mut header = vec![0x40 | (length / 4) as u8, 0];
                header.extend(((length + transport.len()) as u16).to_be_bytes());
                header.extend([0x12, 0x34, 0x40, 0, 61, self.protocol(), 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(&self.options);
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                bytes.extend(header);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                bytes.extend(eth::IPV6.to_be_bytes());
                let mut kinds: Vec<u8> = self.extensions.iter().map(|(kind, _)| *kind).collect();
                kinds.push(self.protocol());
                let extensions: usize = self.extensions.iter().map(|(_, rest)| rest.len() + 1).sum();
                bytes.extend([0x60, 0, 0, 0]);
                bytes.extend(((extensions + transport.len()) as u16).to_be_bytes());
                bytes.extend([kinds[0], 61]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                for ((_, rest), next) in self.extensions.iter().zip(&kinds[1..]) {
                    bytes.push(*next);
                    bytes.extend(rest);
                }
            }
            _ => panic!("one family per packet"),
        }
        bytes.extend(transport);
        bytes
    }

    fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Tcp { .. } => ip::TCP,
            Transport::Udp { .. } => ip::UDP,
        }
    }

    fn transport_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.source.port().to_be_bytes());
        bytes.extend(self.destination.port().to_be_bytes());
        let at = match &self.transport {
            Transport::Tcp { sequence, acknowledged, flags, options } => {
                bytes.extend(sequence.to_be_bytes());
                bytes.extend(acknowledged.to_be_bytes());
                bytes.extend([
                    (((tcp::HEADER + options.len()) / 4) as u8) << 4,
                    *flags,
                    0xfa,
                    0xf0,
                    0,
                    0,
                    0,
                    0,
                ]);
                bytes.extend(options);
                16
            }
            Transport::Udp { .. } => {
                bytes.extend(((8 + self.payload.len()) as u16).to_be_bytes());
                bytes.extend([0, 0]);
                6
            }
        };
        bytes.extend(&self.payload);
        let sum = match self.transport {
            Transport::Udp { has_checksum: false } => 0,
            Transport::Udp { has_checksum: true } => match self.transport_checksum(&bytes) {
                0 => 0xffff,
                sum => sum,
            },
            Transport::Tcp { .. } => self.transport_checksum(&bytes),
        };
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn transport_checksum(&self, transport: &[u8]) -> u16 {
        pseudo_checksum(self.source.ip(), self.destination.ip(), self.protocol(), transport)
    }
}

/// RFC 1071 over the pseudo header and `bytes`.
pub fn pseudo_checksum(source: IpAddr, destination: IpAddr, protocol: u8, bytes: &[u8]) -> u16 {
    let mut all = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => all.extend(address.octets()),
            IpAddr::V6(address) => all.extend(address.octets()),
        }
    }
    all.extend((bytes.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, protocol]);
    all.extend(bytes);
    checksum(&all)
}

/// RFC 1071.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        if sum > 0xffff {
            sum -= 0xffff;
        }
    }
    !(sum as u16)
}
