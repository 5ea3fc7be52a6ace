//! IPv4 and IPv6: what differs between them, so that the path is written once.

use aya_ebpf::btf_maps::{LruHashMap, lpm_trie::Key};
use gateway_common::{
    abi::{
        flow::{Flow, FlowKey, Nat, NatKey, Outgoing, Reply, ReplyKey},
        frontend::{Frontend, FrontendKey4, FrontendKey6, Source},
    },
    checksum::Sum,
    hash, limits,
    packet::{icmp, ip},
};

use crate::{
    maps::{
        EMBRYO4, EMBRYO6, Established, FLOWS4, FLOWS6, FRONTENDS4, FRONTENDS6, NAT_EMBRYO4, NAT_EMBRYO6,
        NAT4, NAT6, OLD4, OLD6, OUTGOING4, OUTGOING6, REPLIES4, REPLIES6, REPLY_EMBRYO4, REPLY_EMBRYO6,
        Recent, SOURCES4, SOURCES6, UDP_FLOWS4, UDP_FLOWS6, UDP_NAT4, UDP_NAT6, UDP_OUTGOING4, UDP_OUTGOING6,
        UDP_REPLIES4, UDP_REPLIES6,
    },
    raw::At,
};

type Flows<F> = Established<FlowKey<<F as Family>::Bytes>, Flow>;
type RecentFlows<F> = Recent<FlowKey<<F as Family>::Bytes>, Flow>;
type Replies<F> = Established<ReplyKey<<F as Family>::Bytes>, Reply<<F as Family>::Bytes>>;
type RecentReplies<F> = Recent<ReplyKey<<F as Family>::Bytes>, Reply<<F as Family>::Bytes>>;
type Nats<F> = Established<NatKey<<F as Family>::Bytes>, Nat<<F as Family>::Bytes>>;
/// OUTGOING and `UDP_OUTGOING`.
pub type RecentOutgoing<F> = LruHashMap<FlowKey<<F as Family>::Bytes>, Outgoing, { limits::OUTGOING }>;
type RecentNats<F> = Recent<NatKey<<F as Family>::Bytes>, Nat<<F as Family>::Bytes>>;

/// An address family.
pub trait Family: 'static {
    /// An address in 32-bit words, as they are on the wire.
    type Words: Copy;
    /// An address in bytes, as map keys have it.
    type Bytes: Copy + 'static;
    /// An IP header without options in 32-bit words, as they are on the wire.
    type IpHeader: Copy;
    /// `Backend::family`.
    const VERSION: u8;
    /// Bytes of the IP header without options or extension headers.
    const HEADER: usize;
    /// Offset of the source address; the destination follows it.
    const SOURCE: usize;
    /// First index in `AGENT_SOCKETS`.
    const SOCKETS: u32;
    /// The protocol that errors are told in.
    const ICMP: u8;
    /// Its "port unreachable".
    const PORT_UNREACHABLE: [u8; 2];

    /// Bytes of an address.
    fn bytes(words: Self::Words) -> Self::Bytes;
    /// Words of an address.
    fn words(bytes: Self::Bytes) -> Self::Words;
    /// The address in a backend.
    fn backend_words(bytes: &[u8; 16]) -> Self::Words;
    /// Whether two addresses are the same.
    fn same(one: Self::Words, other: Self::Words) -> bool;
    /// Adds an address to a sum.
    fn sum(sum: Sum, address: Self::Words) -> Sum;
    /// Takes one address out of a sum and another one in.
    fn replace(sum: Sum, old: Self::Words, new: Self::Words) -> Sum;
    /// An IP header without options in front of `payload` bytes.
    fn ip_header(source: Self::Words, destination: Self::Words, protocol: u8, payload: u16)
    -> Self::IpHeader;
    /// Reads an address at the place that `at` points to.
    fn load(at: At) -> Self::Words;
    /// Writes it.
    fn store(at: At, address: Self::Words);
    /// The flow hash; ports in host order.
    fn hash(client: Self::Words, frontend: Self::Words, ports: (u16, u16), protocol: u8, seed: u32) -> u32;
    /// The frontend that listens there; `port` as it is on the wire.
    fn frontend(address: Self::Words, port: u16, protocol: u8) -> Option<&'static Frontend>;
    /// Sets a flag of the frontend that listens there.
    fn flag_frontend(address: Self::Words, port: u16, protocol: u8, flag: u32);
    /// Whether a frontend that does not let in everybody lets in this client; `port` as it is on the wire.
    fn lets_in(client: Self::Words, frontend: Self::Words, port: u16, protocol: u8) -> bool;

    /// FLOWS.
    fn flows() -> &'static Flows<Self>;
    /// EMBRYO.
    fn embryo() -> &'static RecentFlows<Self>;
    /// OLD.
    fn old() -> &'static RecentFlows<Self>;
    /// `UDP_FLOWS`.
    fn udp_flows() -> &'static RecentFlows<Self>;
    /// REPLIES.
    fn replies() -> &'static Replies<Self>;
    /// `REPLY_EMBRYO`.
    fn reply_embryo() -> &'static RecentReplies<Self>;
    /// `UDP_REPLIES`.
    fn udp_replies() -> &'static RecentReplies<Self>;
    /// NAT.
    fn nat() -> &'static Nats<Self>;
    /// `NAT_EMBRYO`.
    fn nat_embryo() -> &'static RecentNats<Self>;
    /// `UDP_NAT`.
    fn udp_nat() -> &'static RecentNats<Self>;
    /// OUTGOING.
    fn outgoing() -> &'static RecentOutgoing<Self>;
    /// `UDP_OUTGOING`.
    fn udp_outgoing() -> &'static RecentOutgoing<Self>;
}

