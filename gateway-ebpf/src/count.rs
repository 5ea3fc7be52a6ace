//! Counters: per-CPU arrays, so that no packet waits for another.

use core::arch::asm;

use gateway_common::{abi::backend::Backend, verdict::Verdict};

use crate::{
    family::Family,
    hook::Hook,
    maps::{BACKEND_STATS, GATEWAY_STATS, ROUTE_STATS, VERDICT_STATS},
    packet::Packet,
};

/// How many packets, and bytes of IP.
#[derive(Clone, Copy)]
pub struct Amount {
    /// Packets: the segments of a buffer.
    pub packets: u64,
    /// IP bytes: every segment has headers of its own.
    pub bytes: u64,
}

impl Amount {
    /// Of a packet whose transport header has `header` bytes.
    #[inline(always)]
    pub fn of<H: Hook, F: Family>(hook: &H, packet: &Packet<F>, header: usize) -> Self {
        let packets = if H::SEGMENTS { hook.segments() } else { 1 };
        Self::new(packets, packet.ip_len as u64, (packet.l4 - packet.l3 + header) as u64)
    }

    /// Of a buffer of `packets` segments, all in all `ip_len` bytes with one set of `headers`.
    #[inline(always)]
    pub fn new(packets: u64, ip_len: u64, headers: u64) -> Self {
        Self { packets, bytes: ip_len + (packets - 1) * headers }
    }
}

/// Counts the one verdict of a packet.
#[inline(always)]
pub fn verdict(verdict: Verdict) {
    if let Some(stats) = VERDICT_STATS.get_ptr_mut(verdict as u32) {
        // SAFETY: this CPU's own entry.
        unsafe { (*stats).packets += 1 };
    }
}

/// Counts what became of a process's call, which other calls and packets may interrupt.
#[inline(always)]
pub fn call(verdict: Verdict) {
    if let Some(stats) = VERDICT_STATS.get_ptr_mut(verdict as u32) {
        // SAFETY: this CPU's own entry.
        unsafe { add_whole(&raw mut (*stats).packets, 1) };
    }
}

/// Client → endpoint.
#[inline(always)]
pub fn forwarded(id: u32, backend: &Backend, amount: Amount, is_new: bool) {
    if let Some(stats) = ROUTE_STATS.get_ptr_mut(backend.route) {
        // SAFETY: this CPU's own entry.
        unsafe {
            (*stats).packets += amount.packets;
            (*stats).bytes += amount.bytes;
            (*stats).new_flows += u64::from(is_new);
        }
    }
    if let Some(stats) = BACKEND_STATS.get_ptr_mut(id) {
        // SAFETY: this CPU's own entry.
        unsafe {
            (*stats).packets += amount.packets;
            (*stats).bytes += amount.bytes;
        }
    }
}

/// Endpoint → client.
#[inline(always)]
pub fn replied(id: u32, route: u32, amount: Amount) {
    if let Some(stats) = ROUTE_STATS.get_ptr_mut(route) {
        // SAFETY: this CPU's own entry.
        unsafe {
            (*stats).reply_packets += amount.packets;
            (*stats).reply_bytes += amount.bytes;
        }
    }
    if let Some(stats) = BACKEND_STATS.get_ptr_mut(id) {
        // SAFETY: this CPU's own entry.
        unsafe {
            (*stats).reply_packets += amount.packets;
            (*stats).reply_bytes += amount.bytes;
        }
    }
}

/// Client → agent.
#[inline(always)]
pub fn to_agent(gateway: u32, amount: Amount) {
    if let Some(stats) = GATEWAY_STATS.get_ptr_mut(gateway) {
        // SAFETY: this CPU's own entry.
        unsafe {
            (*stats).packets += amount.packets;
            (*stats).bytes += amount.bytes;
        }
    }
}

/// Agent → client.
#[inline(always)]
pub fn from_agent(gateway: u32, amount: Amount) {
    if let Some(stats) = GATEWAY_STATS.get_ptr_mut(gateway) {
        // SAFETY: this CPU's own entry.
        unsafe {
            (*stats).reply_packets += amount.packets;
            (*stats).reply_bytes += amount.bytes;
        }
    }
}

/// Adds in one instruction. At a cgroup's egress the program runs in a process, and a packet that comes in, or
/// another process, may interrupt it on the same CPU: read, add and write as three would lose counts.
///
/// # Safety
/// `counter` is an aligned entry of a map.
#[inline(always)]
pub unsafe fn add_whole(counter: *mut u64, amount: u64) {
    // SAFETY: as above.
    unsafe {
        asm!("lock *(u64 *)({p} + 0) += {v}", p = in(reg) counter, v = in(reg) amount, options(nostack));
    }
}

/// Counts up by one; returns the number before. No two callers, on any CPU, get the same one.
///
/// # Safety
/// `counter` is an aligned entry of a map.
#[inline(always)]
pub unsafe fn take_number(counter: *mut u64) -> u64 {
    let mut number = 1;
    // SAFETY: as above.
    unsafe {
        asm!("{v} = atomic_fetch_add((u64 *)({p} + 0), {v})", p = in(reg) counter, v = inout(reg) number,
            options(nostack));
    }
    number
}
