//! The flow hash: which slot of a ring a flow falls into. A pure function of the tuple and the cluster's
//! seed, so that every node, and user space, come to the same slot.
//!
//! Two rounds of multiply and fold with the constants of `MurmurHash3`'s 64-bit finalizer (Appleby, public domain):
//! a handful of instructions for the JIT, and no structure left in the low bits, which pick the slot.

const K1: u64 = 0xff51_afd7_ed55_8ccd;
const K2: u64 = 0xc4ce_b9fe_1a85_ec53;

/// One round: takes `word` into `hash`.
#[inline(always)]
const fn take(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(K1);
    mixed ^ (mixed >> 32)
}

/// The last round.
#[inline(always)]
const fn finish(hash: u64) -> u32 {
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(K2);
    (mixed >> 32) as u32
}

/// Everything but the addresses in one word.
#[inline(always)]
const fn ports_word(client_port: u16, frontend_port: u16, protocol: u8) -> u64 {
    ((protocol as u64) << 32) | ((client_port as u64) << 16) | frontend_port as u64
}

/// Hash of an IPv4 flow. Addresses are the four bytes on the wire read as a little-endian word, ports are
/// numbers in host order.
#[inline(always)]
pub const fn flow4(
    client: u32,
    frontend: u32,
    client_port: u16,
    frontend_port: u16,
    protocol: u8,
    seed: u32,
) -> u32 {
    let ports = ports_word(client_port, frontend_port, protocol);
    finish(take(take(K2 ^ seed as u64, ((client as u64) << 32) | frontend as u64), ports))
}

/// Hash of an IPv6 flow. Addresses are the sixteen bytes on the wire read as four little-endian words, ports are
/// numbers in host order.
#[inline(always)]
pub const fn flow6(
    client: [u32; 4],
    frontend: [u32; 4],
    client_port: u16,
    frontend_port: u16,
    protocol: u8,
    seed: u32,
) -> u32 {
    let ports = ports_word(client_port, frontend_port, protocol);
    let [c0, c1, c2, c3] = client;
    let [f0, f1, f2, f3] = frontend;
    let hash = take(K2 ^ seed as u64, ((c0 as u64) << 32) | c1 as u64);
    let hash = take(hash, ((c2 as u64) << 32) | c3 as u64);
    let hash = take(hash, ((f0 as u64) << 32) | f1 as u64);
    let hash = take(hash, ((f2 as u64) << 32) | f3 as u64);
    finish(take(hash, ports))
}
