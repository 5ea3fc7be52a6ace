//! The maps by name, typed. What they hold is said in `gateway_common::abi`.

use std::path::Path;

use aya::Pod;
use gateway_common::abi::{
    announce::UplinkMac,
    backend::Backend,
    flow::{Flow, FlowKey, Nat, NatKey, Outgoing, Reply, ReplyKey},
    frontend::{Frontend, FrontendKey4, FrontendKey6, SourceKey4, SourceKey6},
    names::RouteNames,
    settings::Settings,
    stats::{RouteStats, TrafficStats, UpstreamMark, VerdictStats},
};

use super::{
    error::Error,
    sys::{self, table::Table},
};

/// Flow maps of one address family: by client and frontend, by client and pod, by pod and node.
#[derive(Debug)]
pub(super) struct FlowMaps<A> {
    pub(super) flows: Table<FlowKey<A>, Flow>,
    pub(super) embryo: Table<FlowKey<A>, Flow>,
    pub(super) old: Table<FlowKey<A>, Flow>,
    pub(super) udp_flows: Table<FlowKey<A>, Flow>,
    pub(super) replies: Table<ReplyKey<A>, Reply<A>>,
    pub(super) reply_embryo: Table<ReplyKey<A>, Reply<A>>,
    pub(super) udp_replies: Table<ReplyKey<A>, Reply<A>>,
    pub(super) nat: Table<NatKey<A>, Nat<A>>,
    pub(super) nat_embryo: Table<NatKey<A>, Nat<A>>,
    pub(super) udp_nat: Table<NatKey<A>, Nat<A>>,
    pub(super) outgoing: Table<FlowKey<A>, Outgoing>,
    pub(super) udp_outgoing: Table<FlowKey<A>, Outgoing>,
}

/// Every map that user space reads or writes; rings are handled one by one (`ring`).
#[derive(Debug)]
pub(super) struct Maps {
    pub(super) settings: Table<u32, Settings>,
    pub(super) frontends4: Table<FrontendKey4, Frontend>,
    pub(super) frontends6: Table<FrontendKey6, Frontend>,
    pub(super) sources4: Table<SourceKey4, u32>,
    pub(super) sources6: Table<SourceKey6, u32>,
    /// Values are descriptors on writing, ids on reading.
    pub(super) rings: Table<u32, u32>,
    pub(super) backends: Table<u32, Backend>,
    pub(super) pod_devices: Table<u32, u32>,
    pub(super) announced4: Table<[u8; 4], u32>,
    pub(super) announced6: Table<[u8; 16], u32>,
    pub(super) uplink_macs: Table<u32, UplinkMac>,
    pub(super) names: Table<u32, RouteNames>,
    pub(super) flows4: FlowMaps<[u8; 4]>,
    pub(super) flows6: FlowMaps<[u8; 16]>,
    pub(super) route_stats: Table<u32, RouteStats>,
    pub(super) backend_stats: Table<u32, TrafficStats>,
    pub(super) gateway_stats: Table<u32, TrafficStats>,
    pub(super) verdict_stats: Table<u32, VerdictStats>,
    /// Keys and values are descriptors of sockets on writing.
    pub(super) agent_sockets: AgentSockets,
    pub(super) upstream_mark: Table<u32, UpstreamMark>,
    /// Id of the agent's own cgroup.
    pub(super) agent_cgroup: Table<u32, u64>,
}

/// `AGENT_SOCKETS`: a socket map's values may be 4 or 8 bytes wide.
#[derive(Debug)]
pub(super) enum AgentSockets {
    /// 4 bytes.
    Narrow(Table<u32, u32>),
    /// 8 bytes.
    Wide(Table<u32, u64>),
}

impl Maps {
    /// Opens all of them by their pins in `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        Ok(Self {
            settings: open(folder, "SETTINGS")?,
            frontends4: open(folder, "FRONTENDS4")?,
            frontends6: open(folder, "FRONTENDS6")?,
            sources4: open(folder, "SOURCES4")?,
            sources6: open(folder, "SOURCES6")?,
            rings: open(folder, "RINGS")?,
            backends: open(folder, "BACKENDS")?,
            pod_devices: open(folder, "POD_DEVICES")?,
            announced4: open(folder, "ANNOUNCED4")?,
            announced6: open(folder, "ANNOUNCED6")?,
            uplink_macs: open(folder, "UPLINK_MACS")?,
            names: open(folder, "ROUTE_NAMES")?,
            flows4: FlowMaps::open(folder, "4")?,
            flows6: FlowMaps::open(folder, "6")?,
            route_stats: open(folder, "ROUTE_STATS")?,
            backend_stats: open(folder, "BACKEND_STATS")?,
            gateway_stats: open(folder, "GATEWAY_STATS")?,
            verdict_stats: open(folder, "VERDICT_STATS")?,
            agent_sockets: AgentSockets::open(folder)?,
            upstream_mark: open(folder, "UPSTREAM_MARK")?,
            agent_cgroup: open(folder, "AGENT_CGROUP")?,
        })
    }
}

impl<A> FlowMaps<A>
where
    FlowKey<A>: Pod,
    ReplyKey<A>: Pod,
    Reply<A>: Pod,
    NatKey<A>: Pod,
    Nat<A>: Pod,
{
    fn open(folder: &Path, family: &str) -> Result<Self, Error> {
        let name = |base: &str| format!("{base}{family}");
        Ok(Self {
            flows: open(folder, &name("FLOWS"))?,
            embryo: open(folder, &name("EMBRYO"))?,
            old: open(folder, &name("OLD"))?,
            udp_flows: open(folder, &name("UDP_FLOWS"))?,
            replies: open(folder, &name("REPLIES"))?,
            reply_embryo: open(folder, &name("REPLY_EMBRYO"))?,
            udp_replies: open(folder, &name("UDP_REPLIES"))?,
            nat: open(folder, &name("NAT"))?,
            nat_embryo: open(folder, &name("NAT_EMBRYO"))?,
            udp_nat: open(folder, &name("UDP_NAT"))?,
            outgoing: open(folder, &name("OUTGOING"))?,
            udp_outgoing: open(folder, &name("UDP_OUTGOING"))?,
        })
    }
}

impl AgentSockets {
    fn open(folder: &Path) -> Result<Self, Error> {
        open(folder, "AGENT_SOCKETS")
            .map(Self::Wide)
            .or_else(|_| open(folder, "AGENT_SOCKETS").map(Self::Narrow))
    }

    /// Puts the socket with this descriptor at `index`.
    pub(super) fn set(&self, index: u32, socket: u32) -> Result<(), Error> {
        match self {
            Self::Narrow(table) => table.set(&index, &socket),
            Self::Wide(table) => table.set(&index, &u64::from(socket)),
        }
        .map_err(Error::map("AGENT_SOCKETS", "write"))
    }

    /// Empties `index`.
    pub(super) fn remove(&self, index: u32) {
        // A socket that closed has left the map by itself, which socket maps report as EINVAL or ENOENT.
        drop(match self {
            Self::Narrow(table) => table.remove(&index),
            Self::Wide(table) => table.remove(&index),
        });
    }
}

fn open<K: Pod, V: Pod>(folder: &Path, name: &str) -> Result<Table<K, V>, Error> {
    let path = folder.join(name);
    let fd = sys::open_pin(&path).map_err(Error::pin("open", &path))?;
    let table = Table::new(fd).map_err(Error::pin("inspect", &path))?;
    table.ok_or(Error::MapLayout { path })
}
