//! bpf(2) as the data plane needs it: objects by pin, links, typed maps with batches, shared memory.
//!
//! aya loads the object; what lives longer than a process (pinned maps and links) is handled here, by
//! descriptor. Nothing asks for an object by id, which would need `CAP_SYS_ADMIN`.

mod attr;
pub(super) mod frame;
pub(super) mod link;
pub(super) mod memory;
pub(super) mod table;

use std::{
    ffi::CString,
    io,
    mem::size_of,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::OnceLock,
};

pub(super) use attr::MapInfo;

/// Commands of bpf(2), numbers from `linux/bpf.h`.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Command {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    ObjPin = 6,
    ObjGet = 7,
    ObjGetInfo = 15,
    ProgQuery = 16,
    MapLookupBatch = 24,
    MapUpdateBatch = 26,
    LinkCreate = 28,
    LinkUpdate = 29,
    LinkDetach = 34,
}

/// Calls bpf(2). `A` is one of the argument structs of [`attr`], a prefix of the kernel's `union bpf_attr`.
fn bpf<A>(command: Command, attr: &mut A) -> io::Result<i64> {
    // SAFETY: `attr` is a `repr(C)` prefix of the union that this command reads, zero-initialised where
    // unused, and lives through the call; buffers that it points to are owned by the callers in this folder.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command as u32, std::ptr::from_mut(attr), size_of::<A>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The same for commands that return a descriptor.
fn bpf_fd<A>(command: Command, attr: &mut A) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidFilename.into())
}

/// Opens the pinned map, program or link at `path`.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let name = c_path(path)?;
    bpf_fd(Command::ObjGet, &mut attr::Object { path: name.as_ptr() as u64, ..Default::default() })
}

/// Pins the object at `path`, whose folder exists on a bpffs.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let name = c_path(path)?;
    let mut attr = attr::Object {
        path: name.as_ptr() as u64,
        fd: object.as_raw_fd().cast_unsigned(),
        ..Default::default()
    };
    bpf(Command::ObjPin, &mut attr).map(drop)
}

/// Fills one of the kernel's `bpf_*_info` structs for `object`.
fn info<I: Default>(object: BorrowedFd<'_>) -> io::Result<I> {
    let mut info = I::default();
    let mut attr = attr::Info {
        fd: object.as_raw_fd().cast_unsigned(),
        len: size_of::<I>() as u32,
        buffer: std::ptr::from_mut(&mut info) as u64,
    };
    bpf(Command::ObjGetInfo, &mut attr)?;
    Ok(info)
}

/// What the kernel says about a map.
pub(super) fn map_info(map: BorrowedFd<'_>) -> io::Result<MapInfo> {
    info(map)
}

/// The kernel's id of a program.
pub(super) fn program_id(program: BorrowedFd<'_>) -> io::Result<u32> {
    info::<attr::ProgramInfo>(program).map(|info| info.id)
}

/// Creates an array map of 8-byte values that user space can map into its memory.
pub(super) fn create_ring(name: &str, slots: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attr = attr::MapCreate {
        kind: attr::MAP_TYPE_ARRAY,
        key_size: 4,
        value_size: 8,
        max_entries: slots,
        flags,
        ..Default::default()
    };
    for (to, from) in attr.name.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    bpf_fd(Command::MapCreate, &mut attr)
}

/// Number of possible CPUs: the kernel keeps one value for each in per-CPU maps.
pub(super) fn possible_cpus() -> io::Result<usize> {
    // It is read from a file, and never changes while the machine is up.
    static KNOWN: OnceLock<usize> = OnceLock::new();
    if let Some(count) = KNOWN.get() {
        return Ok(*count);
    }
    let count = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    Ok(*KNOWN.get_or_init(|| count))
}

/// A descriptor that closes with its last clone.
pub(super) fn clone_fd(fd: &impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}
