//! What can go wrong between Weir and the kernel.

use std::{io, path::PathBuf};

/// An error of the data plane: what failed, and what to do where that is known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel lacks what Weir is built on.
    #[error("kernel {found} is too old: Weir needs Linux {needed} or newer")]
    KernelTooOld {
        /// The running kernel.
        found: String,
        /// The oldest that works.
        needed: &'static str,
    },
    /// The process may not do its work.
    #[error("missing capabilities {missing}: run as root, or grant them to the process")]
    MissingCapabilities {
        /// Their names.
        missing: String,
    },
    /// An interface named by the user does not exist.
    #[error("interface `{name}` does not exist here; `ip link` lists those that do")]
    NoSuchInterface {
        /// Its name.
        name: String,
    },
    /// A file system could not be mounted.
    #[error("cannot mount {kind} on {path}: {source}", path = path.display())]
    Mount {
        /// `bpffs` or `cgroup2`.
        kind: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pin folder is not on a BPF file system.
    #[error("{path} is not on a BPF file system: choose a folder below /sys/fs/bpf, or mount one there with `mount -t bpf bpf {path}`", path = path.display())]
    NotBpffs {
        /// The folder.
        path: PathBuf,
    },
    /// The embedded object could not be loaded.
    #[error("cannot load the BPF object: {source}")]
    Object {
        /// Why.
        source: Box<aya::EbpfError>,
    },
    /// The embedded object is not the one that this code expects.
    #[error("the BPF object has no usable {what}; this binary was built wrongly")]
    ObjectIncomplete {
        /// The map or program.
        what: &'static str,
    },
    /// The kernel refused a program.
    #[error("the kernel refuses the program `{name}`: {source}")]
    Program {
        /// Its name.
        name: &'static str,
        /// Why, with the verifier's words.
        source: Box<aya::programs::ProgramError>,
    },
    /// A pinned map does not have the layout of this version.
    #[error("the pinned map {path} has another layout than this version's; `weir uninstall` removes it", path = path.display())]
    MapLayout {
        /// Its pin.
        path: PathBuf,
    },
    /// A map could not be read or written.
    #[error("cannot {action} map {map}: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// `read`, `write`, …
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A map has no room for what is wanted.
    #[error("too many {what}: the kernel maps hold {limit}")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u32,
    },
    /// A ring whose number of slots is no power of two.
    #[error("gateway {gateway}: a ring of {slots} slots; a power of two is needed")]
    RingSize {
        /// The gateway.
        gateway: String,
        /// The number of slots.
        slots: usize,
    },
    /// A program could not be attached.
    #[error("cannot attach {hook} to {target}: {source}")]
    Attach {
        /// `XDP`, `tcx ingress`, …
        hook: &'static str,
        /// Interface, namespace or cgroup.
        target: String,
        /// Why.
        source: io::Error,
    },
    /// A pin could not be made, opened or removed.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Pin {
        /// `pin`, `open`, `remove`, …
        action: &'static str,
        /// The pin or its folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A question to or an order for the kernel's routing failed.
    #[error("cannot {action}: {source}")]
    Routing {
        /// What was wanted.
        action: String,
        /// Why.
        source: io::Error,
    },
    /// The agent's cgroup could not be made or entered.
    #[error("cannot use the cgroup {path}: {source}", path = path.display())]
    Cgroup {
        /// The cgroup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn map(map: &'static str, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Map { map, action, source }
    }

    pub(super) fn pin(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Pin { action, path: path.into(), source }
    }

    pub(super) fn routing(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Routing { action: action.into(), source }
    }
}
