//! Weir's packet path: the programs. Each runs its path, counts the one verdict, and returns the action.
#![cfg_attr(target_arch = "bpf", no_std)]
#![no_main]
// For any other target, as in `cargo check --workspace`, the crate is empty.
#![cfg(target_arch = "bpf")]
// `raw` writes its loads as instructions; the build script allows unstable features anyway, for `core`.
#![feature(asm_experimental_arch)]
// The packet path is one function to the verifier: a call that is not inlined costs 8 ns.
#![allow(clippy::inline_always)]
// A key given by value is copied to the stack, of which there are 512 bytes.
#![allow(clippy::needless_borrows_for_generic_args)]
// The macros of aya hand contexts over by value.
#![allow(clippy::needless_pass_by_value)]
// Lengths of packets and headers: 64 KiB at most.
#![allow(clippy::cast_possible_wrap)]

mod announce;
mod answer;
mod count;
mod egress;
mod family;
mod flow;
mod hook;
mod icmp;
mod lookup;
mod maps;
mod nat;
mod outgoing;
mod packet;
mod path;
mod raw;
mod refuse;
mod reply;
mod rewrite;
mod socket;
mod udp_flow;
mod upstream;
mod visit;

use aya_ebpf::{
    bindings::xdp_action,
    helpers::generated::bpf_redirect,
    macros::{cgroup_skb, cgroup_sock_addr, classifier, sk_lookup, xdp},
    programs::{SkBuffContext, SkLookupContext, SockAddrContext, TcContext, XdpContext},
};
use gateway_common::verdict::{Action, Verdict};

/// Uplinks with native XDP: client → endpoint.
#[xdp(frags)]
#[inline(always)]
fn weir_xdp(context: XdpContext) -> u32 {
    let verdict = path::run(&context);
    count::verdict(verdict);
    match verdict.action() {
        Action::Pass => xdp_action::XDP_PASS,
        Action::Drop => xdp_action::XDP_DROP,
        Action::SendBack => xdp_action::XDP_TX,
    }
}

/// The same path for devices without native XDP, and for those of pods.
#[classifier]
#[inline(always)]
fn weir_ingress(context: TcContext) -> i32 {
    hook::pull_headers(&context);
    let mut verdict = path::run(&context);
    if verdict == Verdict::NotOurs && socket::is_cut(&context) {
        verdict = hook::Hook::refuse(&context, Verdict::BackendDead);
    }
    tcx(&context, verdict)
}

/// Uplinks, outgoing: replies get their frontend's address, packets to pods elsewhere the node's.
#[classifier]
#[inline(always)]
fn weir_egress(context: TcContext) -> i32 {
    hook::pull_headers(&context);
    tcx(&context, egress::run::<false>(&context))
}

/// Devices of this node's pods, outgoing, that is to the pod: the same for what a pod sends to itself.
#[classifier]
#[inline(always)]
fn weir_pod_out(context: TcContext) -> i32 {
    hook::pull_headers(&context);
    tcx(&context, egress::run::<true>(&context))
}

#[inline(always)]
fn tcx(context: &TcContext, verdict: Verdict) -> i32 {
    // linux/bpf.h; PASS would skip the programs that follow.
    const TCX_NEXT: i32 = -1;
    const TCX_DROP: i32 = 2;
    count::verdict(verdict);
    match verdict.action() {
        Action::Pass => TCX_NEXT,
        Action::Drop => TCX_DROP,
        // SAFETY: the context is the program's own.
        Action::SendBack => unsafe { bpf_redirect((*context.skb.skb).ifindex, 0) as i32 },
    }
}

/// Gives a packet for a frontend of the agent one of its listeners.
#[sk_lookup]
#[inline(always)]
fn weir_sk_lookup(context: SkLookupContext) -> u32 {
    const SK_PASS: u32 = 1;
    lookup::run(&context);
    SK_PASS
}

/// Counts agent → endpoint on marked sockets.
#[cgroup_skb(egress)]
#[inline(always)]
fn weir_cg_egress(context: SkBuffContext) -> i32 {
    upstream::sent(&context);
    1
}

/// Counts endpoint → agent on marked sockets.
#[cgroup_skb(ingress)]
#[inline(always)]
fn weir_cg_ingress(context: SkBuffContext) -> i32 {
    upstream::received(&context);
    1
}

/// A connection to a frontend goes to an endpoint.
#[cgroup_sock_addr(connect4)]
#[inline(always)]
fn weir_connect4(context: SockAddrContext) -> i32 {
    socket::connect4(&context)
}

/// The same for IPv6 sockets.
#[cgroup_sock_addr(connect6)]
#[inline(always)]
fn weir_connect6(context: SockAddrContext) -> i32 {
    socket::connect6(&context)
}

/// So does a datagram of a socket that is not connected.
#[cgroup_sock_addr(sendmsg4)]
#[inline(always)]
fn weir_sendmsg4(context: SockAddrContext) -> i32 {
    socket::send4(&context)
}

/// The same for IPv6 sockets.
#[cgroup_sock_addr(sendmsg6)]
#[inline(always)]
fn weir_sendmsg6(context: SockAddrContext) -> i32 {
    socket::send6(&context)
}

/// An endpoint's datagram shows the frontend that was asked.
#[cgroup_sock_addr(recvmsg4)]
#[inline(always)]
fn weir_recvmsg4(context: SockAddrContext) -> i32 {
    socket::receive4(&context)
}

/// The same for IPv6 sockets.
#[cgroup_sock_addr(recvmsg6)]
#[inline(always)]
fn weir_recvmsg6(context: SockAddrContext) -> i32 {
    socket::receive6(&context)
}

/// A connection to an endpoint shows the frontend.
#[cgroup_sock_addr(getpeername4)]
#[inline(always)]
fn weir_getpeername4(context: SockAddrContext) -> i32 {
    socket::name_peer4(&context)
}

/// The same for IPv6 sockets.
#[cgroup_sock_addr(getpeername6)]
#[inline(always)]
fn weir_getpeername6(context: SockAddrContext) -> i32 {
    socket::name_peer6(&context)
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Some helpers are for GPL-compatible programs only; the package is Apache-2.0 or GPL-2.0.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
