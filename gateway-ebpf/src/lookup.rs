//! `sk_lookup`: a packet for a frontend that the agent answers gets one of the agent's listeners. Only packets
//! that belong to no socket yet come here.

use aya_ebpf::programs::SkLookupContext;
use gateway_common::{abi::frontend::flags, hash, limits};

use crate::{
    family::{Family, V4, V6},
    hook::settings,
    maps::AGENT_SOCKETS,
};

const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// Assigns a listener where there is one; else the kernel looks as usual.
#[inline(always)]
pub fn run(context: &SkLookupContext) {
    // SAFETY: the context is the program's own; each field is read by one load of its own width.
    let (family, protocol, remote_port, local_port) = unsafe {
        let lookup = context.lookup;
        (
            (&raw const (*lookup).family).read_volatile(),
            (&raw const (*lookup).protocol).read_volatile(),
            (&raw const (*lookup).remote_port).read_volatile(),
            (&raw const (*lookup).local_port).read_volatile(),
        )
    };
    let port = (local_port as u16).to_be();
    match family {
        AF_INET => {
            // SAFETY: as above.
            let (remote, local) = unsafe {
                (
                    (&raw const (*context.lookup).remote_ip4).read_volatile(),
                    (&raw const (*context.lookup).local_ip4).read_volatile(),
                )
            };
            assign::<V4>(context, local, port, protocol as u8, hash::flow4(remote, 0, remote_port, 0, 0, 0));
        }
        AF_INET6 => {
            // SAFETY: as above.
            let (remote, local) = unsafe {
                (
                    words(&raw const (*context.lookup).remote_ip6),
                    words(&raw const (*context.lookup).local_ip6),
                )
            };
            let hash = hash::flow6(remote, [0; 4], remote_port, 0, 0, 0);
            assign::<V6>(context, local, port, protocol as u8, hash);
        }
        _ => {}
    }
}

/// Reads an IPv6 address word by word: the verifier allows no wider load.
///
/// # Safety
/// `address` must be a field of the program's context.
#[inline(always)]
unsafe fn words(address: *const [u32; 4]) -> [u32; 4] {
    let word = address.cast::<u32>();
    // SAFETY: four words, as the caller promises.
    unsafe {
        [
            word.read_volatile(),
            word.add(1).read_volatile(),
            word.add(2).read_volatile(),
            word.add(3).read_volatile(),
        ]
    }
}

#[inline(always)]
fn assign<F: Family>(context: &SkLookupContext, local: F::Words, port: u16, protocol: u8, hash: u32) {
    let Some(frontend) = F::frontend(local, port, protocol) else { return };
    let listeners = settings().listeners;
    if frontend.flags & flags::AGENT_LISTENS == 0 || listeners == 0 || listeners > limits::LISTENERS as u32 {
        return;
    }
    // A share of the hash's range instead of a remainder.
    let index = ((u64::from(hash) * u64::from(listeners)) >> 32) as u32;
    // Without that listener (its agent is gone) the kernel answers.
    let _ = AGENT_SOCKETS.redirect_sk_lookup(context, F::SOCKETS + index, 0);
}
