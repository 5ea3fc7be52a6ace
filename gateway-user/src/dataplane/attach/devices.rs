//! tcx on devices other than uplinks: those of this node's pods, and those that lead to pods of other nodes. They come
//! and go with pods and routes.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use super::{
    super::{
        error::Error,
        load::{Pins, Programs},
        maps::Maps,
        netlink::Netlink,
        sys::link::{self, AttachType},
    },
    target::{Target, pin_name, pinned, remove_link},
};

const INGRESS: &str = "dev-in";
const EGRESS: &str = "dev-out";

/// What a device leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Role {
    /// Pods of this node.
    Pods,
    /// Pods of other nodes: an overlay.
    Nodes,
}

/// Devices by index, and what each leads to.
pub(in super::super) type Wanted = BTreeMap<u32, Role>;

/// The devices that have our programs.
#[derive(Debug, Default)]
pub(in super::super) struct Devices {
    attached: BTreeMap<u32, Device>,
    /// What an earlier agent left has been taken over or removed.
    is_tidy: bool,
}

#[derive(Debug)]
struct Device {
    name: String,
    role: Role,
    links: [OwnedFd; 2],
}

impl Devices {
    /// Attaches to what is wanted and takes our programs off everything else; where `verify` says so, devices that have
    /// them are looked at, too. A device that refuses, or goes away
    /// meanwhile, keeps no other waiting: it is tried again with the next change.
    ///
    /// # Errors
    /// Where netlink, the map or the pins do not answer.
    pub(in super::super) fn follow(
        &mut self,
        pins: &Pins,
        programs: &Programs,
        maps: &Maps,
        netlink: &mut Netlink,
        wanted: &Wanted,
        verify: bool,
    ) -> Result<(), Error> {
        let is_right = |(index, device): (&u32, &Device)| {
            wanted.get(index) == Some(&device.role) && (!verify || device.is_attached(*index))
        };
        if self.is_tidy && self.attached.len() == wanted.len() && self.attached.iter().all(is_right) {
            return Ok(());
        }
        let gone: Vec<u32> =
            self.attached.iter().filter(|device| !is_right(*device)).map(|(index, _)| *index).collect();
        for index in gone {
            self.detach(pins, maps, index)?;
        }
        let names = netlink.interface_names().map_err(Error::routing("list interfaces"))?;
        for (&index, &role) in wanted {
            let Some(name) = names.get(&index).filter(|_| !self.attached.contains_key(&index)) else {
                continue;
            };
            match Device::attach(pins, programs, maps, index, name, role) {
                Ok(device) => drop(self.attached.insert(index, device)),
                Err(error) => tracing::warn!(device = name, %error, "device not attached"),
            }
        }
        if !self.is_tidy {
            self.tidy(pins, maps)?;
        }
        Ok(())
    }

    fn detach(&mut self, pins: &Pins, maps: &Maps, index: u32) -> Result<(), Error> {
        if let Some(device) = self.attached.remove(&index) {
            for hook in [INGRESS, EGRESS] {
                remove_link(&pins.links.join(pin_name(hook, &device.name)))?;
            }
            forget(maps, index)?;
        }
        Ok(())
    }

    /// Removes what an earlier agent attached and is not wanted any more.
    fn tidy(&mut self, pins: &Pins, maps: &Maps) -> Result<(), Error> {
        let kept: Vec<PathBuf> = self
            .attached
            .values()
            .flat_map(|device| [INGRESS, EGRESS].map(|hook| pins.links.join(pin_name(hook, &device.name))))
            .collect();
        for path in pinned(pins)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if is_pin(&name) && !kept.contains(&path) {
                remove_link(&path)?;
            }
        }
        let listed = maps.pod_devices.entries(u32::MAX).map_err(Error::map("POD_DEVICES", "read"))?;
        for (index, _) in listed {
            if self.attached.get(&index).is_none_or(|device| device.role != Role::Pods) {
                forget(maps, index)?;
            }
        }
        self.is_tidy = true;
        Ok(())
    }
}

impl Device {
    fn attach(
        pins: &Pins,
        programs: &Programs,
        maps: &Maps,
        index: u32,
        name: &str,
        role: Role,
    ) -> Result<Self, Error> {
        let out = match role {
            Role::Pods => programs.pod_out.as_fd(),
            Role::Nodes => programs.tcx_out.as_fd(),
        };
        let target = Target { id: u64::from(index), number: index, name };
        let egress = target.link(pins, &pin_name(EGRESS, name), AttachType::TcxEgress, out)?;
        // Before its first packet comes in.
        if role == Role::Pods {
            maps.pod_devices.set(&index, &1).map_err(Error::map("POD_DEVICES", "write"))?;
        }
        let ingress =
            target.link(pins, &pin_name(INGRESS, name), AttachType::TcxIngress, programs.tcx_in.as_fd())?;
        Ok(Self { name: name.to_owned(), role, links: [ingress, egress] })
    }

    fn is_attached(&self, index: u32) -> bool {
        self.links.iter().all(|link| link::describe(link.as_fd()).is_ok_and(|info| info.target == index))
    }
}

/// Whether a pin of this name is a device's.
pub(super) fn is_pin(name: &str) -> bool {
    [INGRESS, EGRESS].iter().any(|hook| name.strip_prefix(hook).is_some_and(|rest| rest.starts_with('-')))
}

fn forget(maps: &Maps, index: u32) -> Result<(), Error> {
    maps.pod_devices.remove(&index).map(drop).map_err(Error::map("POD_DEVICES", "write"))
}
