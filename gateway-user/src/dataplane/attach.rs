//! Where the programs hang: uplinks (XDP or tcx ingress, and tcx egress), the network namespace, the cgroup.
//!
//! Links are pinned, so that they outlive the agent; a new agent updates the program behind each link, which
//! misses no packet. A foreign XDP program is never replaced: the uplink then gets the tcx build, and says why.

pub(super) mod devices;
mod sockets;
mod target;

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    error::Error,
    load::{Pins, Programs},
    netlink::Netlink,
    sys::{
        self,
        link::{self, AttachType},
    },
};

use target::{Target, pin_name};
pub(super) use target::{pinned, remove_link};

const NAMESPACE: &str = "/proc/thread-self/ns/net";
const LOOKUP: &str = "sk_lookup";
/// Pin of the ingress link of the agent's cgroup.
pub(super) const CGROUP_IN: &str = "cgroup-in";
const CGROUP_OUT: &str = "cgroup-out";

/// How packets from an uplink reach the packet path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ingress {
    /// XDP, run by the driver.
    Xdp,
    /// tcx ingress, after the kernel has made a buffer of the packet.
    Tcx,
    /// Not at all: the interface is away.
    Absent,
}

/// What is attached to one uplink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// The interface, as the user named it.
    pub interface: String,
    /// Its index; `None` while it is away.
    pub index: Option<u32>,
    /// How packets come in.
    pub ingress: Ingress,
    /// Why it is not XDP, in words for the user.
    pub reason: Option<String>,
    /// Programs of others that see replies before ours does; 0: ours is the first.
    pub egress_position: usize,
}

/// All links of this agent.
#[derive(Debug)]
pub(super) struct Links {
    uplinks: Vec<Uplink>,
    /// Keeps the namespace's and the cgroup's links open.
    _fixed: Vec<OwnedFd>,
}

#[derive(Debug)]
struct Uplink {
    state: Attachment,
    links: Vec<OwnedFd>,
}

impl Links {
    /// Attaches everything, or takes over what an earlier agent attached.
    ///
    /// # Errors
    /// An interface that does not exist; a hook that the kernel refuses.
    pub(super) fn open(
        pins: &Pins,
        programs: &Programs,
        netlink: &mut Netlink,
        interfaces: &[String],
        cgroup: Option<&Path>,
        services: Option<&Path>,
    ) -> Result<Self, Error> {
        let namespace = open_namespace()?;
        forget_other_namespace(pins, namespace.1)?;
        let mut found = Vec::new();
        for name in interfaces {
            let index = netlink.interface_index(name).map_err(Error::routing(format!("look up {name}")))?;
            found.push((name, index.ok_or_else(|| Error::NoSuchInterface { name: name.clone() })?));
        }
        let mut fixed = Vec::new();
        let target = Target {
            id: namespace.1,
            number: namespace.0.as_raw_fd().cast_unsigned(),
            name: "the network namespace",
        };
        fixed.push(target.link(pins, LOOKUP, AttachType::SkLookup, programs.lookup.as_fd())?);
        if let Some(path) = cgroup {
            fixed.extend(attach_cgroup(pins, programs, path)?);
        }
        let mut uplinks = Vec::new();
        for (name, index) in found {
            uplinks.push(Uplink::attach(pins, programs, name, index)?);
        }
        match services {
            Some(root) => fixed.extend(sockets::attach(pins, &programs.sockets, root)?),
            None => sockets::detach(pins)?,
        }
        forget_other_interfaces(pins, interfaces)?;
        Ok(Self { uplinks, _fixed: fixed })
    }

