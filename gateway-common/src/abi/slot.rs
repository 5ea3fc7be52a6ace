//! Rings: an array of [`Slot`] per gateway and address family, mmap'd by user space and written in place.

use super::pod;

/// One slot of a ring; read and written as one aligned 64-bit word, never in halves.
///
/// A *settled* slot has `previous == NONE`: every packet goes to `current` and no flow table is asked. A
/// slot with a `previous` makes the packet path ASK: only new connections go to `current`, flows that are
/// known go where they were, unknown ones to `previous`, the last settled backend.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Slot {
    /// Backend id (or pseudo-backend) that takes new connections.
    pub current: u32,
    /// Backend id (or pseudo-backend) that keeps the unknown live ones; [`super::backend::NONE`] when settled.
    pub previous: u32,
}

const _: () = assert!(size_of::<Slot>() == 8);
pod!(Slot);
