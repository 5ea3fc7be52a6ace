//! Everything that is declared or observed at one moment: the input of [`resolve`](crate::resolve::resolve).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::RangeInclusive,
};

use ipnet::IpNet;

use crate::{
    discovery::Kept,
    gateway::Gateway,
    key::{GatewayKey, Protocol},
    plan::l4::Frontends,
    workload::Workload,
};

/// Ports that are given out to gateways which name none.
pub const PORTS: RangeInclusive<u16> = 40_000..=45_000;
/// The port that all gateways with virtual hosts share.
pub const SHARED_PORT: u16 = 80;
/// The one that those share whose clients speak TLS.
pub const SHARED_TLS_PORT: u16 = 443;

/// One moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Declared gateways, in the order declared.
    pub gateways: Vec<Gateway>,
    /// The declarations that are in force: what cannot be as it is declared now stays so. Of a gateway that was not
    /// in force there is none.
    pub in_force: Vec<Gateway>,
    /// Workloads, in any order.
    pub workloads: Vec<Workload>,
    /// What was recorded before.
    pub kept: Kept,
    /// Addresses that gateways answer on.
    pub addresses: Vec<IpAddr>,
    /// Ports that something else on this machine listens on.
    pub ports_in_use: BTreeSet<(Protocol, u16)>,
    /// Frontends by gateway, where [`Settings::given_frontends`] says that they count.
    pub frontends: BTreeMap<GatewayKey, Frontends>,
    /// The name of this node; workloads that say where they run are on it or not.
    pub node: Option<String>,
    /// Endpoint addresses that are reached through an uplink: on other nodes.
    pub through_uplink: BTreeSet<IpAddr>,
    /// What is known of external addresses.
    pub external: External,
    /// Seconds since 1970.
    pub now: u64,
    /// What does not change while an agent runs.
    pub settings: Settings,
}

/// What is known of external addresses, and which of them a policy allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// Addresses of host names, lower case.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Networks that routes may lead to although they are loopback, link-local or the node's own.
    pub allowed: Vec<IpNet>,
}

/// What does not change while an agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For how long a route without workload keeps its settings, in seconds.
    pub route_ttl: u64,
    /// Slots of a ring, a power of two.
    pub ring_size: u32,
    /// The same on all nodes that are to agree on rings.
    pub seed: u64,
    /// Whether frontends are given for each gateway, as Services of Kubernetes have them; else a gateway answers its
    /// port on every address.
    pub given_frontends: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { route_ttl: 3_600, ring_size: 4_096, seed: 0, given_frontends: false }
    }
}
