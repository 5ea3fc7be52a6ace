//! FRONTENDS4 and FRONTENDS6: which address, port and protocol a gateway listens on.

use super::pod;

/// Key of FRONTENDS4.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct FrontendKey4 {
    /// Destination address, be.
    pub addr: [u8; 4],
    /// Destination port, be.
    pub port: [u8; 2],
    /// IP protocol number (6 TCP, 17 UDP).
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}

/// Key of FRONTENDS6.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct FrontendKey6 {
    /// Destination address, be.
    pub addr: [u8; 16],
    /// Destination port, be.
    pub port: [u8; 2],
    /// IP protocol number (6 TCP, 17 UDP).
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}

/// What SOURCES4 and SOURCES6 are asked for: a client at a frontend. `A` is `[u8; 4]` or `[u8; 16]`.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Source<A> {
    /// Frontend address, be.
    pub frontend: A,
    /// Frontend port, be.
    pub port: [u8; 2],
    /// IP protocol number (6 TCP, 17 UDP).
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
    /// Client address, be.
    pub client: A,
}

/// Key of SOURCES4 and SOURCES6, longest-prefix tries.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SourceKey<A> {
    /// How many bits of `source` count: all of the frontend's, and those of the client's prefix.
    pub bits: u32,
    /// Frontend, and the client's prefix.
    pub source: Source<A>,
}

/// Key of SOURCES4.
pub type SourceKey4 = SourceKey<[u8; 4]>;
/// Key of SOURCES6.
pub type SourceKey6 = SourceKey<[u8; 16]>;

/// Value of FRONTENDS4 and FRONTENDS6.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Frontend {
    /// Index of the ring in RINGS.
    pub ring: u32,
    /// Number of slots of that ring minus one; the number of slots is a power of two.
    pub ring_mask: u32,
    /// Index in `GATEWAY_STATS`.
    pub gateway: u32,
    /// Bits of [`flags`].
    pub flags: u32,
}

/// Bits of [`Frontend::flags`].
pub mod flags {
    /// The agent's L7 listeners accept connections to this frontend: `sk_lookup` gives them the socket.
    /// Set before the first slot says AGENT, cleared after the last slot that says so has settled. It does
    /// not decide anything in the packet path: slots do.
    pub const AGENT_LISTENS: u32 = 1;
    /// All connections of a client go to one endpoint: ports are no part of the flow hash.
    pub const BY_CLIENT: u32 = 2;
    /// The ring is that of the endpoints on this node.
    pub const LOCAL_ONLY: u32 = 4;
    /// Clients may come from the prefixes in SOURCES only.
    pub const HAS_SOURCES: u32 = 8;
    /// Connections that begin at this address and port are in OUTGOING: their answers are not the frontend's. Set by
    /// the packet path, cleared by user space.
    pub const HAS_OUTGOING: u32 = 16;
}

const _: () = assert!(size_of::<FrontendKey4>() == 8);
const _: () = assert!(size_of::<FrontendKey6>() == 20);
const _: () = assert!(size_of::<Frontend>() == 16);
const _: () = assert!(size_of::<SourceKey4>() == 16 && size_of::<SourceKey6>() == 40);
pod!(FrontendKey4, FrontendKey6, Frontend, SourceKey4, SourceKey6, Source<[u8; 4]>, Source<[u8; 16]>);
