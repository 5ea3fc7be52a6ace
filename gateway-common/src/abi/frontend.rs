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
}

const _: () = assert!(size_of::<FrontendKey4>() == 8);
const _: () = assert!(size_of::<FrontendKey6>() == 20);
const _: () = assert!(size_of::<Frontend>() == 16);
pod!(FrontendKey4, FrontendKey6, Frontend);
