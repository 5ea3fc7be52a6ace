//! Counters, all in per-CPU arrays: `ROUTE_STATS`, `BACKEND_STATS`, `GATEWAY_STATS`, `VERDICT_STATS`.

use super::pod;

/// Value of `ROUTE_STATS` (by route index). `packets`/`bytes` count client → endpoint, `reply_*` the way
/// back; bytes are IP lengths; a GSO buffer counts as its segments.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RouteStats {
    /// Packets towards endpoints.
    pub packets: u64,
    /// IP bytes towards endpoints.
    pub bytes: u64,
    /// Connections (TCP: SYNs that chose a backend, retransmissions left out where known; UDP: first packets), and
    /// those of the node's own sockets, of which no packets are counted.
    pub new_flows: u64,
    /// Packets back.
    pub reply_packets: u64,
    /// IP bytes back.
    pub reply_bytes: u64,
}

/// Value of `BACKEND_STATS` (by backend id) and of `GATEWAY_STATS` (by gateway index; there the client leg of
/// connections that the agent answers).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TrafficStats {
    /// Packets towards the endpoint (or the agent).
    pub packets: u64,
    /// IP bytes towards it.
    pub bytes: u64,
    /// Packets back.
    pub reply_packets: u64,
    /// IP bytes back.
    pub reply_bytes: u64,
}

/// Value of `VERDICT_STATS` (by verdict number).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VerdictStats {
    /// Packets that ended in this verdict.
    pub packets: u64,
}

/// Value of `UPSTREAM_MARK`, the `sk_storage` of an upstream connection: whose packets these are.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UpstreamMark {
    /// Index in `ROUTE_STATS`.
    pub route: u32,
    /// Index in `BACKEND_STATS`.
    pub backend: u32,
}

const _: () = assert!(size_of::<RouteStats>() == 40);
const _: () = assert!(size_of::<TrafficStats>() == 32);
const _: () = assert!(size_of::<VerdictStats>() == 8);
const _: () = assert!(size_of::<UpstreamMark>() == 8);
pod!(RouteStats, TrafficStats, VerdictStats, UpstreamMark);
