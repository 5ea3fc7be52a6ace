//! The kernel's side: the only folder that names a BPF map or a program.
//!
//! Whoever owns a [`Dataplane`] calls [`Dataplane::apply`] when the plan changes and [`Dataplane::tick`] once a
//! second. Maps and links are pinned: dropping it, or dying, leaves L4 in place, and
//! the next agent's [`Dataplane::open`] adopts it without missing a packet.

mod announce;
mod apply;
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
    collections::{BTreeSet, HashSet},
    mem,
    os::fd::{AsFd, AsRawFd},
    path::Path,
    sync::Arc,
};

use gateway_common::{abi::settings::Settings, limits::LISTENERS};
use gateway_model::{key::GatewayKey, plan::l4::L4Plan};

pub use apply::{Applied, Changes};
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

/// Entries of flow tables that one tick looks at: some ten milliseconds of work.
const BUDGET: usize = 131_072;

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
    /// What was asked for last.
    asked: L4Plan,
    /// The last plan that was written; `None` until the first: what is adopted stays as it is.
    plan: Option<L4Plan>,
    /// Gateways that may not be in force as they are asked for, or as routing has it.
    stale: BTreeSet<GatewayKey>,
    /// Gateways that the kernel has no room for.
    rejected: BTreeSet<GatewayKey>,
    desired: Desired,
    /// The maps hold what is desired, and nothing else.
    is_desired_in_force: bool,
    scan: Option<Scan>,
    scans: u64,
    scanned: u32,
    /// Ports of the node's that the last scan found unused, as it keeps them.
    unused_ports: HashSet<u64>,
    followed: u32,
    /// Devices towards other nodes' pods that were seen to last.
    planned_devices: Option<BTreeSet<u32>>,
    /// Interfaces, addresses or routes have changed, and not everything has followed.
    network_changed: bool,
    /// Interfaces have, and are not listed anew.
    are_links_new: bool,
}

impl Dataplane {
    /// Loads, adopts what is pinned, attaches: [`Loaded::load`] and [`Loaded::open`] in one. Nothing is touched
    /// where an interface does not exist.
    ///
    /// # Errors
    /// Those of both.
    pub fn open(pin_dir: &Path, options: Options) -> Result<Self, Error> {
        start::look_up(&options.interfaces)?;
        Loaded::load(pin_dir)?.open(options)
    }

    /// Heartbeat and housekeeping; to be called each second. Attaches again what came back, settles slots, removes
    /// what is over from the flow tables, frees ids.
    ///
    /// # Errors
    /// The first step that failed; the next tick tries again.
    pub fn tick(&mut self) -> Result<Ticked, Error> {
        let mut ticked = self.beat()?;
        let mut left = BUDGET;
        while left > 0 && self.is_at_work() {
            left = left.saturating_sub(self.work(&mut ticked)?);
        }
        Ok(ticked)
    }

    /// What of a tick cannot wait. The rest is for [`Self::work`], as long as [`Self::is_at_work`].
    ///
    /// # Errors
    /// The first step that failed; the next tick tries again.
    pub fn beat(&mut self) -> Result<Ticked, Error> {
        let now = self.seconds();
        self.settings.now = now;
        self.write_settings()?;
        let network_changed = self.follow_network(now)?;
        self.tell_link();
        if let Some(sockets) = &mut self.sockets {
            sockets.cuts.make();
        }
        if self.scan.is_none()
            && now.saturating_sub(self.scanned) >= self.options.scan_interval.as_secs() as u32
        {
            self.scans += 1;
            self.scan = Some(Scan::begin(self.scans, now, mem::take(&mut self.unused_ports)));
        }
        Ok(Ticked { network_changed, ..Ticked::default() })
    }

    /// Whether there is housekeeping left to do.
    pub fn is_at_work(&self) -> bool {
        self.scan.is_some() || self.reach.has_doubts()
    }

    /// Does a piece of what is left, about a millisecond of it, and adds to `ticked` what came of it; how much it was,
    /// in entries of flow tables.
    ///
    /// # Errors
    /// The step that failed; it is tried again.
    pub fn work(&mut self, ticked: &mut Ticked) -> Result<usize, Error> {
        if self.reach.has_doubts() {
            self.look_at_routes()?;
            return Ok(scan::BATCH as usize);
        }
        let Some(mut scan) = self.scan.take() else { return Ok(0) };
        let now = self.settings.now;
        let judge = Judge::new(&self.shadow, &self.options.idle, now, self.settings.hash_seed);
        let (seen, is_done) = scan.step(&self.maps, &judge)?;
        if is_done {
            self.scanned = now;
            self.unused_ports = scan.take_unused();
            self.finish_scan(&scan, now, ticked)?;
        } else {
            self.scan = Some(scan);
        }
        // Going on in an empty table costs a walk over its buckets, too.
        Ok(seen.max(scan::BATCH as usize))
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

/// Seconds of `CLOCK_MONOTONIC`.
fn monotonic() -> u32 {
    rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec.cast_unsigned() as u32
}