/// IPv4.
pub struct V4;
/// IPv6.
pub struct V6;

impl Family for V4 {
    type Words = u32;
    type IpHeader = [u32; 5];
    type Bytes = [u8; 4];
    const VERSION: u8 = 4;
    const HEADER: usize = ip::HEADER4;
    const SOURCE: usize = 12;
    const SOCKETS: u32 = 0;
    const ICMP: u8 = ip::ICMP;
    const PORT_UNREACHABLE: [u8; 2] = icmp::PORT_UNREACHABLE4;

    #[inline(always)]
    fn bytes(words: u32) -> [u8; 4] {
        words.to_ne_bytes()
    }

    #[inline(always)]
    fn words(bytes: [u8; 4]) -> u32 {
        u32::from_ne_bytes(bytes)
    }

    #[inline(always)]
    fn backend_words(bytes: &[u8; 16]) -> u32 {
        let [b0, b1, b2, b3, ..] = *bytes;
        u32::from_ne_bytes([b0, b1, b2, b3])
    }

    #[inline(always)]
    fn same(one: u32, other: u32) -> bool {
        one == other
    }

    #[inline(always)]
    fn sum(sum: Sum, address: u32) -> Sum {
        sum.word(address)
    }

    #[inline(always)]
    fn replace(sum: Sum, old: u32, new: u32) -> Sum {
        sum.replace_word(old, new)
    }

    #[inline(always)]
    fn ip_header(source: u32, destination: u32, protocol: u8, payload: u16) -> [u32; 5] {
        const DO_NOT_FRAGMENT: u8 = 0x40;
        let [high, low] = (ip::HEADER4 as u16 + payload).to_be_bytes();
        let first = u32::from_ne_bytes([0x45, 0, high, low]);
        let second = u32::from_ne_bytes([0, 0, DO_NOT_FRAGMENT, 0]);
        let third = u32::from_ne_bytes([ip::TTL, protocol, 0, 0]);
        let sum = Sum::default().word(first).word(second).word(third).word(source).word(destination);
        let [c0, c1] = sum.checksum().to_ne_bytes();
        [first, second, u32::from_ne_bytes([ip::TTL, protocol, c0, c1]), source, destination]
    }

    #[inline(always)]
    fn load(at: At) -> u32 {
        at.word::<0>()
    }

    #[inline(always)]
    fn store(at: At, address: u32) {
        at.set_word::<0>(address);
    }

    #[inline(always)]
    fn hash(client: u32, frontend: u32, ports: (u16, u16), protocol: u8, seed: u32) -> u32 {
        hash::flow4(client, frontend, ports.0, ports.1, protocol, seed)
    }

