//! Hashes that are the same on every machine and in every release: rings and shares of clients depend on them.

use std::net::{IpAddr, SocketAddr};

/// Mixes two words into one (the finaliser of `SplitMix64`, applied twice).
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    finish(finish(a.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ b)
}

/// Spreads a word over all bits.
pub(crate) fn finish(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Hashes bytes.
pub(crate) fn bytes(seed: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(mix(seed, bytes.len() as u64), |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(hash, u64::from_le_bytes(word))
    })
}

/// Hashes an address; IPv4 mapped into IPv6 is the IPv4 address.
pub(crate) fn address(seed: u64, address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => bytes(seed, &address.octets()),
        IpAddr::V6(address) => bytes(seed, &address.octets()),
    }
}

/// Hashes an address and port: IPv4, the common case, as one word.
pub(crate) fn socket(socket: &SocketAddr) -> u64 {
    let port = u64::from(socket.port());
    match socket.ip().to_canonical() {
        IpAddr::V4(address) => finish(u64::from(address.to_bits()) << 16 | port | 1 << 63),
        IpAddr::V6(address) => bytes(port, &address.octets()),
    }
}

/// Which endpoint a user or client has: the one with the highest hash of both (rendezvous), whatever their order.
pub(crate) fn rendezvous(user: u64, endpoints: &[SocketAddr]) -> Option<usize> {
    let scores = endpoints.iter().map(|endpoint| (finish(user ^ socket(endpoint)), endpoint));
    scores.enumerate().max_by(|(_, one), (_, other)| one.cmp(other)).map(|(index, _)| index)
}