    /// Attaches again what has come back or was detached, and notes what has gone.
    pub(super) fn follow(
        &mut self,
        pins: &Pins,
        programs: &Programs,
        netlink: &mut Netlink,
    ) -> Result<(), Error> {
        for uplink in &mut self.uplinks {
            let name = uplink.state.interface.clone();
            let index = netlink.interface_index(&name).map_err(Error::routing(format!("look up {name}")))?;
            match index {
                None if uplink.state.index.is_some() => {
                    tracing::warn!(interface = name, "interface has gone");
                    *uplink = Uplink::absent(&name, "the interface is away".to_owned());
                }
                Some(index) if uplink.state.index != Some(index) || !uplink.is_attached(index) => {
                    *uplink = Uplink::attach_again(pins, programs, &name, index);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What is attached to each uplink.
    pub(super) fn attachments(&self) -> Vec<Attachment> {
        self.uplinks.iter().map(|uplink| uplink.state.clone()).collect()
    }

    /// Indices of the uplinks that are there.
    pub(super) fn indices(&self) -> impl Iterator<Item = u32> {
        self.uplinks.iter().filter_map(|uplink| uplink.state.index)
    }
}

impl Uplink {
    fn absent(name: &str, reason: String) -> Self {
        let state = Attachment {
            interface: name.to_owned(),
            index: None,
            ingress: Ingress::Absent,
            reason: Some(reason),
            egress_position: 0,
        };
        Self { state, links: Vec::new() }
    }

    /// An interface that refuses does not keep the others waiting: it is tried again.
    fn attach_again(pins: &Pins, programs: &Programs, name: &str, index: u32) -> Self {
        match Self::attach(pins, programs, name, index) {
            Ok(uplink) => {
                tracing::info!(interface = name, index, "interface attached again");
                uplink
            }
            Err(error) => {
                tracing::warn!(interface = name, %error, "interface not attached");
                Self::absent(name, error.to_string())
            }
        }
    }

    /// XDP, else tcx ingress with the reason; tcx egress in any case.
    fn attach(pins: &Pins, programs: &Programs, name: &str, index: u32) -> Result<Self, Error> {
        let target = Target { id: u64::from(index), number: index, name };
        let egress =
            target.link(pins, &pin_name("tcx-out", name), AttachType::TcxEgress, programs.tcx_out.as_fd())?;
        let (xdp_pin, tcx_pin) = (pin_name("xdp", name), pin_name("tcx-in", name));
        let (ingress, reason, link) =
            match target.try_link(pins, &xdp_pin, AttachType::Xdp, programs.xdp.as_fd()) {
                Ok(link) => {
                    // What an earlier agent could not get, this one did: its substitute goes.
                    remove_link(&pins.links.join(&tcx_pin))?;
                    (Ingress::Xdp, None, link)
                }
                Err(error) => {
                    let reason = explain_xdp(name, &error);
                    tracing::warn!(interface = name, reason, "no native XDP, using tcx");
                    let program = programs.tcx_in.as_fd();
                    let link = target.link(pins, &tcx_pin, AttachType::TcxIngress, program)?;
                    (Ingress::Tcx, Some(reason), link)
                }
            };
        let egress_position = position(index, programs.tcx_out.as_fd());
        let state =
            Attachment { interface: name.to_owned(), index: Some(index), ingress, reason, egress_position };
        Ok(Self { state, links: vec![link, egress] })
    }

    fn is_attached(&self, index: u32) -> bool {
        self.links.iter().all(|link| link::describe(link.as_fd()).is_ok_and(|info| info.target == index))
    }
}

fn explain_xdp(name: &str, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) => {
            format!("another XDP program is attached to {name}, and Weir never replaces one")
        }
        Some(libc::EOPNOTSUPP) => format!("the driver of {name} has no native XDP"),
        Some(libc::ERANGE) => format!("the MTU of {name} is too large for XDP in its driver"),
        _ => format!("the kernel refuses XDP on {name}: {error}"),
    }
}

fn position(index: u32, program: BorrowedFd<'_>) -> usize {
    let find = || {
        let ours = sys::program_id(program).ok()?;
        let chain = link::chain(index, AttachType::TcxEgress).ok()?;
        chain.iter().position(|id| *id == ours)
    };
    find().unwrap_or(0)
}

/// The network namespace of this thread, and its inode number.
fn open_namespace() -> Result<(fs::File, u64), Error> {
    let open = || {
        let file = fs::File::open(NAMESPACE)?;
        let inode = file.metadata()?.ino();
        Ok((file, inode))
    };
    open().map_err(|source| Error::Attach {
        hook: "sk_lookup",
        target: "the network namespace".to_owned(),
        source,
    })
}

fn attach_cgroup(pins: &Pins, programs: &Programs, path: &Path) -> Result<[OwnedFd; 2], Error> {
    let failed = |source| Error::Cgroup { path: path.to_owned(), source };
    let folder = fs::File::open(path).map_err(failed)?;
    let id = folder.metadata().map_err(failed)?.ino();
    let name = path.to_string_lossy();
    let target = Target { id, number: folder.as_raw_fd().cast_unsigned(), name: &name };
    Ok([
        target.link(pins, CGROUP_IN, AttachType::CgroupIngress, programs.cgroup_in.as_fd())?,
        target.link(pins, CGROUP_OUT, AttachType::CgroupEgress, programs.cgroup_out.as_fd())?,
    ])
}

/// Links made in another network namespace hang on other interfaces, though indices may be equal.
fn forget_other_namespace(pins: &Pins, inode: u64) -> Result<(), Error> {
    let Ok(link) = sys::open_pin(&pins.links.join(LOOKUP)) else { return Ok(()) };
    let info = link::describe(link.as_fd()).map_err(Error::pin("inspect", pins.links.join(LOOKUP)))?;
    if info.target_id(AttachType::SkLookup) == inode {
        return Ok(());
    }
    tracing::warn!("the pinned links belong to another network namespace: attaching anew");
    pinned(pins)?.iter().try_for_each(|path| remove_link(path))
}

/// Interfaces that this agent is not to serve, though the last one did.
fn forget_other_interfaces(pins: &Pins, interfaces: &[String]) -> Result<(), Error> {
    let kept = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        [LOOKUP, CGROUP_IN, CGROUP_OUT].contains(&&*name)
            || sockets::is_pin(&name)
            || devices::is_pin(&name)
            || interfaces.iter().any(|interface| {
                ["xdp", "tcx-in", "tcx-out"].iter().any(|hook| pin_name(hook, interface) == name)
            })
    };
    pinned(pins)?.iter().filter(|path| !kept(path)).try_for_each(|path| remove_link(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_program_is_named_as_the_reason() {
        let busy = io::Error::from_raw_os_error(libc::EBUSY);
        assert!(explain_xdp("eth0", &busy).contains("never replaces"));
    }
}
