//! Which backend a TCP packet goes to. A settled slot answers by itself; one that asks knows its flows: those in
//! FLOWS stay where they are, new ones go to `current`, all others to `previous`.

use gateway_common::{
    abi::{
        backend,
        flow::{Flow, FlowKey, state},
    },
    limits,
    packet::tcp,
    verdict::Verdict,
};

use crate::{
    family::Family,
    maps::BACKENDS,
    reply::{ANY, Claim, has_seen_syn_ack, is_in_first_window},
    visit::{ANY_GENERATION, Steer, Target, Visit, endpoint},
};

/// State bits that a packet of the client's sets.
#[inline(always)]
pub fn client_bits(flags: u8) -> u32 {
    if flags & tcp::RST != 0 {
        state::RST
    } else if flags & tcp::FIN != 0 {
        state::CLIENT_FIN
    } else {
        0
    }
}

/// Takes the bits of a packet into an entry's state, if they are news. Whatever comes after a RST shows that the end it
/// was meant for did not believe it (RFC 5961): anybody can forge one, only the ends know its sequence number.
#[inline(always)]
pub fn take(state: &mut u32, bits: u32) {
    let old = *state;
    let kept = if bits & state::RST == 0 { old & !state::RST } else { old };
    if kept | bits != old {
        *state = kept | bits;
    }
}

/// Writes "last seen", if it is news: a shared cache line is not dirtied more than once a second.
#[inline(always)]
pub fn stamp(seen: &mut u32, now: u32) {
    if *seen != now {
        *seen = now;
    }
}

/// Why a backend is tried.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The flow maps have to be asked first.
    Ask,
    /// A SYN that begins a connection: the slot's `current`, or that of a candidate.
    New,
    /// A settled slot says so.
    Settled,
    /// FLOWS says so, or whoever holds a SYN's connection already.
    Known,
    /// EMBRYO says so.
    Handshake,
    /// EMBRYO says so, and the client has seen the SYN-ACK.
    Proven,
    /// Nobody knows the flow: `previous`.
    Old,
    /// A settled slot's backend does not know the flow, nor does anyone else.
    Stray,
    /// A SYN that the kernel gets, because the agent is away.
    Stale,
}

/// A backend that is tried.
#[derive(Clone, Copy)]
struct Step {
    reason: Reason,
    id: u32,
    /// Of the entry that names the id, or [`ANY_GENERATION`].
    generation: u64,
}

impl Step {
    /// A number out of a slot.
    #[inline(always)]
    fn slot(reason: Reason, id: u32) -> Self {
        Self { reason, id, generation: ANY_GENERATION }
    }

    /// A number out of a flow map.
    #[inline(always)]
    fn entry(reason: Reason, flow: &Flow) -> Self {
        Self { reason, id: flow.backend, generation: u64::from(flow.generation) }
    }
}

/// The endpoint of a TCP packet, or the verdict that it has none.
///
/// A loop, because an answer may lead to the next question; and because the verifier then walks the claim, which
/// is most of the code, in one place.
#[inline(always)]
pub fn steer<F: Steer>(visit: &Visit<F>) -> Target {
    let key = &visit.flow_key();
    let mut step = if visit.opens() { open(visit, key) } else { carry_on(visit) };
    let mut attempt = 0;
    while attempt <= limits::CANDIDATES {
        if step.reason == Reason::Ask {
            step = ask(visit, key);
        }
        let (mut verdict, backend) = endpoint::<F>(step.id, step.generation);
        if step.reason == Reason::Stale {
            verdict = Verdict::Stale;
        }
        let claim = if backend.is_some() { F::claim(visit, step.id) } else { Claim::Nowhere };
        match (step.reason, claim) {
            (Reason::New, Claim::Conflict) => {}
            (Reason::New, Claim::Nowhere) if attempt > 0 => {}
            // It may have had to take another slot's backend, or the kernel while the agent was away.
            (Reason::Settled, Claim::Conflict | Claim::Missing) => step.reason = Reason::Ask,
            (Reason::Settled, Claim::Nowhere) if verdict == Verdict::BackendDead => step.reason = Reason::Ask,
            _ => {
                let is_noted = note(visit, key, step, claim, verdict, attempt > 0);
                return if is_noted {
                    target(claim, verdict, step.id)
                } else {
                    Target::new(Verdict::FlowsFull, step.id, false)
                };
            }
        }
        attempt += 1;
        if step.reason == Reason::New {
            step.id = visit.candidate(attempt);
        }
    }
    Target::new(Verdict::NoCandidate, backend::NONE, false)
}

