//! The kernel's side: the only folder that names a BPF map or a program.
//!
//! [`Dataplane`] is owned by one thread, which calls [`Dataplane::apply`] when the plan changes and
//! [`Dataplane::tick`] once a second. Maps and links are pinned: dropping it, or dying, leaves L4 in place, and
//! the next agent's [`Dataplane::open`] adopts it without missing a packet.

mod announce;
mod attach;
mod desired;
mod dump;
mod error;
mod expiry;
mod host;
mod ids;
mod load;
mod maps;
mod mark;
mod names;
mod netlink;
mod network;
pub mod object;
mod options;
mod ports;
mod reach;
pub mod report;
mod ring;
mod scan;
mod settle;
mod shadow;
mod slot;
mod sockets;
mod sources;
mod start;
mod stats;
#[expect(unsafe_code, reason = "bpf(2) and mmap(2)")]
mod sys;
mod uninstall;
mod write;

use std::{
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
};

use gateway_common::{abi::settings::Settings, limits::LISTENERS};
use gateway_model::{
    key::{EndpointKey, GatewayKey},
    plan::l4::L4Plan,
};

pub use attach::{Attachment, Ingress};
pub use dump::{BackendDump, Dump, FrontendDump, RingDump};
pub use error::Error;
pub use expiry::IdleTimes;
pub use host::{ensure_bpffs, ensure_cgroup2};
pub use options::Options;
pub use reach::Reach;
pub use shadow::Family;
pub use start::Loaded;
pub use stats::{EndpointTraffic, GatewayTraffic, RouteTraffic, Stats};
pub use uninstall::{Removed, uninstall};

use crate::proxy::mark::Mark;
use announce::Announcer;
use attach::{Links, devices::Devices};
use desired::Desired;
use load::{Pins, Programs};
use maps::Maps;
use mark::Marker;
use netlink::{Netlink, Watch};
use reach::ReachCache;
use scan::{Judge, Scan};
use shadow::Shadow;
use sockets::Sockets;
use write::{Writer, Written};

/// What [`Dataplane::apply`] did.
#[derive(Debug, Default)]
pub struct Applied {
    /// Backends written.
    pub backends: usize,
    /// Slots written.
    pub slots: usize,
    /// Frontends written or removed.
    pub frontends: usize,
    /// Endpoints of kernel gateways that cannot be reached in the kernel, and so get no connections.
    pub unreachable: Vec<(EndpointKey, Reach)>,
    /// Gateways that the kernel cannot hold as planned, and why; they stay as they were, all others are applied.
    pub rejected: Vec<(GatewayKey, Error)>,
}

/// What [`Dataplane::tick`] found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Interfaces, addresses or routes have changed: ask for [`Dataplane::interface_addresses`] again.
    pub network_changed: bool,
    /// Slots that settled.
    pub settled: usize,
    /// Flow entries removed.
    pub expired: usize,
    /// Ids freed.
    pub freed: usize,
}

/// Weir in the kernel.
#[derive(Debug)]
pub struct Dataplane {
    options: Options,
    pins: Pins,
    programs: Programs,
    ring_flags: u32,
    maps: Maps,
    links: Links,
    devices: Devices,
    netlink: Netlink,
    watch: Watch,
    reach: ReachCache,
    announcer: Announcer,
    shadow: Shadow,
    /// Where this node's own sockets are served.
    sockets: Option<Sockets>,
    settings: Settings,
    marker: Arc<Marker>,
    /// The last plan that was written; `None` until the first: what is adopted stays as it is.
    plan: Option<L4Plan>,
    desired: Desired,
    /// The maps hold what is desired, and nothing else.
    is_desired_in_force: bool,
    scan: Option<Scan>,
    scans: u64,
    scanned: u32,
    followed: u32,
    /// Interfaces, addresses or routes have changed, and not everything has followed.
    network_changed: bool,
}

impl Dataplane {
    /// Loads, adopts what is pinned, attaches: [`Loaded::load`] and [`Loaded::open`] in one.
    ///
    /// # Errors
    /// Those of both.
    pub fn open(options: Options) -> Result<Self, Error> {
        Loaded::load(options)?.open()
    }

    /// Makes the kernel hold `plan`; works out what changed since the last call and writes only what differs. Live connections stay where they are.
    ///
    /// # Errors
    /// The first write that failed. What was written before it is consistent; the next call goes on from there.
    pub fn apply(&mut self, plan: &L4Plan) -> Result<Applied, Error> {
        let now = self.seconds();
        let (reach, netlink) = (&mut self.reach, &mut self.netlink);
        let mut ask = |address: SocketAddr| reach.get(netlink, address.ip());
        // An error on the way leaves something half done: then, and at first, all is compared.
        let is_known = std::mem::take(&mut self.is_desired_in_force);
        if !is_known {
            self.desired = Desired::default();
        }
        let nothing = L4Plan::default();
        let previous = self.plan.as_ref().unwrap_or(&nothing);
        let mut touched = self.desired.update(plan, previous, &mut self.shadow, &mut ask)?;
        if !is_known {
            touched.add_all(&self.desired, &self.shadow);
        }
        self.marker.set_ids(self.desired.marks.clone());
        self.follow_devices()?;
        let writer = Writer {
            maps: &self.maps,
            pins: &self.pins,
            shadow: &mut self.shadow,
            sockets: self.sockets.as_mut(),
            ring_flags: self.ring_flags,
            now,
            scan: self.scans,
            written: Written::default(),
        };
        let written = writer.write(&self.desired, &touched)?;
        let (rejected, unreachable) = (touched.rejected, self.desired.unreachable());
        self.plan = Some(in_force(plan, self.plan.as_ref(), &rejected));
        self.is_desired_in_force = true;
        let Written { backends, slots, frontends } = written;
        Ok(Applied { backends, slots, frontends, unreachable, rejected })
    }

