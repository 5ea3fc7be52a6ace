//! East-west: which endpoint a socket's connection goes to, chosen once, when it connects. PICKS and `PICK_NODES`
//! (how connections are shared out), `SERVICE_PEER` (on the socket), `UDP_PICKS` and `UDP_PEERS` (sockets that are
//! not connected).
//!
//! Addresses are be; an IPv4 address is in the first four bytes, the rest zero.

use super::pod;

/// Value of PICKS, by the index of the ring in RINGS whose shares it has: the root of a tree of [`PickNode`]s. Written
/// as one 64-bit word, so that whoever reads it has the old tree or the new one.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Pick {
    /// A place in the tree, see [`place`]; [`place::NONE`]: there is no tree (yet).
    pub root: u32,
    /// Raised with each tree: a walk that began before, and may have met nodes used anew, is repeated.
    pub generation: u32,
}

/// What a place in a tree of picks says.
pub mod place {
    /// There is no tree.
    pub const NONE: u32 = 0;
    /// With this bit: a leaf, the other bits are a backend id (or pseudo-backend). Without: index in `PICK_NODES`.
    pub const LEAF: u32 = 1 << 31;
}

/// Value of `PICK_NODES`: of `total` connections that come here `share` go left; see [`crate::pick`].
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PickNode {
    /// How many of `total` go left.
    pub share: u32,
    /// At most 65,536, the slots of the largest ring; more than 0.
    pub total: u32,
    /// A place in the tree.
    pub left: u32,
    /// A place in the tree.
    pub right: u32,
}

/// Value of `SERVICE_PEER`, the `sk_storage` of a socket that uses frontends. `frontend` is what it connected to and
/// is shown, `backend` what it really talks to; `id` 0: it is not connected to a frontend, but has sent to some.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ServicePeer {
    /// Address of the frontend.
    pub frontend: [u8; 16],
    /// Address of the endpoint.
    pub backend: [u8; 16],
    /// Port of the frontend, be.
    pub frontend_port: [u8; 2],
    /// Port of the endpoint, be.
    pub backend_port: [u8; 2],
    /// Backend id.
    pub id: u32,
    /// [`super::backend::Backend::generation`] when it connected.
    pub generation: u32,
}

/// Key of `UDP_PICKS` (by frontend) and `UDP_PEERS` (by endpoint).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct SocketKey {
    /// Cookie of the socket.
    pub cookie: u64,
    /// Address.
    pub addr: [u8; 16],
    /// Port, be.
    pub port: [u8; 2],
    /// 4 or 6.
    pub family: u8,
    /// Zero.
    pub pad: [u8; 5],
}

/// Value of `UDP_PICKS`: where a socket's datagrams to a frontend go.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UdpPick {
    /// Backend id.
    pub backend: u32,
    /// [`super::backend::Backend::generation`] when it was chosen.
    pub generation: u32,
    /// [`super::settings::Settings::now`] at the last datagram.
    pub seen: u32,
}

/// Value of `UDP_PEERS`: the frontend that a socket is shown in the place of an endpoint.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UdpPeer {
    /// Address of the frontend.
    pub addr: [u8; 16],
    /// Port of the frontend, be.
    pub port: [u8; 2],
    /// Zero.
    pub pad: [u8; 2],
}

const _: () = assert!(size_of::<Pick>() == 8);
const _: () = assert!(size_of::<PickNode>() == 16);
const _: () = assert!(size_of::<ServicePeer>() == 44);
const _: () = assert!(size_of::<SocketKey>() == 32);
const _: () = assert!(size_of::<UdpPick>() == 12);
const _: () = assert!(size_of::<UdpPeer>() == 20);
pod!(Pick, PickNode, ServicePeer, SocketKey, UdpPick, UdpPeer);
