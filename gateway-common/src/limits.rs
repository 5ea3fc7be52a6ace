//! Sizes of the maps as declared in the object; the loader may resize any of them before it loads.

/// Entries of each of FRONTENDS4 and FRONTENDS6.
pub const FRONTENDS: usize = 8_192;
/// Rings: one per gateway and address family.
pub const RINGS: usize = 8_192;
/// Slots of the ring template; real rings may have any power of two.
pub const RING_SLOTS: usize = 4_096;
/// Backend ids, pseudo-backends included.
pub const BACKENDS: usize = 65_536;
/// Route indices and gateway indices, which share one number space.
pub const ROUTES: usize = 4_096;
/// Established connections in each of FLOWS, REPLIES and NAT and each family, allocated as they are needed.
pub const ESTABLISHED: usize = 1_048_576;
/// Entries of each LRU map (handshakes, old flows, UDP), allocated at once: about 7 MB each.
pub const RECENT: usize = 65_536;
/// Entries of each of the LRU maps OUTGOING and `UDP_OUTGOING`, allocated at once: about 2 MB each.
pub const OUTGOING: usize = 16_384;
/// Addresses that nodes answer for on the link, of each family.
pub const ANNOUNCED: usize = 4_096;
/// Uplinks.
pub const UPLINKS: usize = 256;
/// Seconds for which a node answers for them without hearing from its agent.
pub const ANNOUNCE_SECONDS: u32 = 15;
/// Devices of the node's own pods.
pub const POD_DEVICES: usize = 4_096;
/// Listeners of the agent per address family, at most; `AGENT_SOCKETS` holds two families.
pub const LISTENERS: usize = 64;
/// Slots that a connection tries when its client's port is already in use towards the chosen pod.
pub const CANDIDATES: u32 = 4;
/// Ports that mode `nat` tries for a flow before it is dropped.
pub const NAT_TRIES: u32 = 16;
/// Seconds for which the end that closed first remembers a TCP connection: until then its port is not free.
pub const TIME_WAIT_SECONDS: u32 = 60;
/// Seconds without a packet after which a UDP flow is a new one.
pub const UDP_IDLE_SECONDS: u32 = 180;
/// Seconds for which an unfinished handshake keeps its claim on a client port.
pub const EMBRYO_SECONDS: u32 = 10;
/// Nodes of all trees of picks together: room for every endpoint in two trees, and for the trees that these replace.
pub const PICK_NODES: usize = 524_288;
/// Prefixes that clients may come from, of all frontends of a family together.
pub const SOURCES: usize = 16_384;