/// What a claim, or the lack of an endpoint to claim, means for the packet.
#[inline(always)]
pub fn target(claim: Claim, verdict: Verdict, id: u32) -> Target {
    let verdict = match claim {
        Claim::Established | Claim::Begun | Claim::Embryonic => Verdict::Local,
        Claim::Conflict | Claim::Missing => Verdict::NoState,
        Claim::Full => Verdict::RepliesFull,
        Claim::Stale => Verdict::Stale,
        Claim::NoPort => Verdict::NoNatPort,
        Claim::Nowhere => verdict,
    };
    Target::new(verdict, id, claim == Claim::Begun)
}

/// Writes down what a later packet will ask for; false if FLOWS is full.
#[inline(always)]
fn note<F: Family>(
    visit: &Visit<F>,
    key: &FlowKey<F::Bytes>,
    step: Step,
    claim: Claim,
    verdict: Verdict,
    is_candidate: bool,
) -> bool {
    let is_dead = claim == Claim::Nowhere && verdict == Verdict::BackendDead;
    match step.reason {
        // A SYN that was turned away is a new one when it comes again.
        Reason::New
            if (visit.asks() || is_candidate)
                && !is_dead
                && claim != Claim::NoPort
                && !turns_away(step.id) =>
        {
            remember(visit, key, step.id);
        }
        Reason::Proven => return promote(visit, key),
        // The end of the handshake was seen by the reply path alone.
        Reason::Handshake if claim == Claim::Established => return promote(visit, key),
        Reason::Old if !is_dead && (claim == Claim::Established || claim == Claim::Nowhere) => {
            note_old(visit, key, step.id);
        }
        Reason::Ask
        | Reason::New
        | Reason::Settled
        | Reason::Known
        | Reason::Handshake
        | Reason::Old
        | Reason::Stray
        | Reason::Stale => {}
    }
    true
}

/// Whether no connection can live at that backend.
#[inline(always)]
pub fn turns_away(id: u32) -> bool {
    id == backend::REFUSE || id == backend::DROP
}

/// A SYN. One that is repeated, or meets its live connection, goes where that is: the pod knows what to say.
#[inline(always)]
fn open<F: Steer>(visit: &Visit<F>, key: &FlowKey<F::Bytes>) -> Step {
    if visit.asks() {
        let holder = holder(visit, key);
        if holder != backend::NONE {
            return Step::slot(Reason::Known, holder);
        }
    }
    if visit.current != backend::KERNEL && visit.is_stale() {
        remember(visit, key, backend::KERNEL);
        return Step::slot(Reason::Stale, backend::KERNEL);
    }
    Step::slot(Reason::New, visit.current)
}

/// Not a SYN.
#[inline(always)]
fn carry_on<F: Family>(visit: &Visit<F>) -> Step {
    let reason = if visit.asks() { Reason::Ask } else { Reason::Settled };
    Step::slot(reason, visit.current)
}

/// Who has this SYN's connection already: a live entry of FLOWS, the same SYN in EMBRYO, or `previous`; NONE if
/// nobody has, or if that endpoint is gone: the connection begins anew.
#[inline(always)]
fn holder<F: Steer>(visit: &Visit<F>, key: &FlowKey<F::Bytes>) -> u32 {
    if let Some(flow) = F::flows().get_ptr_mut(key) {
        // SAFETY: a live entry; racing writers of single words are harmless.
        let flow = unsafe { &mut *flow };
        if !state::is_closing(flow.state) && is_alive::<F>(flow) {
            stamp(&mut flow.seen, visit.now);
            return flow.backend;
        }
        let _ = F::flows().remove(key);
    }
    // SAFETY: read once, at once.
    if let Some(embryo) = unsafe { F::embryo().get(key) }
        && embryo.client_isn == visit.sequence
        && is_alive::<F>(embryo)
    {
        return embryo.backend;
    }
    match endpoint::<F>(visit.previous, ANY_GENERATION).1 {
        Some(backend) if visit.is_held_by(backend) => visit.previous,
        _ => backend::NONE,
    }
}