    #[inline(always)]
    fn frontend(address: u32, port: u16, protocol: u8) -> Option<&'static Frontend> {
        let key = FrontendKey4 { addr: Self::bytes(address), port: port.to_ne_bytes(), protocol, pad: 0 };
        // SAFETY: user space replaces entries, it does not free what is read here before a grace period.
        unsafe { FRONTENDS4.get(&key) }
    }

    #[inline(always)]
    fn flag_frontend(address: Self::Words, port: u16, protocol: u8, flag: u32) {
        let key = FrontendKey4 { addr: Self::bytes(address), port: port.to_ne_bytes(), protocol, pad: 0 };
        if let Some(frontend) = FRONTENDS4.get_ptr_mut(&key) {
            // SAFETY: a live entry, in which only this flag changes.
            unsafe { (*frontend).flags |= flag };
        }
    }

    #[inline(always)]
    fn lets_in(client: Self::Words, frontend: Self::Words, port: u16, protocol: u8) -> bool {
        let (frontend, client) = (Self::bytes(frontend), Self::bytes(client));
        let source = Source { frontend, port: port.to_ne_bytes(), protocol, pad: 0, client };
        SOURCES4.get(&Key::new(8 * size_of_val(&source) as u32, source)).is_some()
    }

    #[inline(always)]
    fn flows() -> &'static Flows<Self> {
        &FLOWS4
    }

    #[inline(always)]
    fn embryo() -> &'static RecentFlows<Self> {
        &EMBRYO4
    }

    #[inline(always)]
    fn old() -> &'static RecentFlows<Self> {
        &OLD4
    }

    #[inline(always)]
    fn udp_flows() -> &'static RecentFlows<Self> {
        &UDP_FLOWS4
    }

    #[inline(always)]
    fn replies() -> &'static Replies<Self> {
        &REPLIES4
    }

    #[inline(always)]
    fn reply_embryo() -> &'static RecentReplies<Self> {
        &REPLY_EMBRYO4
    }

    #[inline(always)]
    fn udp_replies() -> &'static RecentReplies<Self> {
        &UDP_REPLIES4
    }

    #[inline(always)]
    fn nat() -> &'static Nats<Self> {
        &NAT4
    }

    #[inline(always)]
    fn nat_embryo() -> &'static RecentNats<Self> {
        &NAT_EMBRYO4
    }

    #[inline(always)]
    fn udp_nat() -> &'static RecentNats<Self> {
        &UDP_NAT4
    }

    #[inline(always)]
    fn outgoing() -> &'static RecentOutgoing<Self> {
        &OUTGOING4
    }

    #[inline(always)]
    fn udp_outgoing() -> &'static RecentOutgoing<Self> {
        &UDP_OUTGOING4
    }
}

/// Four words as sixteen bytes.
#[inline(always)]
fn bytes6([w0, w1, w2, w3]: [u32; 4]) -> [u8; 16] {
    // SAFETY: same size, any bit pattern is valid in both.
    unsafe { core::mem::transmute([w0, w1, w2, w3]) }
}

/// Sixteen bytes as four words.
#[inline(always)]
fn words6(bytes: [u8; 16]) -> [u32; 4] {
    // SAFETY: same size, any bit pattern is valid in both.
    unsafe { core::mem::transmute(bytes) }
}

impl Family for V6 {
    type Words = [u32; 4];
    type IpHeader = [u32; 10];
    type Bytes = [u8; 16];
    const VERSION: u8 = 6;
    const HEADER: usize = ip::HEADER6;
    const SOURCE: usize = 8;
    const SOCKETS: u32 = limits::LISTENERS as u32;
    const ICMP: u8 = ip::ICMPV6;
    const PORT_UNREACHABLE: [u8; 2] = icmp::PORT_UNREACHABLE6;

    #[inline(always)]
    fn bytes(words: [u32; 4]) -> [u8; 16] {
        bytes6(words)
    }

    #[inline(always)]
    fn words(bytes: [u8; 16]) -> [u32; 4] {
        words6(bytes)
    }

    #[inline(always)]
    fn backend_words(bytes: &[u8; 16]) -> [u32; 4] {
        words6(*bytes)
    }

    #[inline(always)]
    fn same([a0, a1, a2, a3]: [u32; 4], [b0, b1, b2, b3]: [u32; 4]) -> bool {
        (a0 ^ b0) | (a1 ^ b1) | (a2 ^ b2) | (a3 ^ b3) == 0
    }

    #[inline(always)]
    fn sum(sum: Sum, [w0, w1, w2, w3]: [u32; 4]) -> Sum {
        sum.word(w0).word(w1).word(w2).word(w3)
    }

