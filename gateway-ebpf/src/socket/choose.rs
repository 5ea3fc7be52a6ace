//! Who gets a connection to a frontend.

use core::ptr;

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_netns_cookie, bpf_get_prandom_u32},
    programs::SockAddrContext,
};
use gateway_common::{
    abi::{
        backend::{self, Backend, mode},
        frontend::{Frontend, flags},
        settings::Settings,
        socket::place,
    },
    hash, pick,
    verdict::Verdict,
};

use crate::{
    count,
    family::Family,
    hook::settings,
    maps::{
        BACKENDS, ROUTE_STATS,
        sockets::{PICK_COUNTS, PICK_NODES, PICKS},
    },
    refuse,
    visit::slot,
};

/// Chooses for a new connection, and counts it: the backend id of an endpoint, KERNEL where the frontend's own address
/// is to be left (for the kernel or the agent), or REFUSE. A plain number: of a choice that has none the compiler would
/// carry an endpoint that was never set, which the verifier refuses.
#[inline(always)]
pub fn choose<F: Family>(context: &SockAddrContext, frontend: &Frontend) -> u32 {
    let id = by_weight(context, frontend);
    if id == backend::NONE || id == backend::KERNEL || id == backend::AGENT {
        count::call(Verdict::ConnectedToFrontend);
        return backend::KERNEL;
    }
    let Some(backend) = live::<F>(id) else {
        count::call(Verdict::ConnectRefused);
        return backend::REFUSE;
    };
    count_new(backend.route);
    count::call(Verdict::Connected);
    id
}

#[inline(always)]
fn by_weight(context: &SockAddrContext, frontend: &Frontend) -> u32 {
    let settings = settings();
    if is_stale(&settings) {
        return backend::KERNEL;
    }
    if frontend.flags & flags::HAS_SOURCES != 0 {
        // Its packets are asked where they come from.
        return backend::KERNEL;
    }
    if frontend.flags & flags::BY_CLIENT != 0 {
        return in_ring(frontend, of_client(context, settings.hash_seed));
    }
    in_turn(frontend.ring).unwrap_or_else(|| {
        // Before the first tree is written.
        // SAFETY: no arguments.
        in_ring(frontend, unsafe { bpf_get_prandom_u32() })
    })
}

/// The endpoint with this id, unless it is gone.
#[inline(always)]
pub fn live<F: Family>(id: u32) -> Option<&'static Backend> {
    let backend = BACKENDS.get(id)?;
    (id >= backend::FIRST_REAL && backend.mode != mode::UNUSABLE && backend.family == F::VERSION)
        .then_some(backend)
}

/// Whether there was no heartbeat of the agent for too long.
#[inline(always)]
fn is_stale(settings: &Settings) -> bool {
    let heartbeat = settings.now.wrapping_add(settings.paused);
    settings.stale_after != 0 && refuse::seconds().saturating_sub(heartbeat) > settings.stale_after
}

/// The same for all sockets of a network namespace: they share their addresses.
#[inline(always)]
fn of_client(context: &SockAddrContext, seed: u32) -> u32 {
    // SAFETY: the context is the program's own.
    let cookie = unsafe { bpf_get_netns_cookie(context.as_ptr()) };
    hash::flow4(cookie as u32, (cookie >> 32) as u32, 0, 0, 0, seed)
}

#[inline(always)]
fn in_ring(frontend: &Frontend, hash: u32) -> u32 {
    slot(frontend.ring, hash & frontend.ring_mask).map_or(backend::REFUSE, |slot| slot.current)
}

/// Who is next by the ring's tree of picks; `None` where it has none.
#[inline(always)]
fn in_turn(ring: u32) -> Option<u32> {
    const ATTEMPTS: u32 = 3;
    let root = PICKS.get_ptr(ring)?.cast::<u64>();
    let count = PICK_COUNTS.get_ptr_mut(ring)?;
    // SAFETY: an aligned entry of a map.
    let count = unsafe { count::take_number(count) } % pick::COUNTS;
    let mut found = None;
    for _ in 0..ATTEMPTS {
        // SAFETY: eight bytes, aligned to eight; user space writes them in one store as well.
        let before = unsafe { root.read_volatile() };
        found = walk(before as u32, count);
        // SAFETY: as above.
        if unsafe { root.read_volatile() } == before {
            break;
        }
    }
    found
}

#[inline(always)]
fn walk(root: u32, mut count: u64) -> Option<u32> {
    let mut at = root;
    for _ in 0..pick::DEPTH {
        if at & place::LEAF != 0 {
            return Some(at & !place::LEAF);
        }
        if at == place::NONE {
            return None;
        }
        // A copy: the node may be written while it is looked at; the walk is then repeated.
        // SAFETY: a valid reference, read once.
        let node = unsafe { ptr::from_ref(PICK_NODES.get(at)?).read_volatile() };
        (at, count) = pick::step(&node, count);
    }
    None
}

/// At a hook of a process a packet may interrupt the program: the count is one instruction.
#[inline(always)]
fn count_new(route: u32) {
    if let Some(stats) = ROUTE_STATS.get_ptr_mut(route) {
        // SAFETY: this CPU's own entry.
        unsafe { count::add_whole(&raw mut (*stats).new_flows, 1) };
    }
}
