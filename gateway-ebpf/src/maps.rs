//! The maps: names of at most 15 characters, BTF with named fields, so that `bpftool map dump` reads like a
//! table. No mutable globals: the loader pins every map by its name.

pub mod sockets;

use aya_ebpf::{
    bindings::{BPF_F_INNER_MAP, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    btf_maps::{Array, ArrayOfMaps, HashMap, LpmTrie, LruHashMap, PerCpuArray, SkStorage, SockMap},
    macros::btf_map,
};
use gateway_common::{
    abi::{
        announce::UplinkMac,
        backend::Backend,
        flow::{
            Flow, FlowKey4, FlowKey6, Nat4, Nat6, NatKey4, NatKey6, Outgoing, Reply4, Reply6, ReplyKey4,
            ReplyKey6,
        },
        frontend::{Frontend, FrontendKey4, FrontendKey6, Source},
        names::RouteNames,
        refusals::Refusals,
        settings::Settings,
        slot::Slot,
        stats::{RouteStats, TrafficStats, UpstreamMark, VerdictStats},
    },
    limits, verdict,
};

use crate::{
    family::{V4, V6},
    visit::Visit,
};

/// Grows with use: idle gateways cost no memory.
const ON_DEMAND: usize = BPF_F_NO_PREALLOC as usize;
/// User space writes slots through a mapping, and rings differ in size.
const RING_FLAGS: usize = (BPF_F_MMAPABLE | BPF_F_INNER_MAP) as usize;

/// What established connections are kept in: nothing is evicted.
pub type Established<K, V> = HashMap<K, V, { limits::ESTABLISHED }, ON_DEMAND>;
/// What unfinished or connectionless flows are kept in: the oldest give way.
pub type Recent<K, V> = LruHashMap<K, V, { limits::RECENT }>;

/// Which IPv4 address, port and protocol a gateway listens on, and its ring.
#[btf_map]
pub static FRONTENDS4: HashMap<FrontendKey4, Frontend, { limits::FRONTENDS }, ON_DEMAND> = HashMap::new();
/// The same for IPv6.
#[btf_map]
pub static FRONTENDS6: HashMap<FrontendKey6, Frontend, { limits::FRONTENDS }, ON_DEMAND> = HashMap::new();
/// Where clients may come from, of frontends that do not let in everybody.
#[btf_map]
pub static SOURCES4: LpmTrie<Source<[u8; 4]>, u32, { limits::SOURCES }> = LpmTrie::new();
/// The same for IPv6.
#[btf_map]
pub static SOURCES6: LpmTrie<Source<[u8; 16]>, u32, { limits::SOURCES }> = LpmTrie::new();
/// One ring of slots per gateway and address family, created and mapped by user space.
#[btf_map]
pub static RINGS: ArrayOfMaps<Array<Slot, { limits::RING_SLOTS }, RING_FLAGS>, { limits::RINGS }> =
    ArrayOfMaps::new();
/// The endpoints, by backend id.
#[btf_map]
pub static BACKENDS: Array<Backend, { limits::BACKENDS }> = Array::new();

/// TCP connections of asking slots, by client and frontend: only real handshakes enter.
#[btf_map]
pub static FLOWS4: Established<FlowKey4, Flow> = HashMap::new();
/// The same for IPv6.
#[btf_map]
pub static FLOWS6: Established<FlowKey6, Flow> = HashMap::new();
/// TCP handshakes under way on asking slots.
#[btf_map]
pub static EMBRYO4: Recent<FlowKey4, Flow> = LruHashMap::new();
/// The same for IPv6.
#[btf_map]
pub static EMBRYO6: Recent<FlowKey6, Flow> = LruHashMap::new();
/// TCP flows that an asking slot sent to `previous`: what keeps it from settling.
#[btf_map]
pub static OLD4: Recent<FlowKey4, Flow> = LruHashMap::new();
/// The same for IPv6.
#[btf_map]
pub static OLD6: Recent<FlowKey6, Flow> = LruHashMap::new();
/// UDP flows of asking slots, by client and frontend.
#[btf_map]
pub static UDP_FLOWS4: Recent<FlowKey4, Flow> = LruHashMap::new();
/// The same for IPv6.
#[btf_map]
pub static UDP_FLOWS6: Recent<FlowKey6, Flow> = LruHashMap::new();

/// Which frontend a pod's TCP replies are to show, by client and pod: only real handshakes enter.
#[btf_map]
pub static REPLIES4: Established<ReplyKey4, Reply4> = HashMap::new();
/// The same for IPv6.
#[btf_map]
pub static REPLIES6: Established<ReplyKey6, Reply6> = HashMap::new();
/// The same for TCP handshakes under way.
#[btf_map]
pub static REPLY_EMBRYO4: Recent<ReplyKey4, Reply4> = LruHashMap::new();
/// The same for IPv6.
#[btf_map]
pub static REPLY_EMBRYO6: Recent<ReplyKey6, Reply6> = LruHashMap::new();
/// Which frontend a pod's UDP replies are to show.
#[btf_map]
pub static UDP_REPLIES4: Recent<ReplyKey4, Reply4> = LruHashMap::new();
/// The same for IPv6.
#[btf_map]
pub static UDP_REPLIES6: Recent<ReplyKey6, Reply6> = LruHashMap::new();

/// Devices of this node's own pods, by index: who comes in there gets its replies there.
#[btf_map]
pub static POD_DEVICES: HashMap<u32, u32, { limits::POD_DEVICES }, ON_DEMAND> = HashMap::new();

/// Which client a pod's TCP packet to a port of the node's is for: only real handshakes enter.
#[btf_map]
pub static NAT4: Established<NatKey4, Nat4> = HashMap::new();
/// The same for IPv6.
#[btf_map]
pub static NAT6: Established<NatKey6, Nat6> = HashMap::new();
/// The same for TCP handshakes under way.
#[btf_map]
pub static NAT_EMBRYO4: Recent<NatKey4, Nat4> = LruHashMap::new();
/// The same for IPv6.
#[btf_map]
pub static NAT_EMBRYO6: Recent<NatKey6, Nat6> = LruHashMap::new();
/// Which client a pod's datagram to a port of the node's is for.
#[btf_map]
pub static UDP_NAT4: Recent<NatKey4, Nat4> = LruHashMap::new();
/// The same for IPv6.
#[btf_map]
pub static UDP_NAT6: Recent<NatKey6, Nat6> = LruHashMap::new();

/// TCP connections that begin at a frontend's address and port, by their far end and the frontend.
#[btf_map]
pub static OUTGOING4: LruHashMap<FlowKey4, Outgoing, { limits::OUTGOING }> = LruHashMap::new();
/// The same for IPv6.
#[btf_map]
pub static OUTGOING6: LruHashMap<FlowKey6, Outgoing, { limits::OUTGOING }> = LruHashMap::new();
/// UDP flows that begin there.
#[btf_map]
pub static UDP_OUTGOING4: LruHashMap<FlowKey4, Outgoing, { limits::OUTGOING }> = LruHashMap::new();
/// The same for IPv6.
#[btf_map]
pub static UDP_OUTGOING6: LruHashMap<FlowKey6, Outgoing, { limits::OUTGOING }> = LruHashMap::new();

/// Which node answers for an IPv4 address on the link, where all serve it.
#[btf_map]
pub static ANNOUNCED4: HashMap<[u8; 4], u32, { limits::ANNOUNCED }, ON_DEMAND> = HashMap::new();
/// The same for IPv6.
#[btf_map]
pub static ANNOUNCED6: HashMap<[u8; 16], u32, { limits::ANNOUNCED }, ON_DEMAND> = HashMap::new();
/// MAC addresses of the uplinks.
#[btf_map]
pub static UPLINK_MACS: HashMap<u32, UplinkMac, { limits::UPLINKS }, ON_DEMAND> = HashMap::new();

/// Packets, bytes and new flows, by route index.
#[btf_map]
pub static ROUTE_STATS: PerCpuArray<RouteStats, { limits::ROUTES }> = PerCpuArray::new();
/// Packets and bytes, by backend id.
#[btf_map]
pub static BACKEND_STATS: PerCpuArray<TrafficStats, { limits::BACKENDS }> = PerCpuArray::new();
/// Packets and bytes between clients and the agent's listeners, by gateway index.
#[btf_map]
pub static GATEWAY_STATS: PerCpuArray<TrafficStats, { limits::ROUTES }> = PerCpuArray::new();
/// Packets, by verdict number.
#[btf_map]
pub static VERDICT_STATS: PerCpuArray<VerdictStats, { verdict::CAPACITY }> = PerCpuArray::new();
/// What each CPU refused in the present second.
#[btf_map]
pub static REFUSALS: PerCpuArray<Refusals, 1> = PerCpuArray::new();

/// The IPv4 packet that each CPU has in hand: what the slow path reads instead of the stack.
#[btf_map]
pub static VISIT4: PerCpuArray<Visit<V4>, 1> = PerCpuArray::new();
/// The same for IPv6.
#[btf_map]
pub static VISIT6: PerCpuArray<Visit<V6>, 1> = PerCpuArray::new();

/// What the indices of `ROUTE_STATS` and `GATEWAY_STATS` stand for; read by people and agents only.
#[btf_map]
pub static ROUTE_NAMES: HashMap<u32, RouteNames, { limits::ROUTES }, ON_DEMAND> = HashMap::new();
/// What the agent tells all programs.
#[btf_map]
pub static SETTINGS: Array<Settings, 1> = Array::new();
/// The agent's listeners: IPv4 from index 0, IPv6 from [`limits::LISTENERS`].
#[btf_map]
pub static AGENT_SOCKETS: SockMap<{ 2 * limits::LISTENERS }> = SockMap::new();
/// On the agent's upstream sockets: whose packets these are.
#[btf_map]
pub static UPSTREAM_MARK: SkStorage<UpstreamMark> = SkStorage::new();
