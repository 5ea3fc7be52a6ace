//! Sending a frame by one device.

use std::{
    io,
    mem::{size_of, zeroed},
    os::fd::AsRawFd as _,
};

use rustix::net::{AddressFamily, SocketType, socket};

/// Sends `payload` behind an Ethernet header by the device with this index.
///
/// # Errors
/// Without `CAP_NET_RAW`, or where the device is gone or down.
pub(in super::super) fn send(
    device: u32,
    to: [u8; 6],
    from: [u8; 6],
    ethertype: u16,
    payload: &[u8],
) -> io::Result<()> {
    let socket = socket(AddressFamily::PACKET, SocketType::RAW, None)?;
    let bytes = [&to[..], &from, &ethertype.to_be_bytes(), payload].concat();
    // SAFETY: integers and arrays of them.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = device.cast_signed();
    // SAFETY: the descriptor is open, and buffer and address outlive the call.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