/// Whether an entry's endpoint is still there.
#[inline(always)]
pub fn is_alive<F: Family>(flow: &Flow) -> bool {
    endpoint::<F>(flow.backend, u64::from(flow.generation)).0 != Verdict::BackendDead
}

/// Asks FLOWS and EMBRYO; what neither knows belongs to `previous`.
#[inline(always)]
fn ask<F: Family>(visit: &Visit<F>, key: &FlowKey<F::Bytes>) -> Step {
    if let Some(flow) = F::flows().get_ptr_mut(key) {
        // SAFETY: a live entry; racing writers of single words are harmless.
        let flow = unsafe { &mut *flow };
        stamp(&mut flow.seen, visit.now);
        take(&mut flow.state, client_bits(visit.flags));
        return Step::entry(Reason::Known, flow);
    }
    // SAFETY: read once, at once.
    if let Some(embryo) = unsafe { F::embryo().get(key) }
        && is_in_first_window(visit.sequence, embryo.client_isn)
    {
        let is_proven = has_seen_syn_ack(visit, embryo.state, embryo.server_isn);
        return Step::entry(if is_proven { Reason::Proven } else { Reason::Handshake }, embryo);
    }
    if visit.asks() {
        return Step::slot(Reason::Old, visit.previous);
    }
    Step::slot(Reason::Stray, visit.current)
}

/// An entry for a flow map.
#[inline(always)]
pub fn new_flow<F: Family>(visit: &Visit<F>, id: u32, client_isn: u32) -> Flow {
    Flow {
        backend: id,
        generation: BACKENDS.get(id).map_or(0, |backend| backend.generation),
        ring: visit.ring,
        slot: visit.slot,
        client_isn,
        server_isn: 0,
        seen: visit.now,
        state: 0,
    }
}

/// Notes a SYN in EMBRYO.
#[inline(always)]
fn remember<F: Family>(visit: &Visit<F>, key: &FlowKey<F::Bytes>, id: u32) {
    // A full LRU map makes room; should it fail all the same, the client's next SYN tries again.
    let _ = F::embryo().insert(key, &new_flow(visit, id, visit.sequence), ANY);
}

/// EMBRYO → FLOWS; false if FLOWS is full.
#[inline(always)]
fn promote<F: Family>(visit: &Visit<F>, key: &FlowKey<F::Bytes>) -> bool {
    let Some(embryo) = F::embryo().get_ptr_mut(key) else { return true };
    // SAFETY: a live entry; racing writers of single words are harmless.
    let embryo = unsafe { &mut *embryo };
    embryo.seen = visit.now;
    embryo.state |= client_bits(visit.flags);
    F::flows().insert(key, &*embryo, ANY).is_ok()
}

/// Notes in OLD a flow that went to `previous`, so that the slot does not settle under it.
#[inline(always)]
fn note_old<F: Family>(visit: &Visit<F>, key: &FlowKey<F::Bytes>, id: u32) {
    let bits = client_bits(visit.flags);
    if let Some(old) = F::old().get_ptr_mut(key) {
        // SAFETY: a live entry; racing writers of single words are harmless.
        let old = unsafe { &mut *old };
        if old.backend == id {
            stamp(&mut old.seen, visit.now);
            take(&mut old.state, bits);
            return;
        }
    }
    let mut flow = new_flow(visit, id, 0);
    flow.state = bits;
    // Losing an entry lets the slot settle earlier; the flow itself is in REPLIES.
    let _ = F::old().insert(key, &flow, ANY);
}
