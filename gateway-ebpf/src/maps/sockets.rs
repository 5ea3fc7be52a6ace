//! Maps of the socket hooks.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, LruHashMap, SkStorage},
    macros::btf_map,
};
use gateway_common::{
    abi::socket::{Pick, PickNode, ServicePeer, SocketKey, UdpPeer, UdpPick},
    limits,
};

/// User space writes through a mapping.
const SHARED: usize = BPF_F_MMAPABLE as usize;

/// How connections are shared out, by the index of a ring in RINGS that has the same shares.
#[btf_map]
pub static PICKS: Array<Pick, { limits::RINGS }, SHARED> = Array::new();
/// How many connections were shared out, by the same index. Begins anywhere, so that nodes do not pick in step.
#[btf_map]
pub static PICK_COUNTS: Array<u64, { limits::RINGS }> = Array::new();
/// The nodes of all trees.
#[btf_map]
pub static PICK_NODES: Array<PickNode, { limits::PICK_NODES }, SHARED> = Array::new();
/// On sockets that use frontends: what they are connected to.
#[btf_map]
pub static SERVICE_PEER: SkStorage<ServicePeer> = SkStorage::new();
/// Where the datagrams of a socket that is not connected go, by socket and frontend.
#[btf_map]
pub static UDP_PICKS: LruHashMap<SocketKey, UdpPick, { limits::RECENT }> = LruHashMap::new();
/// Which frontend such a socket is shown, by socket and endpoint.
#[btf_map]
pub static UDP_PEERS: LruHashMap<SocketKey, UdpPeer, { limits::RECENT }> = LruHashMap::new();
/// Id of the agent's own cgroup, whose sockets are left alone; 0: it has none.
#[btf_map]
pub static AGENT_CGROUP: Array<u64, 1> = Array::new();
