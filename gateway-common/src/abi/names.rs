//! `ROUTE_NAMES`: which gateway and route an index of `ROUTE_STATS` stands for; for people with bpftool, and
//! for a new agent that adopts the maps of an old one.

use super::pod;

/// Value of `ROUTE_NAMES` (a hash by route index). Texts are UTF-8, zero-padded, cut where too long;
/// identity is `digest`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteNames {
    /// First half of SHA-256 over namespace, gateway and route, each followed by a zero byte.
    pub digest: [u8; 16],
    /// Namespace.
    pub namespace: [u8; 64],
    /// Gateway.
    pub gateway: [u8; 64],
    /// Route, `(2.0.1)`; empty for the entry of the gateway itself.
    pub route: [u8; 64],
}

const _: () = assert!(size_of::<RouteNames>() == 208);
pod!(RouteNames);
