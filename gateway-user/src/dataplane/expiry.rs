//! When an entry of a flow table has outlived its connection: pure functions of entry and clock.

use gateway_common::abi::flow::state;

/// Seconds without a packet after which an entry is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleTimes {
    /// An established TCP connection. More than two hours, the default of TCP keep-alive.
    pub established: u32,
    /// A TCP connection that is over (RST, or FIN both ways), or whose endpoint is gone.
    pub closing: u32,
    /// A TCP handshake under way.
    pub handshake: u32,
    /// UDP.
    pub udp: u32,
}

impl Default for IdleTimes {
    fn default() -> Self {
        Self { established: 8_000, closing: 60, handshake: 60, udp: gateway_common::limits::UDP_IDLE_SECONDS }
    }
}

/// What a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// TCP connections.
    Established,
    /// TCP handshakes.
    Handshake,
    /// UDP flows.
    Udp,
}

/// The part of an entry that decides about its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Bits of [`state`].
    pub(super) state: u32,
    /// Second of the last packet.
    pub(super) seen: u32,
    /// The backend it names exists, and is the one that it named when it was made.
    pub(super) alive: bool,
}

/// Whether the entry is to be removed at second `now`.
pub(super) fn is_over(kind: Kind, entry: Entry, now: u32, times: &IdleTimes) -> bool {
    let idle = now.saturating_sub(entry.seen);
    let limit = match kind {
        Kind::Udp => times.udp,
        Kind::Handshake => times.handshake,
        Kind::Established => times.established,
    };
    let limit = if entry.alive && !state::is_closing(entry.state) { limit } else { limit.min(times.closing) };
    idle > limit
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Entry = Entry { state: 0, seen: 1_000, alive: true };

    fn over(kind: Kind, entry: Entry, now: u32) -> bool {
        is_over(kind, entry, now, &IdleTimes::default())
    }

    #[test]
    fn a_silent_connection_outlives_two_hours() {
        assert!(!over(Kind::Established, LIVE, 1_000 + 7_201));
        assert!(over(Kind::Established, LIVE, 1_000 + 8_001));
    }

    #[test]
    fn a_finished_connection_leaves_after_a_minute() {
        for bits in [state::RST, state::CLIENT_FIN | state::SERVER_FIN] {
            assert!(over(Kind::Established, Entry { state: bits, ..LIVE }, 1_061));
            assert!(!over(Kind::Established, Entry { state: bits, ..LIVE }, 1_060));
        }
        assert!(!over(Kind::Established, Entry { state: state::CLIENT_FIN, ..LIVE }, 1_061), "half-closed");
    }

    #[test]
    fn entries_of_dead_endpoints_leave_after_a_minute() {
        assert!(over(Kind::Established, Entry { alive: false, ..LIVE }, 1_061));
    }

    #[test]
    fn an_entry_stamped_after_the_clock_was_read_stays() {
        assert!(!over(Kind::Udp, Entry { seen: 2_000, ..LIVE }, 1_999));
    }
}
