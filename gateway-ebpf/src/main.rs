//! Weir's packet path: the programs. Each runs its path, counts the one verdict, and returns the action.
#![no_std]
#![no_main]

mod maps;

use aya_ebpf::{
    bindings::xdp_action,
    macros::{cgroup_skb, classifier, sk_lookup, xdp},
    programs::{SkBuffContext, SkLookupContext, TcContext, XdpContext},
};

/// `TCX_NEXT` of linux/bpf.h: on to the next program, then to the kernel.
const TCX_NEXT: i32 = -1;

/// Uplinks with native XDP: client → endpoint.
#[xdp(frags)]
fn weir_xdp(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// The same path for devices without native XDP.
#[classifier]
fn weir_ingress(_: TcContext) -> i32 {
    TCX_NEXT
}

/// Uplinks, outgoing: replies get their frontend's address.
#[classifier]
fn weir_egress(_: TcContext) -> i32 {
    TCX_NEXT
}

/// Gives a packet for a frontend of the agent one of its listeners.
#[sk_lookup]
fn weir_sk_lookup(_: SkLookupContext) -> u32 {
    1
}

/// Counts agent → endpoint on marked sockets.
#[cgroup_skb(egress)]
fn weir_cg_egress(_: SkBuffContext) -> i32 {
    1
}

/// Counts endpoint → agent on marked sockets.
#[cgroup_skb(ingress)]
fn weir_cg_ingress(_: SkBuffContext) -> i32 {
    1
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
