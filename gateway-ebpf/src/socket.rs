//! East-west: a process of this node connects to a frontend, and its socket is connected to an endpoint instead. One
//! choice per connection, none per packet; the socket shows the frontend to whoever asks it.
//!
//! The hooks sit on the root of the node's cgroups, so that processes in pods, host network or not, inherit them.
//! A frontend that the agent answers is left as it is: its address is local, and `sk_lookup` does the rest.

mod choose;
mod cut;
mod place;

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_current_cgroup_id, bpf_get_socket_cookie, bpf_set_retval},
    programs::SockAddrContext,
};
use gateway_common::{
    abi::{
        backend::{self, Backend},
        socket::{ServicePeer, SocketKey, UdpPeer, UdpPick},
    },
    limits,
    packet::ip,
};

pub use self::cut::is_cut;
use self::{
    choose::{choose, live},
    place::{Mapped, Place, Plain4, Plain6, Words, is_mapped, port, protocol, set_port},
};
use crate::{
    family::Family,
    hook::settings,
    maps::{
        BACKENDS, UPSTREAM_MARK,
        sockets::{AGENT_CGROUP, SERVICE_PEER, UDP_PEERS, UDP_PICKS},
    },
};

/// The kernel goes on, with the address as it is now.
const GO_ON: i32 = 1;
/// The call fails.
const FAIL: i32 = 0;

/// TCP, and UDP that is connected, over IPv4.
#[inline(always)]
pub fn connect4(context: &SockAddrContext) -> i32 {
    connect::<Plain4>(context)
}

/// The same over IPv6.
#[inline(always)]
pub fn connect6(context: &SockAddrContext) -> i32 {
    if is_mapped(context) { connect::<Mapped>(context) } else { connect::<Plain6>(context) }
}

/// A datagram of a socket that is not connected, over IPv4; for an IPv6 socket too.
#[inline(always)]
pub fn send4(context: &SockAddrContext) -> i32 {
    send::<Plain4>(context)
}

/// The same over IPv6.
#[inline(always)]
pub fn send6(context: &SockAddrContext) -> i32 {
    if is_mapped(context) { send::<Mapped>(context) } else { send::<Plain6>(context) }
}

/// The source that a received datagram shows.
#[inline(always)]
pub fn receive4(context: &SockAddrContext) -> i32 {
    show::<Plain4>(context, true)
}

/// The same at an IPv6 socket.
#[inline(always)]
pub fn receive6(context: &SockAddrContext) -> i32 {
    if is_mapped(context) { show::<Mapped>(context, true) } else { show::<Plain6>(context, true) }
}

/// What a socket is connected to.
#[inline(always)]
pub fn name_peer4(context: &SockAddrContext) -> i32 {
    show::<Plain4>(context, false)
}

/// The same of an IPv6 socket.
#[inline(always)]
pub fn name_peer6(context: &SockAddrContext) -> i32 {
    if is_mapped(context) { show::<Mapped>(context, false) } else { show::<Plain6>(context, false) }
}

#[inline(always)]
fn connect<P: Place>(context: &SockAddrContext) -> i32 {
    let protocol = protocol(context);
    if protocol != u32::from(ip::TCP) && protocol != u32::from(ip::UDP) || is_agents(context) {
        return GO_ON;
    }
    let (address, port) = (P::address(context), port(context));
    let Some(frontend) = P::Family::frontend(address, port, protocol as u8) else {
        forget(context);
        return GO_ON;
    };
    let id = choose::<P::Family>(context, frontend);
    if id == backend::KERNEL {
        forget(context);
        return GO_ON;
    }
    let Some(backend) = live::<P::Family>(id) else { return refuse() };
    let mut peer = ServicePeer {
        frontend: P::wide(address),
        backend: backend.addr,
        frontend_port: port.to_ne_bytes(),
        backend_port: backend.port,
        id,
        generation: backend.generation,
    };
    // SAFETY: the socket is locked, nobody else has a reference to its storage.
    unsafe {
        let stored = SERVICE_PEER.get_or_insert_ptr_mut(context, Some(&mut peer));
        if !stored.is_null() {
            *stored = peer;
        }
    }
    redirect::<P>(context, backend);
    GO_ON
}

#[inline(always)]
fn send<P: Place>(context: &SockAddrContext) -> i32 {
    if protocol(context) != u32::from(ip::UDP) || is_agents(context) {
        return GO_ON;
    }
    let (address, port) = (P::address(context), port(context));
    let Some(frontend) = P::Family::frontend(address, port, ip::UDP) else { return GO_ON };
    // SAFETY: the context is the program's own.
    let cookie = unsafe { bpf_get_socket_cookie(context.as_ptr()) };
    let key = SocketKey {
        cookie,
        addr: P::wide(address),
        port: port.to_ne_bytes(),
        family: P::Family::VERSION,
        pad: [0; 5],
    };
    let now = settings().now;
    let mut id = kept::<P::Family>(&key, now);
    if id == backend::NONE {
        id = choose::<P::Family>(context, frontend);
        if id == backend::KERNEL {
            return GO_ON;
        }
        if id != backend::REFUSE {
            keep(context, &key, id, now);
        }
    }
    let Some(backend) = live::<P::Family>(id) else { return refuse() };
    let peer = UdpPeer { addr: key.addr, port: key.port, pad: [0; 2] };
    let peer_key = SocketKey { addr: backend.addr, port: backend.port, ..key };
    // SAFETY: values are replaced, not written in place.
    let known = unsafe { UDP_PEERS.get(&peer_key) };
    if !known.is_some_and(|known| is_same::<P>(&known.addr, known.port, address, port)) {
        // Without it the answer shows the endpoint's address.
        let _ = UDP_PEERS.insert(&peer_key, &peer, 0);
    }
    redirect::<P>(context, backend);
    GO_ON
}

