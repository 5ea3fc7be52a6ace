//! REFUSALS: how many packets each CPU has refused in this second.

use super::pod;

/// Value of REFUSALS (per-CPU array of one).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Refusals {
    /// Second of `CLOCK_MONOTONIC` that `sent` belongs to.
    pub second: u32,
    /// Refusals sent in it.
    pub sent: u32,
}

const _: () = assert!(size_of::<Refusals>() == 8);
pod!(Refusals);
