//! Nodes that nobody hears of. Kubernetes takes their pods for not ready, whatever the pods said last; after an outage of
//! the API server that is every node's, for as long as it takes them to be heard again. What the pods said last counts
//! on as long as no node is heard, and for a while after that, or after nodes had to be listed again: who was cut off may have
//! missed the worst. A node that is silent by itself is taken for dead.

use std::collections::{HashMap, HashSet};

use super::Cluster;
use crate::control::{agent::facts::Key, translate::PodFacts};

/// Nodes are found silent one after the other: seconds until it is clear that not all of them are.
const ALONE: u64 = 5;
/// Seconds that nodes get to be heard again after none was.
const RETURN: u64 = 30;

/// Who is silent, and what hangs on it.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Since when a node has been silent, seconds since 1970.
    since: HashMap<String, u64>,
    /// Nodes that are taken for dead.
    dead: HashSet<String>,
    /// Until when none is, because none was heard.
    returning: Option<u64>,
    /// Pods that would be ready if their nodes were heard.
    pods: HashMap<Key, PodFacts>,
    /// Whether nodes were looked at before: one that was silent from the beginning has been for long.
    has_looked: bool,
    is_stale: bool,
    /// Whether nodes had to be listed again.
    was_cut_off: bool,
    deadline: Option<u64>,
}

impl Silence {
    /// When to look again though nothing changes.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Whether nodes have changed since they were looked at.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Nodes are others, or are heard or not.
    pub(super) fn mark(&mut self) {
        self.is_stale = true;
    }

    /// Nodes are listed again: changes may have been missed.
    pub(super) fn note_gap(&mut self) {
        (self.was_cut_off, self.is_stale) = (true, true);
    }

    /// Forgets a pod.
    pub(super) fn forget(&mut self, pod: &Key) {
        self.pods.remove(pod);
    }

    /// A pod as it counts.
    pub(super) fn judged(&mut self, key: &Key, mut facts: PodFacts) -> PodFacts {
        if !facts.is_unheard {
            self.pods.remove(key);
            return facts;
        }
        self.pods.insert(key.clone(), facts.clone());
        if !facts.workload.node.as_deref().is_some_and(|node| self.dead.contains(node)) {
            (facts.is_serving, facts.workload.ready) = (true, true);
        }
        facts
    }

    /// Looks at nodes, each with whether it is heard; whether others are dead than before.
    fn look<'a>(&mut self, nodes: impl Iterator<Item = (&'a str, bool)>, now: u64) -> bool {
        let (mut heard, mut silent) = (0, Vec::new());
        for (node, is_heard) in nodes {
            if is_heard {
                heard += 1;
            } else {
                silent.push(node);
            }
        }
        let first_seen = if self.has_looked { now } else { now.saturating_sub(ALONE) };
        let since = |node: &&str| ((*node).to_owned(), self.since.get(*node).copied().unwrap_or(first_seen));
        self.since = silent.iter().map(since).collect();
        self.has_looked |= heard > 0 || !silent.is_empty();
        if std::mem::take(&mut self.was_cut_off) || (heard == 0 && !silent.is_empty()) {
            self.returning = Some(now + RETURN);
        }
        self.returning = self.returning.filter(|until| *until > now);
        let dead: HashSet<String> = if self.returning.is_some() {
            HashSet::new()
        } else {
            let alone = self.since.iter().filter(|(_, since)| *since + ALONE <= now);
            alone.map(|(node, _)| node.clone()).collect()
        };
        let next = self.since.values().map(|since| since + ALONE).filter(|at| *at > now).min();
        self.deadline = self.returning.or(next).filter(|_| !self.since.is_empty());
        self.is_stale = false;
        let is_changed = dead != self.dead;
        self.dead = dead;
        is_changed
    }
}

impl Cluster {
    /// Looks at who is silent, where it is time.
    pub(super) fn listen(&mut self, now: u64) {
        if !self.silence.is_stale() && self.silence.deadline().is_none_or(|at| at > now) {
            return;
        }
        let nodes = self.nodes.values().map(|node| (node.key.1.as_str(), node.is_heard));
        if self.silence.look(nodes, now) {
            let pods = self.silence.pods.clone();
            self.set_pods(pods.into_iter().map(|(key, facts)| (key, Some(facts))).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(silence: &mut Silence, nodes: &[(&str, bool)], now: u64) -> Vec<String> {
        silence.look(nodes.iter().copied(), now);
        let mut dead: Vec<_> = silence.dead.iter().cloned().collect();
        dead.sort();
        dead
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn a_node_that_is_silent_alone_is_dead_soon() {
        let mut silence = Silence::default();
        assert_eq!(dead(&mut silence, &[("a", true), ("b", true)], 100), NONE);
        let one = [("a", true), ("b", false)];
        assert_eq!(dead(&mut silence, &one, 200), NONE);
        assert_eq!(silence.deadline(), Some(205));
        assert_eq!(dead(&mut silence, &one, 205), ["b"]);
        assert_eq!(silence.deadline(), None);
        assert_eq!(dead(&mut silence, &[("a", true), ("b", true)], 300), NONE, "it is back");
    }

    #[test]
    fn nodes_that_are_all_silent_are_heard_again_before_they_are_judged() {
        let mut silence = Silence::default();
        dead(&mut silence, &[("a", true), ("b", true)], 100);
        assert_eq!(dead(&mut silence, &[("a", false), ("b", true)], 200), NONE, "one after the other");
        let all = [("a", false), ("b", false)];
        assert_eq!(dead(&mut silence, &all, 201), NONE);
        assert_eq!(dead(&mut silence, &all, 1_000), NONE, "for as long as it takes");
        let one = [("a", true), ("b", false)];
        assert_eq!(dead(&mut silence, &one, 1_001), NONE);
        assert_eq!(silence.deadline(), Some(1_030));
        assert_eq!(dead(&mut silence, &one, 1_030), ["b"]);
        assert_eq!(dead(&mut silence, &[("a", true), ("b", true)], 1_031), NONE);
    }

    #[test]
    fn a_new_leader_takes_a_silent_node_for_dead_at_once() {
        let mut silence = Silence::default();
        assert_eq!(dead(&mut silence, &[], 99), NONE, "nothing is known yet");
        assert_eq!(dead(&mut silence, &[("a", true), ("b", false)], 100), ["b"]);
        let mut silence = Silence::default();
        assert_eq!(dead(&mut silence, &[("a", false), ("b", false)], 100), NONE, "unless all are silent");
    }

    #[test]
    fn who_was_cut_off_may_have_missed_that_all_were_silent() {
        let mut silence = Silence::default();
        dead(&mut silence, &[("a", true), ("b", true)], 100);
        silence.note_gap();
        assert_eq!(dead(&mut silence, &[("a", true), ("b", true)], 199), NONE, "the list has not come yet");
        let one = [("a", true), ("b", false)];
        assert_eq!(dead(&mut silence, &one, 200), NONE);
        assert_eq!(dead(&mut silence, &one, 228), NONE);
        assert_eq!(dead(&mut silence, &one, 229), ["b"]);
    }

    #[test]
    fn a_node_that_is_removed_is_forgotten() {
        let mut silence = Silence::default();
        dead(&mut silence, &[("a", true), ("b", false)], 100);
        assert_eq!(dead(&mut silence, &[("a", true)], 101), NONE);
        assert!(silence.since.is_empty());
    }
}