/// Where this socket's datagrams to this frontend went before, if they still may; else NONE.
#[inline(always)]
fn kept<F: Family>(key: &SocketKey, now: u32) -> u32 {
    let Some(pick) = UDP_PICKS.get_ptr_mut(key) else { return backend::NONE };
    // SAFETY: a value of the map; two threads that send on one socket may both note the time.
    unsafe {
        let id = (*pick).backend;
        let is_same = live::<F>(id).is_some_and(|backend| backend.generation == (*pick).generation);
        if !is_same || now.wrapping_sub((*pick).seen) > limits::UDP_IDLE_SECONDS {
            return backend::NONE;
        }
        (*pick).seen = now;
        id
    }
}

/// Remembers the choice for the socket's next datagrams.
#[inline(always)]
fn keep(context: &SockAddrContext, key: &SocketKey, id: u32, now: u32) {
    let generation = BACKENDS.get(id).map_or(0, |backend| backend.generation);
    // If there is no room the next datagram is a new flow.
    let _ = UDP_PICKS.insert(key, &UdpPick { backend: id, generation, seen: now }, 0);
    let mut nothing = ServicePeer::default();
    // SAFETY: marks the socket as one that uses frontends, whatever is stored already.
    unsafe { SERVICE_PEER.get_or_insert_ptr_mut(context, Some(&mut nothing)) };
}

/// Shows the frontend in the place of the endpoint.
#[inline(always)]
fn show<P: Place>(context: &SockAddrContext, is_datagram: bool) -> i32 {
    // SAFETY: the socket is locked, nobody else has a reference to its storage.
    let Some(peer) = (unsafe { SERVICE_PEER.get_ptr_mut(context).as_ref() }) else { return GO_ON };
    let (address, port) = (P::address(context), port(context));
    if is_same::<P>(&peer.backend, peer.backend_port, address, port) && peer.id != 0 {
        P::set_address(context, P::Family::backend_words(&peer.frontend));
        set_port(context, u16::from_ne_bytes(peer.frontend_port));
    } else if is_datagram {
        // SAFETY: the context is the program's own.
        let cookie = unsafe { bpf_get_socket_cookie(context.as_ptr()) };
        let key = SocketKey {
            cookie,
            addr: P::wide(address),
            port: port.to_ne_bytes(),
            family: P::Family::VERSION,
            pad: [0; 5],
        };
        // SAFETY: values are replaced, not written in place.
        if let Some(peer) = unsafe { UDP_PEERS.get(&key) } {
            P::set_address(context, P::Family::backend_words(&peer.addr));
            set_port(context, u16::from_ne_bytes(peer.port));
        }
    }
    GO_ON
}

#[inline(always)]
fn is_same<P: Place>(known: &[u8; 16], known_port: [u8; 2], address: Words<P>, port: u16) -> bool {
    u16::from_ne_bytes(known_port) == port && P::Family::same(P::Family::backend_words(known), address)
}

/// The agent reaches endpoints by itself, whatever addresses they have: by its cgroup, or by its mark.
#[inline(always)]
fn is_agents(context: &SockAddrContext) -> bool {
    let own = AGENT_CGROUP.get(0).copied().unwrap_or(0);
    // SAFETY: no arguments; and the socket of the program's own context.
    unsafe { own != 0 && own == bpf_get_current_cgroup_id() || !UPSTREAM_MARK.get_ptr_mut(context).is_null() }
}

/// What the socket was connected to before does not count any more.
#[inline(always)]
fn forget(context: &SockAddrContext) {
    // SAFETY: the socket of the program's own context. It fails where there is nothing to forget.
    let _ = unsafe { SERVICE_PEER.delete((*context.sock_addr).__bindgen_anon_1.sk) };
}

#[inline(always)]
fn redirect<P: Place>(context: &SockAddrContext, backend: &Backend) {
    P::set_address(context, P::Family::backend_words(&backend.addr));
    set_port(context, u16::from_ne_bytes(backend.port));
}

/// As if a RST, or an ICMP error, had come back.
#[inline(always)]
fn refuse() -> i32 {
    const ECONNREFUSED: i32 = 111;
    // SAFETY: no pointers.
    unsafe { bpf_set_retval(-ECONNREFUSED) };
    FAIL
}
