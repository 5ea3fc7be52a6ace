//! Floods: bare SYNs and stray ACKs with source addresses that belong to nobody. What answers them ends at the
//! first client, to which those addresses are routed.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::Netns;

/// Number of source addresses a flood takes turns with.
const SOURCES: u32 = 4096;

/// What the segments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloodKind {
    /// Opening segments of connections that are never completed.
    Syn,
    /// Segments of connections that do not exist.
    Ack,
}

/// A flood: `count` segments to `to`, each from another address and port.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// What the segments are.
    pub kind: FloodKind,
    /// Where they go.
    pub to: SocketAddr,
    /// How many.
    pub count: u32,
}

/// Sends it from `from`, as fast as it goes.
pub fn flood(from: &Netns, flood: Flood) -> io::Result<()> {
    from.run(|| {
        let domain = Domain::for_address(flood.to);
        // A raw socket of this protocol sends packets with the IP header we write.
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
        socket.set_send_buffer_size(4 << 20)?;
        // The port of a raw destination is no port: it must be zero for IPv6.
        let destination = SocketAddr::new(flood.to.ip(), 0).into();
        for number in 0..flood.count {
            let packet = packet(flood, number);
            socket.send_to(&packet, &destination)?;
        }
        Ok(())
    })
}

/// Packet `number` of a flood, IP header first.
fn packet(flood: Flood, number: u32) -> Vec<u8> {
    let source_port = 1024 + u16::try_from(number / SOURCES % 60_000).expect("below 60,000");
    let host = number % SOURCES;
    let tcp = tcp(flood, source_port, number.wrapping_mul(0x9e37_79b1));
    match flood.to.ip() {
        IpAddr::V4(to) => {
            let from = Ipv4Addr::from_bits(Ipv4Addr::new(10, 200, 0, 0).to_bits() + host + 1);
            v4(from, to, &tcp)
        }
        IpAddr::V6(to) => {
            let from = Ipv6Addr::from_bits(
                Ipv6Addr::new(0xfd00, 0x200, 0, 0, 0, 0, 0, 0).to_bits() + u128::from(host) + 1,
            );
            v6(from, to, &tcp)
        }
    }
}

fn tcp(flood: Flood, source_port: u16, sequence: u32) -> [u8; 20] {
    let mut tcp = [0; 20];
    tcp[0..2].copy_from_slice(&source_port.to_be_bytes());
    tcp[2..4].copy_from_slice(&flood.to.port().to_be_bytes());
    tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
    tcp[12] = 5 << 4;
    tcp[13] = match flood.kind {
        FloodKind::Syn => 0x02,
        FloodKind::Ack => {
            tcp[8..12].copy_from_slice(&sequence.rotate_left(16).to_be_bytes());
            0x10
        }
    };
    tcp[14..16].copy_from_slice(&64_240_u16.to_be_bytes());
    tcp
}

fn v4(from: Ipv4Addr, to: Ipv4Addr, tcp: &[u8; 20]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&[&packet]);
    packet[10..12].copy_from_slice(&sum);
    packet.extend(tcp);
    let sum = checksum(&[&from.octets(), &to.octets(), &[0, 6, 0, 20], tcp]);
    packet[36..38].copy_from_slice(&sum);
    packet
}

fn v6(from: Ipv6Addr, to: Ipv6Addr, tcp: &[u8; 20]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(tcp);
    let sum = checksum(&[&from.octets(), &to.octets(), &[0, 0, 0, 20, 0, 0, 0, 6], tcp]);
    packet[56..58].copy_from_slice(&sum);
    packet
}

/// The Internet checksum (RFC 1071) over parts of even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}