    #[inline(always)]
    fn replace(sum: Sum, [o0, o1, o2, o3]: [u32; 4], [n0, n1, n2, n3]: [u32; 4]) -> Sum {
        sum.replace_word(o0, n0).replace_word(o1, n1).replace_word(o2, n2).replace_word(o3, n3)
    }

    #[inline(always)]
    fn ip_header(source: [u32; 4], destination: [u32; 4], protocol: u8, payload: u16) -> [u32; 10] {
        let [high, low] = payload.to_be_bytes();
        let first = u32::from_ne_bytes([0x60, 0, 0, 0]);
        let second = u32::from_ne_bytes([high, low, protocol, ip::TTL]);
        let ([s0, s1, s2, s3], [d0, d1, d2, d3]) = (source, destination);
        [first, second, s0, s1, s2, s3, d0, d1, d2, d3]
    }

    #[inline(always)]
    fn load(at: At) -> [u32; 4] {
        [at.word::<0>(), at.word::<4>(), at.word::<8>(), at.word::<12>()]
    }

    #[inline(always)]
    fn store(at: At, [w0, w1, w2, w3]: [u32; 4]) {
        at.set_word::<0>(w0);
        at.set_word::<4>(w1);
        at.set_word::<8>(w2);
        at.set_word::<12>(w3);
    }

    #[inline(always)]
    fn hash(client: [u32; 4], frontend: [u32; 4], ports: (u16, u16), protocol: u8, seed: u32) -> u32 {
        hash::flow6(client, frontend, ports.0, ports.1, protocol, seed)
    }

    #[inline(always)]
    fn frontend(address: [u32; 4], port: u16, protocol: u8) -> Option<&'static Frontend> {
        let key = FrontendKey6 { addr: bytes6(address), port: port.to_ne_bytes(), protocol, pad: 0 };
        // SAFETY: user space replaces entries, it does not free what is read here before a grace period.
        unsafe { FRONTENDS6.get(&key) }
    }

    #[inline(always)]
    fn flag_frontend(address: Self::Words, port: u16, protocol: u8, flag: u32) {
        let key = FrontendKey6 { addr: Self::bytes(address), port: port.to_ne_bytes(), protocol, pad: 0 };
        if let Some(frontend) = FRONTENDS6.get_ptr_mut(&key) {
            // SAFETY: a live entry, in which only this flag changes.
            unsafe { (*frontend).flags |= flag };
        }
    }

    #[inline(always)]
    fn lets_in(client: Self::Words, frontend: Self::Words, port: u16, protocol: u8) -> bool {
        let (frontend, client) = (bytes6(frontend), bytes6(client));
        let source = Source { frontend, port: port.to_ne_bytes(), protocol, pad: 0, client };
        SOURCES6.get(&Key::new(8 * size_of_val(&source) as u32, source)).is_some()
    }

    #[inline(always)]
    fn flows() -> &'static Flows<Self> {
        &FLOWS6
    }

    #[inline(always)]
    fn embryo() -> &'static RecentFlows<Self> {
        &EMBRYO6
    }

    #[inline(always)]
    fn old() -> &'static RecentFlows<Self> {
        &OLD6
    }

    #[inline(always)]
    fn udp_flows() -> &'static RecentFlows<Self> {
        &UDP_FLOWS6
    }

    #[inline(always)]
    fn replies() -> &'static Replies<Self> {
        &REPLIES6
    }

    #[inline(always)]
    fn reply_embryo() -> &'static RecentReplies<Self> {
        &REPLY_EMBRYO6
    }

    #[inline(always)]
    fn udp_replies() -> &'static RecentReplies<Self> {
        &UDP_REPLIES6
    }

    #[inline(always)]
    fn nat() -> &'static Nats<Self> {
        &NAT6
    }

    #[inline(always)]
    fn nat_embryo() -> &'static RecentNats<Self> {
        &NAT_EMBRYO6
    }

    #[inline(always)]
    fn udp_nat() -> &'static RecentNats<Self> {
        &UDP_NAT6
    }

    #[inline(always)]
    fn outgoing() -> &'static RecentOutgoing<Self> {
        &OUTGOING6
    }

    #[inline(always)]
    fn udp_outgoing() -> &'static RecentOutgoing<Self> {
        &UDP_OUTGOING6
    }
}
