//! Links: what ties a program to an interface, a network namespace or a cgroup, and outlives its maker.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

pub(in super::super) use super::attr::LinkInfo;
use super::{Command, attr, bpf, bpf_fd, info};

/// Where a program is attached; the values of the kernel's `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum AttachType {
    /// Packets into a cgroup.
    CgroupIngress = 0,
    /// Packets out of a cgroup.
    CgroupEgress = 1,
    /// connect(2) of IPv4 sockets in a cgroup.
    Connect4 = 10,
    /// connect(2) of IPv6 sockets in a cgroup.
    Connect6 = 11,
    /// sendmsg(2) over IPv4 of sockets in a cgroup that are not connected.
    SendMsg4 = 14,
    /// sendmsg(2) over IPv6 of sockets in a cgroup that are not connected.
    SendMsg6 = 15,
    /// recvmsg(2) of IPv4 sockets in a cgroup.
    RecvMsg4 = 19,
    /// recvmsg(2) of IPv6 sockets in a cgroup.
    RecvMsg6 = 20,
    /// getpeername(2) of IPv4 sockets in a cgroup.
    GetPeerName4 = 29,
    /// getpeername(2) of IPv6 sockets in a cgroup.
    GetPeerName6 = 30,
    /// Socket lookup of a network namespace.
    SkLookup = 36,
    /// XDP of an interface.
    Xdp = 37,
    /// tcx ingress of an interface.
    TcxIngress = 46,
    /// tcx egress of an interface.
    TcxEgress = 47,
}

impl AttachType {
    /// Whether it is a cgroup that programs are attached to.
    fn is_of_cgroup(self) -> bool {
        match self {
            Self::CgroupIngress
            | Self::CgroupEgress
            | Self::Connect4
            | Self::Connect6
            | Self::SendMsg4
            | Self::SendMsg6
            | Self::RecvMsg4
            | Self::RecvMsg6
            | Self::GetPeerName4
            | Self::GetPeerName6 => true,
            Self::SkLookup | Self::Xdp | Self::TcxIngress | Self::TcxEgress => false,
        }
    }
}

/// `XDP_FLAGS_DRV_MODE`: the driver runs the program, or the call fails.
const XDP_NATIVE: u32 = 1 << 2;
/// `BPF_F_BEFORE`: with no program named, at the head.
const BEFORE: u32 = 1 << 3;

/// Attaches `program` to `target` (an interface index, or a descriptor of a namespace or cgroup). XDP is
/// native; tcx goes to the head of the chain. Never replaces anything.
pub(in super::super) fn create(
    program: BorrowedFd<'_>,
    target: u32,
    attach: AttachType,
) -> io::Result<OwnedFd> {
    let flags = if attach == AttachType::Xdp {
        XDP_NATIVE
    } else if matches!(attach, AttachType::TcxIngress | AttachType::TcxEgress) {
        BEFORE
    } else {
        // On a cgroup a program runs beside those of others, and of the cgroups above and below.
        0
    };
    let mut attr = attr::LinkCreate {
        prog_fd: program.as_raw_fd().cast_unsigned(),
        target,
        attach_type: attach as u32,
        flags,
        ..Default::default()
    };
    bpf_fd(Command::LinkCreate, &mut attr)
}

/// Replaces the link's program atomically; no packet is missed.
pub(in super::super) fn update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = attr::LinkUpdate {
        link_fd: link.as_raw_fd().cast_unsigned(),
        new_prog_fd: program.as_raw_fd().cast_unsigned(),
        ..Default::default()
    };
    bpf(Command::LinkUpdate, &mut attr).map(drop)
}

/// Takes the link off its target, also where others hold descriptors of it.
pub(in super::super) fn detach(link: BorrowedFd<'_>) -> io::Result<()> {
    bpf(Command::LinkDetach, &mut link.as_raw_fd().cast_unsigned()).map(drop)
}

/// What the kernel says about a link.
pub(in super::super) fn describe(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    info(link)
}

/// Ids of the programs attached to an interface, in the order in which they run.
pub(in super::super) fn chain(ifindex: u32, attach: AttachType) -> io::Result<Vec<u32>> {
    let mut ids = [0_u32; 64];
    let mut attr = attr::Query {
        target: ifindex,
        attach_type: attach as u32,
        prog_ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        ..Default::default()
    };
    bpf(Command::ProgQuery, &mut attr)?;
    Ok(ids[..ids.len().min(attr.count as usize)].to_vec())
}

impl LinkInfo {
    /// What the link is attached to: an interface's index, a namespace's inode, a cgroup's id; 0 where that has
    /// gone.
    pub(in super::super) fn target_id(&self, attach: AttachType) -> u64 {
        let low = u64::from(self.target);
        if attach.is_of_cgroup() { low | u64::from(self.target_high) << 32 } else { low }
    }
}
