//! BACKENDS: one entry per endpoint of a route, indexed by backend id.

use super::pod;

/// No backend; in [`super::slot::Slot::previous`]: the slot is settled.
pub const NONE: u32 = 0;
/// Pseudo-backend: pass to the kernel, as if Weir were not there.
pub const KERNEL: u32 = 1;
/// Pseudo-backend: pass to the agent's L7 listeners (through `sk_lookup`).
pub const AGENT: u32 = 2;
/// Pseudo-backend: TCP gets a RST, UDP an ICMP port unreachable, both rate-limited.
pub const REFUSE: u32 = 3;
/// Pseudo-backend: drop.
pub const DROP: u32 = 4;
/// First id of a real backend; smaller ones are pseudo-backends or reserved.
pub const FIRST_REAL: u32 = 16;

/// Value of BACKENDS.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Backend {
    /// Address, be; an IPv4 address is in the first four bytes, the rest zero.
    pub addr: [u8; 16],
    /// Port, be.
    pub port: [u8; 2],
    /// 4 or 6; 0 for an entry not in use.
    pub family: u8,
    /// Forwarding mode, one of [`mode`].
    pub mode: u8,
    /// Raised each time the id is given to another endpoint, so that flow entries of the old one miss.
    pub generation: u32,
    /// Index in `ROUTE_STATS`.
    pub route: u32,
    /// Index in `GATEWAY_STATS`.
    pub gateway: u32,
    /// Index of the device that the route to it uses: who comes in there gets its replies by a detour (`nat`).
    pub device: u32,
    /// The node's address towards it, be, as in `addr`; zero where there is none. Source in mode `nat`.
    pub source: [u8; 16],
    /// Zero: an entry fills one cache line.
    pub pad: [u8; 12],
}

/// Values of [`Backend::mode`].
pub mod mode {
    /// Not usable at L4: the endpoint is gone (flows get a RST) or cannot be reached by a mode built so far.
    pub const UNUSABLE: u8 = 0;
    /// A pod on this node: destination rewritten, the kernel routes, replies turned back at egress.
    pub const LOCAL: u8 = 1;
    /// A pod elsewhere: destination rewritten, the kernel routes, the source becomes the node's at egress.
    pub const NAT: u8 = 2;
}

const _: () = assert!(size_of::<Backend>() == 64);
pod!(Backend);