    /// Heartbeat and housekeeping; to be called each second. Attaches again what came back, settles slots, removes
    /// what is over from the flow tables, frees ids.
    ///
    /// # Errors
    /// The first step that failed; the next tick tries again.
    pub fn tick(&mut self) -> Result<Ticked, Error> {
        let now = self.seconds();
        self.settings.now = now;
        self.write_settings()?;
        let network_changed = self.follow_network(now)?;
        self.tell_link();
        let mut ticked = Ticked { network_changed, ..Ticked::default() };
        if let Some(sockets) = &mut self.sockets {
            sockets.cuts.make();
        }
        if self.scan.is_none()
            && now.saturating_sub(self.scanned) >= self.options.scan_interval.as_secs() as u32
        {
            self.scans += 1;
            self.scan = Some(Scan::begin(self.scans, now));
        }
        if let Some(mut scan) = self.scan.take() {
            if scan.step(
                &self.maps,
                &Judge::new(&self.shadow, &self.options.idle, now, self.settings.hash_seed),
            )? {
                self.scanned = now;
                self.finish_scan(&scan, now, &mut ticked)?;
            } else {
                self.scan = Some(scan);
            }
        }
        Ok(ticked)
    }

    /// All counters, of what the plan in force names.
    ///
    /// # Errors
    /// Where a map cannot be read.
    pub fn stats(&self) -> Result<Stats, Error> {
        stats::read(&self.maps, &self.shadow, self.plan.as_ref().unwrap_or(&L4Plan::default()))
    }

    /// What the kernel holds, and how it differs from the plan in force.
    ///
    /// # Errors
    /// Where a map cannot be read.
    pub fn dump(&self) -> Result<Dump, Error> {
        let mut dump = dump::read(&self.maps, &self.shadow, self.plan.as_ref(), &self.desired)?;
        if let Some(sockets) = self.sockets.as_ref().filter(|_| self.plan.is_some()) {
            dump.differences.extend(sockets.differences(&self.desired, &self.shadow));
        }
        Ok(dump)
    }

    /// Hands connections to the agent to these listening sockets, as many for each family; none: to nobody.
    ///
    /// # Errors
    /// More listeners than the map holds, a different number for each family, or a socket that does not listen.
    pub fn set_listeners<F: AsFd>(&mut self, v4: &[F], v6: &[F]) -> Result<(), Error> {
        if v4.len() > LISTENERS || v4.len() != v6.len() {
            return Err(Error::Full {
                what: "listeners, or not as many for each family",
                limit: LISTENERS as u32,
            });
        }
        for (first, sockets) in [(0, v4), (LISTENERS as u32, v6)] {
            for (index, socket) in (first..).zip(sockets) {
                self.maps.agent_sockets.set(index, socket.as_fd().as_raw_fd().cast_unsigned())?;
            }
        }
        self.settings.listeners = v4.len() as u32;
        self.write_settings()?;
        for index in v4.len()..LISTENERS {
            self.maps.agent_sockets.remove(index as u32);
            self.maps.agent_sockets.remove((LISTENERS + index) as u32);
        }
        Ok(())
    }

    /// Marks upstream sockets; follows each plan that is applied.
    pub fn marker(&self) -> Arc<dyn Mark> {
        Arc::clone(&self.marker) as Arc<dyn Mark>
    }

    /// What is attached to each uplink.
    pub fn attachments(&self) -> Vec<Attachment> {
        self.links.attachments()
    }

    /// The packet path's clock.
    fn seconds(&self) -> u32 {
        monotonic().saturating_sub(self.settings.paused)
    }

    /// From now on packets are asked whether they belong to a port of the node's; before that none does.
    fn give_out_ports(&mut self) -> Result<(), Error> {
        if self.settings.nat_ports != 0 {
            return Ok(());
        }
        let range = ports::range();
        self.settings.nat_first = u32::from(*range.start());
        self.settings.nat_ports = range.len() as u32;
        self.write_settings()
    }

    fn write_settings(&self) -> Result<(), Error> {
        self.maps.settings.set(&0, &self.settings).map_err(Error::map("SETTINGS", "write"))
    }
}

/// The plan with rejected gateways as they were before.
fn in_force(plan: &L4Plan, previous: Option<&L4Plan>, rejected: &[(GatewayKey, Error)]) -> L4Plan {
    let mut plan = plan.clone();
    for (key, _) in rejected {
        let old = previous.and_then(|previous| previous.gateways.get(key)).cloned();
        plan.gateways.remove(key);
        plan.gateways.extend(old.map(|old| (key.clone(), old)));
    }
    plan
}

/// Seconds of `CLOCK_MONOTONIC`.
fn monotonic() -> u32 {
    rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec.cast_unsigned() as u32
}
