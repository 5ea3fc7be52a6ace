//! Loading the embedded object: creates the maps or adopts the pinned ones, and loads the programs.

use std::{
    fs,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use aya::{
    EbpfLoader,
    programs::{CgroupSkb, CgroupSockAddr, Program, ProgramError, ProgramFd, SchedClassifier, SkLookup, Xdp},
};
use gateway_common::abi::ABI_VERSION;

use super::{
    error::Error,
    object::OBJECT,
    sys::{self, link::AttachType},
};

/// Global data and scratch memory, by the beginnings of their names; not pinned: each load has its own.
const UNPINNED: [&str; 4] = [".rodata", ".data", ".bss", "VISIT"];

/// Folders of pins below the pin folder the user names.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    /// `<pin-dir>/v<ABI>`: maps by name.
    pub(super) maps: PathBuf,
    /// `…/ring`: rings by index.
    pub(super) rings: PathBuf,
    /// `…/link`: links by hook and target.
    pub(super) links: PathBuf,
}

impl Pins {
    /// Of this version's layout.
    pub(super) fn new(pin_dir: &Path) -> Self {
        Self::in_folder(pin_dir.join(format!("v{ABI_VERSION}")))
    }

    /// Of any version's folder.
    pub(super) fn in_folder(maps: PathBuf) -> Self {
        Self { rings: maps.join("ring"), links: maps.join("link"), maps }
    }

    fn create(&self) -> Result<(), Error> {
        for folder in [&self.rings, &self.links] {
            fs::create_dir_all(folder).map_err(Error::pin("create", folder))?;
        }
        Ok(())
    }
}

/// The programs, loaded.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) xdp: OwnedFd,
    pub(super) tcx_in: OwnedFd,
    pub(super) tcx_out: OwnedFd,
    pub(super) pod_out: OwnedFd,
    pub(super) lookup: OwnedFd,
    pub(super) cgroup_in: OwnedFd,
    pub(super) cgroup_out: OwnedFd,
    /// For the sockets of the node's processes.
    pub(super) sockets: Vec<SocketProgram>,
}

/// A hook on sockets.
#[derive(Debug)]
pub(super) struct SocketProgram {
    pub(super) attach: AttachType,
    /// Of its link.
    pub(super) pin: &'static str,
    pub(super) program: OwnedFd,
}

/// The hooks on sockets: where, the pin of the link, the program. What shows frontends comes before what hides them.
pub(super) const SOCKET_HOOKS: [(AttachType, &str, &str); 8] = [
    (AttachType::GetPeerName4, "getpeername4", "weir_getpeername4"),
    (AttachType::GetPeerName6, "getpeername6", "weir_getpeername6"),
    (AttachType::RecvMsg4, "recvmsg4", "weir_recvmsg4"),
    (AttachType::RecvMsg6, "recvmsg6", "weir_recvmsg6"),
    (AttachType::SendMsg4, "sendmsg4", "weir_sendmsg4"),
    (AttachType::SendMsg6, "sendmsg6", "weir_sendmsg6"),
    (AttachType::Connect4, "connect4", "weir_connect4"),
    (AttachType::Connect6, "connect6", "weir_connect6"),
];

/// Loads the object over the pins. Returns the flags that rings are made with as well.
pub(super) fn load(pins: &Pins) -> Result<(Programs, u32), Error> {
    pins.create()?;
    let object = aya_obj::Object::parse(OBJECT)
        .map_err(|error| Error::Object { source: Box::new(aya::EbpfError::ParseError(error)) })?;
    let mut loader = EbpfLoader::new();
    for name in object.maps.keys().filter(|name| !UNPINNED.iter().any(|start| name.starts_with(start))) {
        let path = pins.maps.join(name);
        require_layout(&path, &object.maps[name])?;
        loader.map_pin_path(name, path);
    }
    let mut ebpf = loader.load(OBJECT).map_err(|source| Error::Object { source: Box::new(source) })?;
    let flags = ring_flags(&object)?;
    let programs = Programs {
        xdp: program(&mut ebpf, "weir_xdp", Xdp::load, Xdp::fd)?,
        tcx_in: program(&mut ebpf, "weir_ingress", SchedClassifier::load, SchedClassifier::fd)?,
        tcx_out: program(&mut ebpf, "weir_egress", SchedClassifier::load, SchedClassifier::fd)?,
        pod_out: program(&mut ebpf, "weir_pod_out", SchedClassifier::load, SchedClassifier::fd)?,
        lookup: program(&mut ebpf, "weir_sk_lookup", SkLookup::load, SkLookup::fd)?,
        cgroup_in: program(&mut ebpf, "weir_cg_ingress", CgroupSkb::load, CgroupSkb::fd)?,
        cgroup_out: program(&mut ebpf, "weir_cg_egress", CgroupSkb::load, CgroupSkb::fd)?,
        sockets: SOCKET_HOOKS
            .into_iter()
            .map(|(attach, pin, name)| {
                let program = program(&mut ebpf, name, CgroupSockAddr::load, CgroupSockAddr::fd)?;
                Ok(SocketProgram { attach, pin, program })
            })
            .collect::<Result<_, Error>>()?,
    };
    Ok((programs, flags))
}

/// A program over a map of another layout would be refused by the verifier, in words for its author.
fn require_layout(path: &Path, map: &aya_obj::Map) -> Result<(), Error> {
    if !path.exists() {
        return Ok(());
    }
    let pinned = sys::open_pin(path).map_err(Error::pin("open", path))?;
    let info = sys::map_info(pinned.as_fd()).map_err(Error::pin("inspect", path))?;
    let is_same = (info.key_size, info.value_size) == (map.key_size(), map.value_size());
    if is_same { Ok(()) } else { Err(Error::MapLayout { path: path.to_owned() }) }
}

fn ring_flags(object: &aya_obj::Object) -> Result<u32, Error> {
    let inner = object.maps.get("RINGS").and_then(aya_obj::Map::inner);
    inner.map(|inner| inner.map_flags()).ok_or(Error::ObjectIncomplete { what: "RINGS" })
}

/// Loads one program; its descriptor lives on without aya.
fn program<P>(
    ebpf: &mut aya::Ebpf,
    name: &'static str,
    load: impl FnOnce(&mut P) -> Result<(), ProgramError>,
    fd: impl FnOnce(&P) -> Result<&ProgramFd, ProgramError>,
) -> Result<OwnedFd, Error>
where
    for<'a> &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let failed = |source: ProgramError| Error::Program { name, source: Box::new(source) };
    let program = ebpf.program_mut(name).ok_or(Error::ObjectIncomplete { what: name })?;
    let program: &mut P = program.try_into().map_err(failed)?;
    load(program).map_err(failed)?;
    let fd = fd(program).map_err(failed)?;
    sys::clone_fd(fd).map_err(|error| failed(ProgramError::IOError(error)))
}
