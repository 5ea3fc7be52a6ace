//! Giving out the small numbers by which kernel maps name gateways, routes and backends.
//!
//! A number that is no longer wanted is *quarantined*: entries of flow tables may still name it. Only a scan of
//! all tables that began later and found it nowhere frees it.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

/// Numbers by key.
#[derive(Clone, Debug)]
pub(super) struct Ids<K> {
    by_key: HashMap<K, u32>,
    /// Numbers not wanted any more, with the scan (by its number) that was the last to begin before.
    quarantine: HashMap<u32, u64>,
    free: BTreeSet<u32>,
    /// Numbers from here to `end` were never given out.
    next: u32,
    end: u32,
}

impl<K: Clone + Eq + Hash> Ids<K> {
    /// Numbers `start..end`, all free.
    pub(super) fn new(start: u32, end: u32) -> Self {
        Self { by_key: HashMap::new(), quarantine: HashMap::new(), free: BTreeSet::new(), next: start, end }
    }

    /// Takes over what an earlier agent gave out. False where the number is out of range or taken.
    pub(super) fn adopt(&mut self, key: K, id: u32) -> bool {
        if id >= self.end || self.by_key.contains_key(&key) {
            return false;
        }
        if id >= self.next {
            self.free.extend(self.next..id);
            self.next = id + 1;
        } else if !self.free.remove(&id) {
            return false;
        }
        self.by_key.insert(key, id);
        true
    }

    /// The number of `key`, given out now if it has none; one in quarantine comes back. `None`: all are taken.
    pub(super) fn give(&mut self, key: &K) -> Option<u32> {
        if let Some(&id) = self.by_key.get(key) {
            self.quarantine.remove(&id);
            return Some(id);
        }
        let id = match self.free.pop_first() {
            Some(id) => id,
            None if self.next < self.end => {
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        self.by_key.insert(key.clone(), id);
        Some(id)
    }

    /// The number of `key`, quarantined or not.
    pub(super) fn get(&self, key: &K) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// No longer wanted. `scan` is the number of the last scan that has begun.
    pub(super) fn retire(&mut self, id: u32, scan: u64) {
        self.quarantine.entry(id).or_insert(scan);
    }

    /// Takes back a number that was given out and written nowhere: it is free at once.
    pub(super) fn take_back(&mut self, id: u32) {
        self.quarantine.remove(&id);
        let owned = self.by_key.extract_if(|_, given| *given == id).count();
        self.free.extend((owned > 0).then_some(id));
    }

    /// Whether the number is in quarantine.
    pub(super) fn is_retired(&self, id: u32) -> bool {
        self.quarantine.contains_key(&id)
    }

    /// Whether any number is in quarantine.
    pub(super) fn has_retired(&self) -> bool {
        !self.quarantine.is_empty()
    }

    /// Frees what scan number `scan` found nowhere (`seen` says what it found) and was retired before it began.
    pub(super) fn release(&mut self, scan: u64, seen: impl Fn(u32) -> bool) -> Vec<(K, u32)> {
        let gone: BTreeSet<u32> = self
            .quarantine
            .iter()
            .filter(|&(&id, &since)| since < scan && !seen(id))
            .map(|(&id, _)| id)
            .collect();
        self.quarantine.retain(|id, _| !gone.contains(id));
        self.free.extend(&gone);
        self.by_key.extract_if(|_, id| gone.contains(id)).collect()
    }

    /// One more than the highest number ever given out.
    pub(super) fn high_water(&self) -> u32 {
        self.next
    }

    /// One more than the highest number that can be given out.
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// All numbers in use or in quarantine, with their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, u32)> {
        self.by_key.iter().map(|(key, &id)| (key, id))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_keeps_its_number() {
        let mut ids = Ids::new(16, 20);
        assert_eq!((ids.give(&'a'), ids.give(&'b'), ids.give(&'a')), (Some(16), Some(17), Some(16)));
    }

    #[test]
    fn a_retired_number_is_given_to_nobody_else_until_a_later_scan_misses_it() {
        let mut ids = Ids::new(0, 2);
        assert_eq!((ids.give(&'a'), ids.give(&'b'), ids.give(&'c')), (Some(0), Some(1), None));
        ids.retire(0, 7);
        assert!(ids.release(7, |_| false).is_empty(), "the scan began before");
        assert!(ids.release(8, |id| id == 0).is_empty(), "found somewhere");
        assert_eq!(ids.give(&'c'), None);
        assert_eq!(ids.release(9, |_| false), [('a', 0)]);
        assert_eq!(ids.give(&'c'), Some(0));
    }

    #[test]
    fn who_comes_back_in_time_gets_the_old_number() {
        let mut ids = Ids::new(0, 2);
        ids.give(&'a');
        ids.retire(0, 1);
        assert_eq!(ids.give(&'a'), Some(0));
        assert!(ids.release(2, |_| false).is_empty());
    }

    #[test]
    fn a_number_that_was_never_used_is_free_at_once() {
        let mut ids = Ids::new(0, 1);
        ids.give(&'a');
        ids.take_back(0);
        assert_eq!((ids.get(&'a'), ids.give(&'b')), (None, Some(0)));
    }

    #[test]
    fn adopted_numbers_are_not_given_out_again() {
        let mut ids = Ids::new(0, 4);
        assert!(ids.adopt('a', 2));
        assert!(!ids.adopt('b', 2), "taken");
        assert!(!ids.adopt('c', 4), "out of range");
        assert_eq!(
            (ids.give(&'d'), ids.give(&'e'), ids.give(&'f'), ids.give(&'g')),
            (Some(0), Some(1), Some(3), None)
        );
    }

    proptest! {
        #[test]
        fn no_number_has_two_owners(steps in proptest::collection::vec((0..4_u8, 0..12_u8), 0..200)) {
            let (mut ids, mut scan) = (Ids::new(3, 9), 0);
            for (action, key) in steps {
                match action {
                    0 | 1 => drop(ids.give(&key)),
                    2 => if let Some(id) = ids.get(&key) { ids.retire(id, scan) },
                    _ => { scan += 1; drop(ids.release(scan, |id| id % 2 == 0)) }
                }
                let numbers: BTreeSet<u32> = ids.iter().map(|(_, id)| id).collect();
                prop_assert_eq!(numbers.len(), ids.iter().count());
                prop_assert!(numbers.iter().all(|id| (3..9).contains(id) && !ids.free.contains(id)));
            }
        }
    }
}
