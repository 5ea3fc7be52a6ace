//! Which backend a UDP packet goes to. There is no handshake to wait for: a flow is what was seen lately, in LRU
//! maps of its own.

use gateway_common::{
    abi::{backend, flow::FlowKey},
    limits,
    verdict::Verdict,
};

use crate::{
    family::Family,
    flow::{is_alive, new_flow, stamp, target, turns_away},
    reply::{ANY, Claim},
    visit::{ANY_GENERATION, Steer, Target, Visit, endpoint},
};

/// Why a backend is tried.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// `UDP_FLOWS` says so.
    Known,
    /// The flow was seen there before the slot changed.
    Previous,
    /// The slot's `current`, or that of a candidate.
    Current,
}

/// The endpoint of a UDP packet, or the verdict that it has none.
#[inline(always)]
pub fn steer<F: Steer>(visit: &Visit<F>) -> Target {
    let key = &visit.flow_key();
    let mut has_asked = visit.asks();
    let (mut reason, mut id) = if has_asked { ask(visit, key) } else { (Reason::Current, visit.current) };
    let mut candidate = 0;
    let mut turn = 0;
    while turn <= limits::CANDIDATES {
        turn += 1;
        let (verdict, backend) = endpoint::<F>(id, ANY_GENERATION);
        let claim = if backend.is_some() { F::claim_udp(visit, id) } else { Claim::Nowhere };
        if claim != Claim::Conflict && (claim != Claim::Nowhere || candidate == 0) {
            let is_dead = claim == Claim::Nowhere && verdict == Verdict::BackendDead;
            let is_kept = reason != Reason::Known && (visit.asks() || candidate > 0);
            // A flow that was turned away is a new one when it comes again.
            if is_kept && !is_dead && claim != Claim::Stale && claim != Claim::NoPort && !turns_away(id) {
                remember(visit, key, id);
            }
            return target(claim, verdict, id);
        }
        if reason != Reason::Current {
            (reason, id) = (Reason::Current, visit.current);
            continue;
        }
        if !has_asked {
            // Another slot's backend may have been taken already.
            has_asked = true;
            let known = known(visit, key);
            if known != backend::NONE {
                (reason, id) = (Reason::Known, known);
                continue;
            }
        }
        candidate += 1;
        id = visit.candidate(candidate);
    }
    Target::new(Verdict::NoCandidate, backend::NONE, false)
}

/// The first backend to try on an asking slot.
#[inline(always)]
fn ask<F: Steer>(visit: &Visit<F>, key: &FlowKey<F::Bytes>) -> (Reason, u32) {
    let known = known(visit, key);
    if known != backend::NONE {
        return (Reason::Known, known);
    }
    match endpoint::<F>(visit.previous, ANY_GENERATION).1 {
        Some(backend) if visit.is_held_by_udp(backend) => (Reason::Previous, visit.previous),
        _ => (Reason::Current, visit.current),
    }
}

/// Asks `UDP_FLOWS`; NONE if it does not know. An entry whose endpoint is gone does not count: the flow begins anew.
#[inline(always)]
fn known<F: Steer>(visit: &Visit<F>, key: &FlowKey<F::Bytes>) -> u32 {
    let Some(flow) = F::udp_flows().get_ptr_mut(key) else { return backend::NONE };
    // SAFETY: a live entry; racing writers of single words are harmless.
    let flow = unsafe { &mut *flow };
    if !visit.is_fresh(flow.seen) || !is_alive::<F>(flow) {
        return backend::NONE;
    }
    stamp(&mut flow.seen, visit.now);
    flow.backend
}

/// Notes the flow in `UDP_FLOWS`.
#[inline(always)]
fn remember<F: Family>(visit: &Visit<F>, key: &FlowKey<F::Bytes>, id: u32) {
    // A full LRU map makes room; should it fail all the same, the next packet tries again.
    let _ = F::udp_flows().insert(key, &new_flow(visit, id, 0), ANY);
}
