//! The agent's upstream connections: sockets carry the route and the endpoint that their packets count for. The
//! programs sit on a cgroup of the agent's own, so no other process pays.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_sk_storage_get, bpf_skb_load_bytes},
    programs::SkBuffContext,
};
use gateway_common::{
    abi::stats::UpstreamMark,
    packet::{ip, tcp},
};

use crate::{
    count::{self, Amount},
    maps::{BACKEND_STATS, ROUTE_STATS, UPSTREAM_MARK},
};

/// Agent → endpoint.
#[inline(always)]
pub fn sent(context: &SkBuffContext) {
    if let Some(mark) = mark(context) {
        let amount = amount(context);
        if let Some(stats) = ROUTE_STATS.get_ptr_mut(mark.route) {
            // SAFETY: this CPU's own entry.
            unsafe {
                count::add_whole(&raw mut (*stats).packets, amount.packets);
                count::add_whole(&raw mut (*stats).bytes, amount.bytes);
            }
        }
        if let Some(stats) = BACKEND_STATS.get_ptr_mut(mark.backend) {
            // SAFETY: this CPU's own entry.
            unsafe {
                count::add_whole(&raw mut (*stats).packets, amount.packets);
                count::add_whole(&raw mut (*stats).bytes, amount.bytes);
            }
        }
    }
}

/// Endpoint → agent.
#[inline(always)]
pub fn received(context: &SkBuffContext) {
    if let Some(mark) = mark(context) {
        count::replied(mark.backend, mark.route, amount(context));
    }
}

/// What the packet's socket is marked with.
#[inline(always)]
fn mark(context: &SkBuffContext) -> Option<UpstreamMark> {
    // SAFETY: the context is the program's own; the helper takes a full socket only and tells by null.
    unsafe {
        let socket = (*context.skb.skb).__bindgen_anon_2.sk;
        if socket.is_null() {
            return None;
        }
        let map = (&raw const UPSTREAM_MARK).cast_mut().cast();
        let mark = bpf_sk_storage_get(map, socket.cast(), core::ptr::null_mut(), 0).cast::<UpstreamMark>();
        mark.as_ref().copied()
    }
}

/// Packets and IP bytes; at a cgroup a packet begins with its IP header.
#[inline(always)]
fn amount(context: &SkBuffContext) -> Amount {
    // SAFETY: the context is the program's own.
    let (length, segments) = unsafe { ((*context.skb.skb).len, (*context.skb.skb).gso_segs) };
    if segments <= 1 {
        return Amount::new(1, u64::from(length), 0);
    }
    let first = byte(context, 0);
    // Sockets of the agent send no extension headers.
    let ip_header = if first >> 4 == 6 { ip::HEADER6 } else { usize::from(first & 15) * 4 };
    let offset = byte(context, ip_header as u32 + tcp::OFFSET as u32);
    Amount::new(u64::from(segments), u64::from(length), (ip_header + usize::from(offset >> 4) * 4) as u64)
}

#[inline(always)]
fn byte(context: &SkBuffContext, offset: u32) -> u8 {
    let mut byte = 0u8;
    // SAFETY: one byte of room for one byte; it stays 0 if the helper fails.
    unsafe { bpf_skb_load_bytes(context.as_ptr(), offset, (&raw mut byte).cast(), 1) };
    byte
}
