//! Turning a packet into its own answer and sending it back: MAC addresses swapped, everything from the IP header
//! on replaced. Tags of VLANs stay.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{
        bpf_skb_adjust_room, bpf_skb_change_tail, bpf_skb_store_bytes, bpf_xdp_adjust_head,
        bpf_xdp_adjust_tail,
    },
    programs::{TcContext, XdpContext},
};
use gateway_common::packet::eth;

use crate::{
    hook::{Failed, Hook},
    raw::At,
};

/// Bytes of the longest header in front of IP: Ethernet and two tags.
const MAX_L2: usize = eth::HEADER + eth::MAX_TAGS * eth::TAG;

/// An answer: an IP header and what follows it, in 32-bit words as they are on the wire.
///
/// # Safety
/// The type must be `repr(C)` and consist of `u32` only.
pub unsafe trait Answer: Sized {
    /// How many words.
    const WORDS: usize = size_of::<Self>() / 4;
}

/// The two MAC addresses, in three words.
#[derive(Clone, Copy)]
struct Macs([u32; 3]);

impl Macs {
    #[inline(always)]
    fn load(at: At) -> Self {
        Self([at.word::<0>(), at.word::<4>(), at.word::<8>()])
    }

    /// Destination and source exchanged. Little-endian words: this target is `bpfel`.
    #[inline(always)]
    fn swapped(self) -> Self {
        let Self([w0, w1, w2]) = self;
        Self([(w1 >> 16) | (w2 << 16), (w2 >> 16) | (w0 << 16), (w0 >> 16) | (w1 << 16)])
    }

    #[inline(always)]
    fn store(self, at: At) {
        let Self([w0, w1, w2]) = self;
        at.set_word::<0>(w0);
        at.set_word::<4>(w1);
        at.set_word::<8>(w2);
    }
}

/// Writes `answer`; the bounds check is the caller's.
#[inline(always)]
fn store<A: Answer>(at: At, answer: &A) {
    let words = core::ptr::from_ref(answer).cast::<u32>();
    for index in 0..A::WORDS {
        // SAFETY: the answer consists of that many words.
        at.plus(index * 4).set_word::<0>(unsafe { words.add(index).read() });
    }
}

/// Cuts the frame to `len` bytes.
#[inline(always)]
fn cut_xdp(hook: &XdpContext, len: usize) -> Result<(), Failed> {
    let surplus = hook.frame_len() as i32 - len as i32;
    // SAFETY: the context is the program's own; addresses are taken anew afterwards.
    match unsafe { bpf_xdp_adjust_tail(hook.ctx, -surplus) } {
        0 => Ok(()),
        _ => Err(Failed),
    }
}

/// See [`Hook::replace`].
#[inline(always)]
pub fn replace_xdp<A: Answer>(hook: &XdpContext, l3: usize, answer: &A) -> Result<(), Failed> {
    cut_xdp(hook, l3 + A::WORDS * 4)?;
    store(hook.at(l3, A::WORDS * 4).ok_or(Failed)?, answer);
    let macs = hook.at(0, eth::HEADER).ok_or(Failed)?;
    Macs::load(macs).swapped().store(macs);
    Ok(())
}

/// See [`Hook::set_source_mac`].
#[inline(always)]
pub fn set_source_mac_xdp(hook: &XdpContext, [m0, m1, m2, m3, m4, m5]: [u8; 6]) -> Result<(), Failed> {
    let at = hook.at(0, eth::HEADER).ok_or(Failed)?;
    at.set_half::<6>(u16::from_ne_bytes([m0, m1]));
    at.set_word::<8>(u32::from_ne_bytes([m2, m3, m4, m5]));
    Ok(())
}

/// See [`Hook::set_source_mac`].
#[inline(always)]
pub fn set_source_mac_skb(hook: &TcContext, mac: [u8; 6]) -> Result<(), Failed> {
    const SOURCE: u32 = 6;
    // SAFETY: the context is the program's own, and what is stored outlives the call.
    match unsafe { bpf_skb_store_bytes(hook.as_ptr().cast(), SOURCE, (&raw const mac).cast(), 6, 0) } {
        0 => Ok(()),
        _ => Err(Failed),
    }
}

