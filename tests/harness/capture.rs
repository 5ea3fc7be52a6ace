//! Counting what is on a wire, per flow, the way tcpdump sees it: a packet socket on a device.
//!
//! A buffer that stands for several segments (GSO on the way out, GRO on the way in) counts as its segments,
//! each with its headers, as the kernel programs count it.

use std::{
    collections::HashMap,
    io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use crate::netns::Netns;

/// Longest header that is looked at: virtio header, Ethernet, two VLAN tags, IPv6 or IPv4 with options, TCP.
const SNAP: usize = 10 + 14 + 8 + 60 + 60;

/// One direction of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// IP protocol number.
    pub protocol: u8,
    /// Source.
    pub from: SocketAddr,
    /// Destination.
    pub to: SocketAddr,
}

/// What was seen of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Packets.
    pub packets: u64,
    /// IP bytes.
    pub bytes: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// A running capture of TCP and UDP on one device.
#[derive(Debug)]
pub struct Capture {
    seen: Arc<Mutex<HashMap<Flow, Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Capture {
    /// Starts counting on `device` of `netns`. What is sent from here on is counted.
    pub fn start(netns: &Netns, device: &str) -> Result<Self> {
        let socket = netns.run(|| open(device)).with_context(|| format!("capturing on {device}"))?;
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (counters, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = netns.spawn("capture", move || count(&socket, &counters, &stopped));
        Ok(Self { seen, stop, thread: Some(thread) })
    }

    /// What was counted so far.
    pub fn flows(&self) -> HashMap<Flow, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sum over the flows that `wanted` accepts.
    pub fn sum(&self, mut wanted: impl FnMut(&Flow) -> bool) -> Seen {
        let mut sum = Seen::default();
        for (_, seen) in self.flows().iter().filter(|(flow, _)| wanted(flow)) {
            sum += *seen;
        }
        sum
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where packets went by uncounted: the figures are worth nothing then.
    pub fn stop(mut self) -> Result<HashMap<Flow, Seen>> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a capture is stopped once");
        thread.join().map_err(|_| anyhow::anyhow!("the capture thread panicked"))??;
        Ok(self.flows())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open(device: &str) -> io::Result<Socket> {
    // Protocol 0 receives nothing until the socket is bound to the device.
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    socket.set_recv_buffer_size(4 << 20)?;
    option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 64 << 20)?;
    option(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let index = rustix::net::netdevice::name_to_index(&socket, device)?;
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index.cast_signed();
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: the storage is larger than any socket address and aligned for all of them.
    unsafe { *storage.view_as::<libc::sockaddr_ll>() = address };
    // SAFETY: the storage holds a sockaddr_ll of this length.
    let address = unsafe { SockAddr::new(storage, mem::size_of::<libc::sockaddr_ll>() as u32) };
    socket.bind(&address)?;
    Ok(socket)
}

fn option(socket: &Socket, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = mem::size_of::<i32>() as u32;
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn count(socket: &Socket, seen: &Mutex<HashMap<Flow, Seen>>, stop: &AtomicBool) -> Result<()> {
    let mut buffer = [mem::MaybeUninit::uninit(); SNAP];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                // SAFETY: the kernel has written this many bytes.
                let bytes = unsafe { buffer[..length].assume_init_ref() };
                if let Some((flow, one)) = parse(bytes) {
                    *seen.lock().unwrap_or_else(PoisonError::into_inner).entry(flow).or_default() += one;
                }
            }
            // Nothing is waiting: only now may a stop be obeyed, so that all that was sent before it counts.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("receiving from the packet socket"),
        }
    }
    let lost = lost(socket)?;
    ensure!(lost == 0, "the capture lost {lost} packets");
    Ok(())
}

fn lost(socket: &Socket) -> io::Result<u32> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = mem::size_of_val(&statistics) as u32;
    // SAFETY: the pointer and length describe `statistics`, which outlives the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(statistics.tp_drops) } else { Err(io::Error::last_os_error()) }
}

/// Reads a virtio header (10 bytes, host order) and a frame; `None` for anything but whole TCP and UDP headers.
fn parse(bytes: &[u8]) -> Option<(Flow, Seen)> {
    let (virtio, frame) = bytes.split_at_checked(10)?;
    let segment = u64::from(u16::from_ne_bytes([virtio[4], virtio[5]]));
    let mut rest = frame.get(12..)?;
    let mut ethertype = be16(rest, 0)?;
    while ethertype == 0x8100 || ethertype == 0x88a8 {
        rest = rest.get(4..)?;
        ethertype = be16(rest, 0)?;
    }
    let ip = rest.get(2..)?;
    let (protocol, from, to, header, length) = match ethertype {
        0x0800 => {
            // A later fragment has no ports.
            if be16(ip, 6)? & 0x1fff != 0 {
                return None;
            }
            let from = Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(12..16)?).ok()?);
            let to = Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(16..20)?).ok()?);
            let header = usize::from(ip[0] & 0x0f) * 4;
            (ip[9], IpAddr::V4(from), IpAddr::V4(to), header, u64::from(be16(ip, 2)?))
        }
        0x86dd => {
            let from = Ipv6Addr::from(<[u8; 16]>::try_from(ip.get(8..24)?).ok()?);
            let to = Ipv6Addr::from(<[u8; 16]>::try_from(ip.get(24..40)?).ok()?);
            (ip[6], IpAddr::V6(from), IpAddr::V6(to), 40, u64::from(be16(ip, 4)?) + 40)
        }
        _ => return None,
    };
    let transport = ip.get(header..)?;
    let headers = header as u64
        + match protocol {
            6 => u64::from(*transport.get(12)? >> 4) * 4,
            17 => 8,
            _ => return None,
        };
    let flow = Flow {
        protocol,
        from: SocketAddr::new(from, be16(transport, 0)?),
        to: SocketAddr::new(to, be16(transport, 2)?),
    };
    let payload = length.saturating_sub(headers);
    let packets = if segment == 0 { 1 } else { payload.div_ceil(segment).max(1) };
    Some((flow, Seen { packets, bytes: payload + packets * headers }))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}
