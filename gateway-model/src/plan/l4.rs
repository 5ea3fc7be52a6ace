//! What the kernel is to do: frontends, and per gateway a ring for each address family.

mod slots;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use ipnet::IpNet;

use crate::key::{GatewayKey, Protocol, RouteName};

pub use slots::Slots;

/// Everything that the kernel maps are to hold. What two plans have in common is shared by `Arc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L4Plan {
    /// By gateway.
    pub gateways: BTreeMap<GatewayKey, Arc<L4Gateway>>,
}

/// One gateway in the kernel. Its routes and endpoints are listed even where the proxy picks them: the kernel
/// counts packets for them as well, and needs their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L4Gateway {
    /// Addresses, ports and protocols that it answers on; empty for one that is reached by host name only.
    pub frontends: BTreeMap<Frontend, Access>,
    /// Who gets new connections.
    pub target: Target,
    /// Routes by name, with every endpoint that still exists (ready or not, weight 0 or not).
    pub routes: BTreeMap<RouteName, L4Route>,
    /// Ring for IPv4 frontends.
    pub ring4: Ring,
    /// Ring for IPv6 frontends.
    pub ring6: Ring,
    /// Rings of the endpoints on this node, where a frontend asks for them.
    pub local: Option<LocalRings>,
}

/// Rings of the endpoints on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRings {
    /// Ring for IPv4 frontends.
    pub ring4: Ring,
    /// Ring for IPv6 frontends.
    pub ring6: Ring,
}

/// Frontends of one gateway, and who may come in through each and go where.
pub type Frontends = BTreeMap<Frontend, Access>;

/// Who may come in through a frontend, and where they may go. The default: anybody, anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Only to endpoints on this node; where there are none, packets are dropped (`externalTrafficPolicy: Local`,
    /// `internalTrafficPolicy: Local`).
    pub local_only: bool,
    /// Connections of one client address go to one endpoint (`sessionAffinity: ClientIP`).
    pub by_client: bool,
    /// Where clients may come from; empty: anywhere (`loadBalancerSourceRanges`).
    pub sources: Vec<IpNet>,
    /// The address is the node's own, so that outgoing connections may have this port as their source.
    pub is_node_address: bool,
}

/// Address, port and protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frontend {
    /// Address and port.
    pub address: SocketAddr,
    /// Protocol.
    pub protocol: Protocol,
}

/// Who gets new connections to a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The ring's endpoints; a slot without one refuses.
    Ring,
    /// The agent's L7 listeners: every slot is the pseudo-backend AGENT.
    Agent,
}

/// A route in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L4Route {
    /// Endpoints that exist. One that is missing here is *dead*: its connections get a RST. One that is not in
    /// the ring (not ready, weight 0) only gets no new connections.
    pub endpoints: BTreeSet<SocketAddr>,
}

/// Which endpoint each slot's new connections go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The endpoints that slots refer to, with their routes.
    pub members: Arc<[(RouteName, SocketAddr)]>,
    /// Per slot an index into `members`, or [`Slots::NOBODY`]. The length is a power of two.
    pub slots: Slots,
}

impl Ring {
    /// Most members.
    pub const MEMBERS: usize = Slots::NOBODY as usize;

    /// A ring of which every slot refuses.
    pub fn nobody(size: u32) -> Self {
        Self { members: Arc::new([]), slots: vec![Slots::NOBODY; size as usize].into() }
    }

    /// The endpoint of a slot, with its route.
    pub fn endpoint(&self, slot: usize) -> Option<&(RouteName, SocketAddr)> {
        self.members.get(usize::from(self.slots.get(slot)?))
    }

    /// How many slots each route has; routes without any are left out.
    pub fn shares(&self) -> BTreeMap<&RouteName, u32> {
        let mut counts = vec![0_u32; self.members.len()];
        for slot in self.slots.iter().filter(|slot| *slot != Slots::NOBODY) {
            counts[usize::from(slot)] += 1;
        }
        let mut shares = BTreeMap::new();
        for ((route, _), count) in self.members.iter().zip(counts) {
            *shares.entry(route).or_default() += count;
        }
        shares
    }
}
