//! Per-connection state. FLOWS, EMBRYO, OLD and `UDP_FLOWS` say which backend a flow has (only where a slot
//! asks, or where a flow had to take another slot's backend); REPLIES, `REPLY_EMBRYO` and `UDP_REPLIES` say
//! which frontend a pod's replies are to show. NAT, `NAT_EMBRYO` and `UDP_NAT` say which client a pod's packet to a
//! port of the node's is meant for (mode `nat`). OUTGOING and `UDP_OUTGOING` hold connections that begin where a frontend is.
//!
//! Each map exists once per address family, its name ending in 4 or 6: an IPv4 key of 12 bytes costs two thirds
//! of what an IPv6 key of 36 bytes does. The protocol is not part of a key: TCP and UDP have maps of their own.

use super::pod;

/// Key of FLOWS, EMBRYO, OLD (TCP) and `UDP_FLOWS`, of OUTGOING (TCP) and `UDP_OUTGOING`; `A` is `[u8; 4]` or `[u8; 16]`.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct FlowKey<A> {
    /// Client address, be.
    pub client: A,
    /// Frontend address, be.
    pub frontend: A,
    /// Client port, be.
    pub client_port: [u8; 2],
    /// Frontend port, be.
    pub frontend_port: [u8; 2],
}

/// Value of FLOWS, EMBRYO, OLD and `UDP_FLOWS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flow {
    /// Backend id, or pseudo-backend.
    pub backend: u32,
    /// [`super::backend::Backend::generation`] when the entry was made; 0 for a pseudo-backend.
    pub generation: u32,
    /// Index in RINGS of the slot that the flow hashes to.
    pub ring: u32,
    /// That slot, which settles only when no live flow names it.
    pub slot: u32,
    /// The client's initial sequence number (TCP).
    pub client_isn: u32,
    /// The server's, valid with [`state::SERVER_ISN`] (TCP).
    pub server_isn: u32,
    /// [`super::settings::Settings::now`] at the last packet.
    pub seen: u32,
    /// Bits of [`state`].
    pub state: u32,
}

/// Key of REPLIES, `REPLY_EMBRYO` (TCP) and `UDP_REPLIES`; `A` is `[u8; 4]` or `[u8; 16]`.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ReplyKey<A> {
    /// Client address, be.
    pub client: A,
    /// Pod address, be.
    pub pod: A,
    /// Client port, be.
    pub client_port: [u8; 2],
    /// Pod port, be.
    pub pod_port: [u8; 2],
}

/// Value of REPLIES, `REPLY_EMBRYO` and `UDP_REPLIES`: the frontend that the client talks to.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reply<A> {
    /// Frontend address, be.
    pub frontend: A,
    /// Frontend port, be.
    pub frontend_port: [u8; 2],
    /// The port that the pod sees instead of the client's, be; zero: the pod sees the client.
    pub node_port: [u8; 2],
    /// The address that the pod sees instead of the client's, be.
    pub node: A,
    /// Backend id.
    pub backend: u32,
    /// [`super::backend::Backend::generation`] when the entry was made.
    pub generation: u32,
    /// The client's initial sequence number (TCP); [`super::settings::Settings::now`] at the client's last datagram to
    /// the frontend (UDP).
    pub client_isn: u32,
    /// The pod's, valid with [`state::SERVER_ISN`] (TCP).
    pub server_isn: u32,
    /// [`super::settings::Settings::now`] at the last packet.
    pub seen: u32,
    /// Bits of [`state`].
    pub state: u32,
}

/// Key of NAT, `NAT_EMBRYO` (TCP) and `UDP_NAT`: what the pod sees.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct NatKey<A> {
    /// Pod address, be.
    pub pod: A,
    /// The node's address, be.
    pub node: A,
    /// Pod port, be.
    pub pod_port: [u8; 2],
    /// The node's port, be.
    pub node_port: [u8; 2],
}

/// Value of NAT, `NAT_EMBRYO` and `UDP_NAT`: whom the pod answers. Everything else about the flow is in its entry of
/// REPLIES, `REPLY_EMBRYO` or `UDP_REPLIES`.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Nat<A> {
    /// Client address, be.
    pub client: A,
    /// Client port, be.
    pub client_port: [u8; 2],
    /// Zero.
    pub pad: [u8; 2],
}

/// Value of OUTGOING and `UDP_OUTGOING`, whose keys are [`FlowKey`]s: the far end is the client.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Outgoing {
    /// [`super::settings::Settings::now`] at the last packet.
    pub seen: u32,
    /// Bits of [`state`]; the far end, which is asked, is the server.
    pub state: u32,
}

/// Bits of [`Flow::state`] and [`Reply::state`].
pub mod state {
    /// The client sent a FIN.
    pub const CLIENT_FIN: u32 = 1;
    /// The server sent a FIN.
    pub const SERVER_FIN: u32 = 2;
    /// Either side sent a RST.
    pub const RST: u32 = 4;
    /// A SYN-ACK was seen, `server_isn` is its sequence number.
    pub const SERVER_ISN: u32 = 8;
    /// The server sent its FIN before the client did: it is the server that remembers the connection for a while.
    pub const SERVER_FIRST: u32 = 16;

    /// Whether the connection is over or about to be: a RST, or a FIN from both sides. A new SYN may take the
    /// place of such an entry at once, and a sweep may remove it after a short while without packets.
    pub const fn is_closing(state: u32) -> bool {
        const BOTH: u32 = CLIENT_FIN | SERVER_FIN;
        state & RST != 0 || state & BOTH == BOTH
    }
}

/// Key of the IPv4 flow maps.
pub type FlowKey4 = FlowKey<[u8; 4]>;
/// Key of the IPv6 flow maps.
pub type FlowKey6 = FlowKey<[u8; 16]>;
/// Key of the IPv4 reply maps.
pub type ReplyKey4 = ReplyKey<[u8; 4]>;
/// Key of the IPv6 reply maps.
pub type ReplyKey6 = ReplyKey<[u8; 16]>;
/// Value of the IPv4 reply maps.
pub type Reply4 = Reply<[u8; 4]>;
/// Value of the IPv6 reply maps.
pub type Reply6 = Reply<[u8; 16]>;
/// Key of the IPv4 maps of mode `nat`.
pub type NatKey4 = NatKey<[u8; 4]>;
/// Key of the IPv6 maps of mode `nat`.
pub type NatKey6 = NatKey<[u8; 16]>;
/// Value of the IPv4 maps of mode `nat`.
pub type Nat4 = Nat<[u8; 4]>;
/// Value of the IPv6 maps of mode `nat`.
pub type Nat6 = Nat<[u8; 16]>;

const _: () = assert!(size_of::<FlowKey4>() == 12 && size_of::<FlowKey6>() == 36);
const _: () = assert!(size_of::<ReplyKey4>() == 12 && size_of::<ReplyKey6>() == 36);
const _: () = assert!(size_of::<Reply4>() == 36 && size_of::<Reply6>() == 60);
const _: () = assert!(size_of::<Flow>() == 32);
const _: () = assert!(size_of::<NatKey4>() == 12 && size_of::<NatKey6>() == 36);
const _: () = assert!(size_of::<Nat4>() == 8 && size_of::<Nat6>() == 20);
const _: () = assert!(size_of::<Outgoing>() == 8);
pod!(Flow, Outgoing, FlowKey4, FlowKey6, ReplyKey4, ReplyKey6, Reply4, Reply6, NatKey4, NatKey6, Nat4, Nat6);