/// See [`Hook::quote`].
#[inline(always)]
pub fn quote_xdp<A: Answer>(hook: &XdpContext, l3: usize, quote: usize, answer: &A) -> Result<(), Failed> {
    cut_xdp(hook, l3 + quote)?;
    // SAFETY: the context is the program's own; addresses are taken anew afterwards.
    if unsafe { bpf_xdp_adjust_head(hook.ctx, -((A::WORDS * 4) as i32)) } != 0 {
        return Err(Failed);
    }
    // Type and tags move as the ten bytes of the longest case: what is too much is overwritten by the new header.
    let old = hook.at(A::WORDS * 4, MAX_L2).ok_or(Failed)?;
    let (macs, tags) = (Macs::load(old), (old.word::<12>(), old.word::<16>(), old.half::<20>()));
    let new = hook.at(0, MAX_L2).ok_or(Failed)?;
    macs.swapped().store(new);
    new.set_word::<12>(tags.0);
    new.set_word::<16>(tags.1);
    new.set_half::<20>(tags.2);
    store(hook.at(l3, A::WORDS * 4).ok_or(Failed)?, answer);
    Ok(())
}

/// Writes `answer` at `l3` and swaps the MAC addresses.
#[inline(always)]
fn finish_skb<A: Answer>(hook: &TcContext, l3: usize, answer: &A) -> Result<(), Failed> {
    let macs = Macs::load(hook.at(0, eth::HEADER).ok_or(Failed)?).swapped();
    // SAFETY: the context is the program's own, and what is stored outlives the calls.
    let failed = unsafe {
        bpf_skb_store_bytes(hook.as_ptr().cast(), 0, (&raw const macs.0).cast(), 12, 0)
            | bpf_skb_store_bytes(
                hook.as_ptr().cast(),
                l3 as u32,
                core::ptr::from_ref(answer).cast(),
                (A::WORDS * 4) as u32,
                0,
            )
    };
    if failed == 0 { Ok(()) } else { Err(Failed) }
}

/// See [`Hook::replace`].
#[inline(always)]
pub fn replace_skb<A: Answer>(hook: &TcContext, l3: usize, answer: &A) -> Result<(), Failed> {
    // SAFETY: the context is the program's own; addresses are taken anew afterwards.
    if unsafe { bpf_skb_change_tail(hook.as_ptr().cast(), (l3 + A::WORDS * 4) as u32, 0) } != 0 {
        return Err(Failed);
    }
    finish_skb(hook, l3, answer)
}

/// See [`Hook::is_checksum_left`]; `at` is the checksum's offset. No helper tells, but none cuts a packet inside a
/// checksum that is yet to be completed.
#[inline(always)]
pub fn is_checksum_left(hook: &TcContext, at: usize) -> Result<bool, Failed> {
    let checksum = hook.at(at, 2).ok_or(Failed)?.half::<0>();
    let skb = hook.as_ptr().cast();
    // SAFETY: the context is the program's own, and what is stored outlives the calls.
    unsafe {
        if bpf_skb_change_tail(skb, (at + 1) as u32, 0) != 0 {
            return Ok(true);
        }
        let failed = bpf_skb_change_tail(skb, (at + 2) as u32, 0)
            | bpf_skb_store_bytes(skb, at as u32, (&raw const checksum).cast(), 2, 0);
        if failed == 0 { Ok(false) } else { Err(Failed) }
    }
}

/// `BPF_ADJ_ROOM_MAC`: between the Ethernet and the IP header.
const ROOM_AFTER_MAC: u32 = 1;

/// See [`Hook::quote`].
#[inline(always)]
pub fn quote_skb<A: Answer>(hook: &TcContext, l3: usize, quote: usize, answer: &A) -> Result<(), Failed> {
    let skb = hook.as_ptr().cast();
    // SAFETY: the context is the program's own; addresses are taken anew afterwards.
    let failed = unsafe {
        bpf_skb_change_tail(skb, (l3 + quote) as u32, 0)
            | bpf_skb_adjust_room(skb, (A::WORDS * 4) as i32, ROOM_AFTER_MAC, 0)
    };
    if failed != 0 {
        return Err(Failed);
    }
    finish_skb(hook, l3, answer)
}
