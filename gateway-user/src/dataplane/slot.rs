//! How a slot of a ring changes: pure functions.
//!
//! A slot is *settled* (no `previous`), or it *asks*: new connections go to `current`, live ones that the flow
//! tables know go where they were, all others to `previous`, the last settled backend. So no change of a
//! ring moves a live connection, however many changes follow one another.

use gateway_common::abi::{
    backend::{AGENT, DROP, KERNEL, NONE, REFUSE},
    slot::Slot,
};

/// A slot of a frontend that Weir sees for the first time: what is open by now belongs to the kernel.
pub(super) fn first(desired: u32) -> Slot {
    if desired == KERNEL { settled(KERNEL) } else { Slot { current: desired, previous: KERNEL } }
}

/// A slot with one backend for every packet.
pub(super) fn settled(current: u32) -> Slot {
    Slot { current, previous: NONE }
}

/// The slot after new connections are to go to `desired`.
///
/// An asking slot keeps its `previous`, also when `desired` is an earlier value: connections made in between
/// are known to the flow tables only. A settled slot that held no connections (it refused or dropped them)
/// changes without asking.
pub(super) fn transition(slot: Slot, desired: u32) -> Slot {
    if slot.current == desired {
        slot
    } else if slot.previous != NONE {
        Slot { current: desired, previous: slot.previous }
    } else if holds_connections(slot.current) {
        Slot { current: desired, previous: slot.current }
    } else {
        settled(desired)
    }
}

/// Whether connections may live at `backend`: everywhere but at the pseudo-backends that end them.
fn holds_connections(backend: u32) -> bool {
    !matches!(backend, NONE | REFUSE | DROP)
}

/// What is known about an asking slot when it is asked whether it may settle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// The drain window since the last change is over.
    pub(super) window_over: bool,
    /// `previous` is a real backend that exists no more: its connections get a RST anyway.
    pub(super) previous_dead: bool,
    /// The flow tables hold live connections of the slot that settling would move: to a backend other than
    /// `current`.
    pub(super) held_elsewhere: bool,
}

/// The slot if it may settle now.
pub(super) fn settle(slot: Slot, drain: Drain) -> Option<Slot> {
    let waited = drain.window_over || drain.previous_dead;
    (slot.previous != NONE && waited && !drain.held_elsewhere).then(|| settled(slot.current))
}

/// Whether `slot` sends anything to the agent's listeners.
pub(super) fn needs_agent(slot: Slot) -> bool {
    slot.current == AGENT || slot.previous == AGENT
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use gateway_common::abi::backend::FIRST_REAL;
    use proptest::prelude::*;

    use super::*;

    const A: u32 = FIRST_REAL;
    const B: u32 = FIRST_REAL + 1;
    const C: u32 = FIRST_REAL + 2;

    #[test]
    fn a_change_keeps_the_settled_backend_as_previous() {
        assert_eq!(transition(settled(A), B), Slot { current: B, previous: A });
    }

    #[test]
    fn further_changes_keep_the_last_settled_backend() {
        let slot = transition(transition(settled(A), B), C);
        assert_eq!(slot, Slot { current: C, previous: A });
    }

    #[test]
    fn going_back_to_the_earlier_value_still_asks() {
        let slot = transition(transition(settled(A), B), A);
        assert_eq!(slot, Slot { current: A, previous: A });
    }

    #[test]
    fn a_frontend_seen_first_leaves_open_connections_to_the_kernel() {
        assert_eq!(first(A), Slot { current: A, previous: KERNEL });
        assert_eq!(transition(first(A), B), Slot { current: B, previous: KERNEL });
    }

    #[test]
    fn the_first_condition_moves_no_open_connection() {
        assert_eq!(transition(settled(A), AGENT), Slot { current: AGENT, previous: A });
        assert_eq!(transition(settled(AGENT), A), Slot { current: A, previous: AGENT });
    }

    #[test]
    fn a_slot_that_refused_has_nothing_to_ask_for() {
        assert_eq!(transition(settled(REFUSE), A), settled(A));
        assert_eq!(transition(settled(DROP), A), settled(A));
    }

    #[test]
    fn a_dead_previous_settles_at_once_unless_others_hold_connections() {
        let slot = Slot { current: C, previous: A };
        let drain = Drain { window_over: false, previous_dead: true, held_elsewhere: false };
        assert_eq!(settle(slot, drain), Some(settled(C)));
        assert_eq!(settle(slot, Drain { held_elsewhere: true, ..drain }), None);
        assert_eq!(settle(slot, Drain { previous_dead: false, ..drain }), None);
        assert_eq!(
            settle(slot, Drain { previous_dead: false, window_over: true, ..drain }),
            Some(settled(C))
        );
        assert_eq!(settle(settled(C), drain), None);
    }

    /// The packet path's rule, as far as one slot is concerned: where a packet of a connection goes.
    fn place(slot: Slot, flows: &HashMap<u32, u32>, connection: u32) -> u32 {
        if slot.previous == NONE {
            return slot.current;
        }
        flows.get(&connection).copied().unwrap_or(slot.previous)
    }

    #[derive(Clone, Debug)]
    enum Event {
        Change(u32),
        Connect,
        WindowEnds,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let backend = prop_oneof![Just(A), Just(B), Just(C), Just(AGENT), Just(REFUSE)];
        let event = prop_oneof![
            3 => backend.prop_map(Event::Change),
            3 => Just(Event::Connect),
            1 => Just(Event::WindowEnds)
        ];
        proptest::collection::vec(event, 1..60)
    }

    proptest! {
        #[test]
        fn no_sequence_of_changes_moves_a_live_connection(start in A..=C, events in events()) {
            let mut slot = settled(start);
            let mut flows = HashMap::new();
            let mut homes: HashMap<u32, u32> = HashMap::from([(0, start)]);
            for (number, event) in (1_u32..).zip(events) {
                match event {
                    Event::Change(to) => slot = transition(slot, to),
                    Event::Connect if holds_connections(slot.current) => {
                        homes.insert(number, slot.current);
                        if slot.previous != NONE {
                            flows.insert(number, slot.current);
                        }
                    }
                    Event::Connect => {}
                    Event::WindowEnds => {
                        let held = flows.values().any(|&backend| backend != slot.current);
                        // A connection that only `previous` knows is over after the window: it was silent.
                        if let Some(after) =
                            settle(slot, Drain { window_over: true, previous_dead: false, held_elsewhere: held })
                        {
                            homes.retain(|c, home| flows.contains_key(c) || *home == after.current);
                            slot = after;
                        }
                    }
                }
                for (connection, home) in &homes {
                    prop_assert_eq!(place(slot, &flows, *connection), *home);
                }
            }
        }

        #[test]
        fn new_connections_follow_every_change_at_once(start in A..=C, changes in proptest::collection::vec(A..=C, 1..20)) {
            let mut slot = settled(start);
            for to in changes {
                slot = transition(slot, to);
                prop_assert_eq!(slot.current, to);
            }
        }
    }
}
