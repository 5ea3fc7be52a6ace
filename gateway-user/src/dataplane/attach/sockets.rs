//! The hooks on sockets, on the root of the node's cgroups: the processes of pods inherit them.

use std::{
    fs,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::Path,
};

use super::{
    super::{
        error::Error,
        host,
        load::{Pins, SOCKET_HOOKS, SocketProgram},
    },
    target::{Target, remove_link},
};

/// Attaches them to `root`, or updates what an earlier agent attached there.
pub(super) fn attach(pins: &Pins, programs: &[SocketProgram], root: &Path) -> Result<Vec<OwnedFd>, Error> {
    host::check_cgroup2(root)?;
    let failed = |source| Error::Cgroup { path: root.to_owned(), source };
    let folder = fs::File::open(root).map_err(failed)?;
    let id = folder.metadata().map_err(failed)?.ino();
    let name = root.to_string_lossy();
    let target = Target { id, number: folder.as_raw_fd().cast_unsigned(), name: &name };
    programs.iter().map(|hook| target.link(pins, hook.pin, hook.attach, hook.program.as_fd())).collect()
}

/// Takes them off, where an earlier agent had attached them.
pub(super) fn detach(pins: &Pins) -> Result<(), Error> {
    SOCKET_HOOKS.iter().rev().try_for_each(|(_, pin, _)| remove_link(&pins.links.join(pin)))
}

/// Whether a pinned link is one of theirs.
pub(super) fn is_pin(name: &str) -> bool {
    SOCKET_HOOKS.iter().any(|(_, pin, _)| *pin == name)
}
