//! Making a veth end behave like the far end of a wire: frames that the node's XDP sends back arrive at once.
//!
//! A veth device delivers what its peer's `XDP_TX` sent as soon as it runs a program itself. With GRO alone the
//! frames wait in its ring until some other packet comes by.

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

const PROG_LOAD: u32 = 5;
const LINK_CREATE: u32 = 28;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
/// `XDP_FLAGS_DRV_MODE`.
const NATIVE: u32 = 1 << 2;
/// `r0 = 2; exit`: `XDP_PASS`.
const PASS: [u64; 2] = [0x0000_0002_0000_00b7, 0x0000_0000_0000_0095];

/// The start of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log: [u64; 2],
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    attach_type: u32,
}

/// The start of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    program: u32,
    ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// Has `device` of this thread's namespace run a program that passes everything, for as long as the result lives.
///
/// # Errors
/// Where there is no such device, or the kernel refuses.
pub(crate) fn pass_everything(device: &str) -> io::Result<OwnedFd> {
    let ifindex = rustix::net::netdevice::name_to_index(socket()?, device)?;
    let mut load = Load {
        kind: PROG_TYPE_XDP,
        instructions: PASS.len() as u32,
        code: PASS.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        attach_type: ATTACH_TYPE_XDP,
        ..Load::default()
    };
    let program = bpf(PROG_LOAD, &mut load)?;
    let program_fd = program.as_raw_fd().cast_unsigned();
    let mut attach = LinkCreate { program: program_fd, ifindex, attach_type: ATTACH_TYPE_XDP, flags: NATIVE };
    bpf(LINK_CREATE, &mut attach)
}

fn socket() -> io::Result<socket2::Socket> {
    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)
}

fn bpf<A>(command: u32, attr: &mut A) -> io::Result<OwnedFd> {
    // SAFETY: a prefix of the kernel's union, whole where the command reads it; what it points to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<A>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both commands return a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
}
