//! A packet to a frontend, and the calls that decide where it goes.
//!
//! The slow path lies behind functions of its own with plain data between: the verifier walks such a function once,
//! for any argument, instead of once for every way to get there. The fast path (a settled slot, an established
//! connection) makes no call.

use core::ptr;

use gateway_common::{
    abi::{
        backend::{self, Backend},
        flow::FlowKey,
        slot::Slot,
    },
    packet::{ip, tcp},
    verdict::Verdict,
};

use crate::{
    family::{Family, V4, V6},
    flow,
    hook::settings,
    maps::{BACKENDS, RINGS, VISIT4, VISIT6},
    nat::{self, Port},
    refuse,
    reply::Claim,
    udp_flow,
};

/// What decides where a packet goes. Addresses and ports are as on the wire, all else in host order.
#[repr(C)]
pub struct Visit<F: Family> {
    pub client: F::Words,
    pub frontend: F::Words,
    pub client_port: u16,
    pub frontend_port: u16,
    pub protocol: u8,
    /// Of TCP.
    pub flags: u8,
    pub pad: [u8; 2],
    /// Of TCP.
    pub sequence: u32,
    /// Of TCP.
    pub acknowledged: u32,
    pub ring: u32,
    pub ring_mask: u32,
    /// Index in `GATEWAY_STATS`.
    pub gateway: u32,
    /// Index of the slot in the ring.
    pub slot: u32,
    /// [`Slot::current`].
    pub current: u32,
    /// [`Slot::previous`].
    pub previous: u32,
    /// `Settings::now`.
    pub now: u32,
    /// `Settings::stale_after`.
    pub stale_after: u32,
    /// Index of the device that it came in by, at tcx; 0 at XDP.
    pub device: u32,
}

/// Where a packet goes, in one number, as a function that the verifier walks by itself must return it.
#[derive(Clone, Copy)]
pub struct Target(u64);

impl Target {
    const NEW: u64 = 1 << 40;

    /// The endpoint with that id, if the verdict is [`Verdict::Local`].
    #[inline(always)]
    pub fn new(verdict: Verdict, id: u32, is_new: bool) -> Self {
        Self(u64::from(id) | (u64::from(verdict as u8) << 32) | if is_new { Self::NEW } else { 0 })
    }

    /// An endpoint that has this flow already.
    #[inline(always)]
    pub fn known(id: u32) -> Self {
        Self::new(Verdict::Local, id, false)
    }

    /// The verdict.
    #[inline(always)]
    pub fn verdict(self) -> Verdict {
        Verdict::from_number((self.0 >> 32) as u8)
    }

    /// The endpoint's backend id.
    #[inline(always)]
    pub fn id(self) -> u32 {
        self.0 as u32
    }

    /// Whether this packet begins the flow.
    #[inline(always)]
    pub fn is_new(self) -> bool {
        self.0 & Self::NEW != 0
    }
}

/// The functions that the verifier walks by themselves, by family.
pub trait Steer: Family {
    /// This CPU's visit.
    fn visit() -> Option<*mut Visit<Self>>
    where
        Self: Sized;
    /// Where the packet of this CPU's visit goes.
    fn steer() -> Target;
    /// A claim by a TCP packet on a real backend.
    fn claim(visit: &Visit<Self>, id: u32) -> Claim
    where
        Self: Sized;
    /// A claim by a UDP packet on a real backend.
    fn claim_udp(visit: &Visit<Self>, id: u32) -> Claim
    where
        Self: Sized;
    /// Asks for one port of the node's towards a real backend, and claims it if it is free.
    fn probe_port(visit: &Visit<Self>, id: u32, port: u16) -> Port
    where
        Self: Sized;
    /// Takes a port of the node's whose flow is over.
    fn take_port(visit: &Visit<Self>, id: u32, port: u16) -> bool
    where
        Self: Sized;
}

