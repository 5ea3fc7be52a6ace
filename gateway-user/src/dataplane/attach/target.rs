//! Pinned links: made, or found and given a new program.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use super::super::{
    error::Error,
    load::Pins,
    sys::{
        self,
        link::{self, AttachType},
    },
};

/// Something to attach to: `id` as links report it, `number` as the kernel is told (index or descriptor).
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) id: u64,
    pub(super) number: u32,
    pub(super) name: &'a str,
}

impl Target<'_> {
    /// [`Self::try_link`] with an error for the user.
    pub(super) fn link(
        self,
        pins: &Pins,
        pin: &str,
        attach: AttachType,
        program: BorrowedFd<'_>,
    ) -> Result<OwnedFd, Error> {
        self.try_link(pins, pin, attach, program).map_err(|source| Error::Attach {
            hook: hook_name(attach),
            target: self.name.to_owned(),
            source,
        })
    }

    /// Updates the pinned link, where there is one to this target, else creates and pins one.
    pub(super) fn try_link(
        self,
        pins: &Pins,
        pin: &str,
        attach: AttachType,
        program: BorrowedFd<'_>,
    ) -> io::Result<OwnedFd> {
        let path = pins.links.join(pin);
        if let Ok(link) = sys::open_pin(&path) {
            let info = link::describe(link.as_fd())?;
            if info.target_id(attach) == self.id {
                link::update(link.as_fd(), program)?;
                return Ok(link);
            }
            fs::remove_file(&path)?;
        }
        let link = link::create(program, self.number, attach)?;
        sys::pin(link.as_fd(), &path)?;
        Ok(link)
    }
}

fn hook_name(attach: AttachType) -> &'static str {
    match attach {
        AttachType::CgroupIngress => "cgroup ingress",
        AttachType::CgroupEgress => "cgroup egress",
        AttachType::Connect4 | AttachType::Connect6 => "connect",
        AttachType::SendMsg4 | AttachType::SendMsg6 => "sendmsg",
        AttachType::RecvMsg4 | AttachType::RecvMsg6 => "recvmsg",
        AttachType::GetPeerName4 | AttachType::GetPeerName6 => "getpeername",
        AttachType::SkLookup => "sk_lookup",
        AttachType::Xdp => "XDP",
        AttachType::TcxIngress => "tcx ingress",
        AttachType::TcxEgress => "tcx egress",
    }
}

/// Pins cannot have dots in their names; interfaces can.
pub(super) fn pin_name(hook: &str, interface: &str) -> String {
    format!("{hook}-{}", interface.replace('%', "%25").replace('.', "%2E"))
}

/// Paths of all pinned links.
pub(in super::super) fn pinned(pins: &Pins) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(&pins.links) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => {
            let entries = entries.map_err(Error::pin("list", &pins.links))?;
            Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        }
    }
}

/// Detaches a pinned link at once, also where a process still holds it, and removes its pin.
pub(in super::super) fn remove_link(path: &Path) -> Result<(), Error> {
    let Ok(link) = sys::open_pin(path) else { return Ok(()) };
    // A link that has lost its target is detached already, and says so by an error.
    drop(link::detach(link.as_fd()));
    fs::remove_file(path).map_err(Error::pin("remove", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_with_dots_get_pins_without() {
        assert_eq!(pin_name("xdp", "eth0.100"), "xdp-eth0%2E100");
        assert_ne!(pin_name("xdp", "eth0.1"), pin_name("xdp", "eth0%2E1"));
    }
}
