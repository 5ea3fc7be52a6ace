//! The one way a packet can leave the packet path.

/// Every way a packet can leave. Numbers are never reused: they index `VERDICT_STATS` and are metric labels.
#[must_use]
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No frontend of ours.
    NotOurs = 0,
}