/// Declares the functions of a family. They are exported so that they stay functions, and get the linkage "global"
/// that makes the verifier walk them alone. A pointer may be null for all that it knows.
macro_rules! steer {
    ($family:ty, $visits:ident, $steer:ident, $claim:ident, $claim_udp:ident, $probe_port:ident, $take_port:ident) => {
        impl Steer for $family {
            #[inline(always)]
            fn visit() -> Option<*mut Visit<Self>> {
                $visits.get_ptr_mut(0)
            }

            #[inline(always)]
            fn steer() -> Target {
                Target($steer())
            }

            #[inline(always)]
            fn claim(visit: &Visit<Self>, id: u32) -> Claim {
                Claim::from_number($claim(visit, id))
            }

            #[inline(always)]
            fn claim_udp(visit: &Visit<Self>, id: u32) -> Claim {
                Claim::from_number($claim_udp(visit, id))
            }

            #[inline(always)]
            fn probe_port(visit: &Visit<Self>, id: u32, port: u16) -> Port {
                Port::from_number($probe_port(visit, id, u32::from(port)))
            }

            #[inline(always)]
            fn take_port(visit: &Visit<Self>, id: u32, port: u16) -> bool {
                $take_port(visit, id, u32::from(port)) != 0
            }
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $steer() -> u64 {
            let Some(visit) = $visits.get(0) else { return 0 };
            let target = if visit.protocol == ip::TCP { flow::steer(visit) } else { udp_flow::steer(visit) };
            target.0
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $claim(visit: *const Visit<$family>, id: u32) -> u32 {
            // SAFETY: null, or this CPU's visit.
            let Some(visit) = (unsafe { visit.as_ref() }) else { return Claim::Nowhere as u32 };
            let Some(backend) = BACKENDS.get(id) else { return Claim::Nowhere as u32 };
            visit.claim(id, backend) as u32
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $claim_udp(visit: *const Visit<$family>, id: u32) -> u32 {
            // SAFETY: null, or this CPU's visit.
            let Some(visit) = (unsafe { visit.as_ref() }) else { return Claim::Nowhere as u32 };
            let Some(backend) = BACKENDS.get(id) else { return Claim::Nowhere as u32 };
            visit.claim_udp(id, backend) as u32
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $probe_port(visit: *const Visit<$family>, id: u32, port: u32) -> u32 {
            // SAFETY: null, or this CPU's visit.
            let Some(visit) = (unsafe { visit.as_ref() }) else { return Port::Taken as u32 };
            let Some(backend) = BACKENDS.get(id) else { return Port::Taken as u32 };
            nat::probe(visit, backend, port as u16) as u32
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $take_port(visit: *const Visit<$family>, id: u32, port: u32) -> u32 {
            // SAFETY: null, or this CPU's visit.
            let Some(visit) = (unsafe { visit.as_ref() }) else { return 0 };
            let Some(backend) = BACKENDS.get(id) else { return 0 };
            u32::from(nat::take(visit, backend, port as u16))
        }
    };
}

steer!(V4, VISIT4, steer4, claim4, claim_udp4, probe_port4, take_port4);
steer!(V6, VISIT6, steer6, claim6, claim_udp6, probe_port6, take_port6);

/// Reads a slot, both halves at once.
#[inline(always)]
pub fn slot(ring: u32, index: u32) -> Option<Slot> {
    let slot = RINGS.get_value(ring, &index)?;
    // SAFETY: eight bytes, aligned to eight; user space writes them in one store as well.
    let word = unsafe { ptr::from_ref(slot).cast::<u64>().read_volatile() };
    Some(Slot { current: word as u32, previous: (word >> 32) as u32 })
}

/// For [`endpoint`]: the number comes from a slot, not from an entry that an older endpoint may have left.
pub const ANY_GENERATION: u64 = u64::MAX;

/// The endpoint of a backend id. If there is none, the verdict says why: a pseudo-backend's own, or
/// [`Verdict::BackendDead`] for an endpoint that is gone, or is not the one that the entry was made for.
#[inline(always)]
pub fn endpoint<F: Family>(id: u32, generation: u64) -> (Verdict, Option<&'static Backend>) {
    let verdict = match id {
        backend::KERNEL => Verdict::Kernel,
        backend::AGENT => Verdict::Agent,
        backend::REFUSE => Verdict::Refused,
        backend::DROP => Verdict::Dropped,
        _ if id < backend::FIRST_REAL => Verdict::RingMissing,
        _ => Verdict::Local,
    };
    if verdict != Verdict::Local {
        return (verdict, None);
    }
    match BACKENDS.get(id) {
        Some(backend)
            if backend.mode != backend::mode::UNUSABLE
                && backend.family == F::VERSION
                && (generation == ANY_GENERATION || generation == u64::from(backend.generation)) =>
        {
            (Verdict::Local, Some(backend))
        }
        _ => (Verdict::BackendDead, None),
    }
}

impl<F: Family> Visit<F> {
    /// SYN without ACK.
    #[inline(always)]
    pub fn opens(&self) -> bool {
        self.flags & (tcp::SYN | tcp::ACK) == tcp::SYN
    }

    /// Whether the flag is set.
    #[inline(always)]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether the slot is not settled: flows have to be asked for.
    #[inline(always)]
    pub fn asks(&self) -> bool {
        self.previous != backend::NONE
    }

    /// Key in the flow maps.
    #[inline(always)]
    pub fn flow_key(&self) -> FlowKey<F::Bytes> {
        FlowKey {
            client: F::bytes(self.client),
            frontend: F::bytes(self.frontend),
            client_port: self.client_port.to_ne_bytes(),
            frontend_port: self.frontend_port.to_ne_bytes(),
        }
    }

    /// Whether there was no heartbeat of the agent for too long. Asked for new flows only: it reads a clock.
    #[inline(always)]
    pub fn is_stale(&self) -> bool {
        let heartbeat = self.now.wrapping_add(settings().paused);
        self.stale_after != 0 && refuse::seconds().saturating_sub(heartbeat) > self.stale_after
    }

    /// The id in the candidate slot number `attempt`, NONE if there is no ring; number 0 is the flow's own slot.
    #[inline(always)]
    pub fn candidate(&self, attempt: u32) -> u32 {
        // Odd, so that the walk visits every slot of a ring whose size is a power of two.
        const STRIDE: u32 = 0x9e37_79b1;
        let index = self.slot.wrapping_add(attempt.wrapping_mul(STRIDE)) & self.ring_mask;
        slot(self.ring, index).map_or(backend::NONE, |slot| slot.current)
    }
}
