//! Packets of sockets whose endpoint is gone: answered as their endpoint's host would, could it be asked.
//!
//! A pod's packet still has its socket when it comes out of the pod's device on the node, and the socket says whom it
//! was connected to.

use aya_ebpf::{helpers::generated::bpf_sk_storage_get, programs::TcContext};
use gateway_common::abi::{
    backend::{Backend, mode},
    socket::ServicePeer,
};

use crate::{
    family::{V4, V6},
    maps::{BACKENDS, sockets::SERVICE_PEER},
    packet::{self, Network, ReadIp},
};

/// Whether the packet is one for an endpoint that is gone, by a socket that was connected to it in a frontend's place.
#[inline(always)]
pub fn is_cut(context: &TcContext) -> bool {
    let Some(peer) = peer(context) else { return false };
    peer.id != 0
        && !BACKENDS.get(peer.id).is_some_and(|backend| is_same(backend, peer))
        && is_to(context, peer)
}

#[inline(always)]
fn is_same(backend: &Backend, peer: &ServicePeer) -> bool {
    backend.generation == peer.generation && backend.mode != mode::UNUSABLE
}

/// A UDP socket may send elsewhere.
#[inline(never)]
fn is_to(context: &TcContext, peer: &ServicePeer) -> bool {
    match packet::network(context) {
        Ok(Network::V4(l3)) => goes_to::<V4>(context, l3, peer),
        Ok(Network::V6(l3)) => goes_to::<V6>(context, l3, peer),
        Err(_) => false,
    }
}

#[inline(always)]
fn goes_to<F: ReadIp>(context: &TcContext, l3: usize, peer: &ServicePeer) -> bool {
    packet::read::<_, F>(context, l3).is_ok_and(|packet| {
        packet.destination_port == u16::from_ne_bytes(peer.backend_port)
            && F::same(packet.destination, F::backend_words(&peer.backend))
    })
}

/// What the packet's socket is connected to in a frontend's place.
#[inline(always)]
fn peer(context: &TcContext) -> Option<&'static ServicePeer> {
    // SAFETY: the context is the program's own; the helper takes a full socket only and tells by null.
    unsafe {
        let socket = (*context.skb.skb).__bindgen_anon_2.sk;
        if socket.is_null() {
            return None;
        }
        let map = (&raw const SERVICE_PEER).cast_mut().cast();
        bpf_sk_storage_get(map, socket.cast(), core::ptr::null_mut(), 0).cast::<ServicePeer>().as_ref()
    }
}
