//! Starting: load while a predecessor may still be at work, then adopt and attach.

use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
};

use gateway_common::abi::settings::Settings;
use gateway_model::plan::l4::L4Plan;

use super::{
    Dataplane, Options,
    announce::Announcer,
    attach::{Links, devices::Devices},
    desired::Desired,
    error::Error,
    host,
    load::{self, Pins, Programs},
    maps::Maps,
    mark::Marker,
    monotonic,
    netlink::{Netlink, Watch},
    reach::ReachCache,
    shadow::Shadow,
    sockets::Sockets,
};

/// Maps and programs in the kernel, of which nothing is attached yet: another agent may still be at work on the
/// same pins.
#[derive(Debug)]
pub struct Loaded {
    pins: Pins,
    programs: Programs,
    ring_flags: u32,
}

impl Loaded {
    /// Loads and verifies the programs, which takes most of the time that a start takes; makes and pins the maps
    /// that are missing below `pin_dir`, such as `/sys/fs/bpf/weir`. Mounts a bpffs where that needs one. Writes
    /// nothing into maps that exist.
    ///
    /// # Errors
    /// Anything of the host that does not suffice, maps of another layout, a program that the kernel refuses.
    pub fn load(pin_dir: &Path) -> Result<Self, Error> {
        host::check()?;
        host::ensure_bpffs(pin_dir)?;
        let pins = Pins::new(pin_dir);
        let (programs, ring_flags) = load::load(&pins)?;
        Ok(Self { pins, programs, ring_flags })
    }

    /// Adopts what is pinned and attaches. From now on nobody else may write.
    ///
    /// # Errors
    /// An interface that does not exist, maps that cannot be read, a hook that is refused.
    pub fn open(self, options: Options) -> Result<Dataplane, Error> {
        let Self { pins, programs, ring_flags } = self;
        let mut netlink = look_up(&options.interfaces)?;
        let mut watch = Watch::open().map_err(Error::routing("watch interfaces and routes"))?;
        let interfaces = netlink.interface_names().map_err(Error::routing("list interfaces"))?;
        watch.set_links(interfaces.into_keys());
        if let Some(cgroup) = &options.cgroup {
            host::enter_cgroup(cgroup)?;
        }
        let maps = Maps::open(&pins.maps)?;
        let settings = start_settings(&maps, &options, monotonic())?;
        let now = settings.now;
        let shadow = Shadow::adopt(&maps, &pins, now)?;
        let rings = shadow.rings.values().map(|ring| ring.index).collect();
        let is_wanted = options.services_cgroup.is_some();
        let sockets = is_wanted.then(|| Sockets::open(&pins.maps, &rings)).transpose()?;
        let agent = options.cgroup.as_deref().map(host::cgroup_id).transpose()?.unwrap_or(0);
        maps.agent_cgroup.set(&0, &agent).map_err(Error::map("AGENT_CGROUP", "write"))?;
        let links = Links::open(
            &pins,
            &programs,
            &mut netlink,
            &options.interfaces,
            options.cgroup.as_deref(),
            options.services_cgroup.as_deref(),
        )?;
        let mut reach = ReachCache::default();
        let parents = netlink.vlan_parents().map_err(Error::routing("list interfaces"))?;
        reach.set_devices(links.indices().collect(), Some(parents));
        Ok(Dataplane {
            marker: Marker::new(&maps)?,
            options,
            pins,
            programs,
            ring_flags,
            maps,
            links,
            devices: Devices::default(),
            netlink,
            watch,
            reach,
            announcer: Announcer::default(),
            shadow,
            sockets,
            settings,
            asked: L4Plan::default(),
            plan: None,
            stale: BTreeSet::new(),
            rejected: BTreeSet::new(),
            desired: Desired::default(),
            is_desired_in_force: false,
            scan: None,
            scans: 0,
            scanned: now,
            unused_ports: HashSet::new(),
            followed: now,
            planned_devices: None,
            network_changed: false,
            are_links_new: false,
        })
    }
}

/// Makes sure that all of `interfaces` exist. The socket that was asked is good for more.
pub(super) fn look_up(interfaces: &[String]) -> Result<Netlink, Error> {
    let mut netlink = Netlink::open().map_err(Error::routing("open a netlink socket"))?;
    for name in interfaces {
        let index = netlink.interface_index(name).map_err(Error::routing(format!("look up {name}")))?;
        index.ok_or_else(|| Error::NoSuchInterface { name: name.clone() })?;
    }
    Ok(netlink)
}

/// The settings to start with. The seed stays while flows hashed by it may live, and the packet path's clock goes on
/// from where the last agent left it: nobody was there to note who was still talking.
fn start_settings(maps: &Maps, options: &Options, monotonic: u32) -> Result<Settings, Error> {
    let old = maps.settings.get(&0).map_err(Error::map("SETTINGS", "read"))?.unwrap_or_default();
    let fresh = old.now == 0;
    let random = || {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(monotonic) as u32
    };
    let paused = if fresh { 0 } else { monotonic.saturating_sub(old.now) };
    let settings = Settings {
        now: monotonic - paused,
        stale_after: options.stale_after.as_secs() as u32,
        hash_seed: if fresh { options.hash_seed.unwrap_or_else(random) } else { old.hash_seed },
        listeners: old.listeners,
        refusals: options.refusals_per_second,
        paused,
        nat_first: old.nat_first,
        nat_ports: old.nat_ports,
    };
    maps.settings.set(&0, &settings).map_err(Error::map("SETTINGS", "write"))?;
    Ok(settings)
}
