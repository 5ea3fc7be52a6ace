//! Resolving again what changes touch.

use std::collections::{BTreeMap, BTreeSet};

use super::{Planner, Update};
use crate::{
    discovery::Kept,
    key::GatewayKey,
    plan::Touched,
    resolve::{Note, World, chain, routes},
};

impl Planner {
    /// Resolves what is touched, inner gateways before outer ones; gives what came out otherwise than before.
    pub(super) fn resolve(&mut self, now: u64, update: &mut Update) -> Touched {
        let mut touched = Touched::new();
        // By rank: an outer gateway has a higher one than its inner ones, so what is added comes later.
        let mut left: BTreeSet<usize> = BTreeSet::new();
        for key in std::mem::take(&mut self.news.gateways) {
            match self.declared.get(&key).and_then(|index| self.declared.rank(index)) {
                Some(rank) => {
                    left.insert(rank);
                }
                None => self.drop_outcome(&key, &mut left, &mut touched),
            }
        }
        let mut notes: BTreeMap<usize, Vec<Note>> = BTreeMap::new();
        while let Some(rank) = left.pop_first() {
            let index = self.declared.order[rank];
            let key = &self.gateways[index].key;
            if self.claims.contains_key(key) {
                notes.insert(index, self.resolve_one(index, now, &mut left, &mut touched));
            } else {
                let key = key.clone();
                self.drop_outcome(&key, &mut left, &mut touched);
            }
        }
        update.notes = notes.into_values().flatten().collect();
        touched
    }

    fn resolve_one(
        &mut self,
        index: usize,
        now: u64,
        left: &mut BTreeSet<usize>,
        touched: &mut Touched,
    ) -> Vec<Note> {
        let gateway = &self.gateways[index];
        let claim = &self.claims[&gateway.key];
        let chains =
            chain::follow(gateway, &self.declared, |key| Some(self.outcomes.get(key)?.gateway.clone()));
        let Kept { gateways, workloads } = &mut self.resolved.kept;
        let world = World {
            workloads: self.workloads.all(),
            index: self.workloads.index(),
            seen: workloads,
            addresses: &self.node.addresses,
            node: self.node.name.as_deref(),
            through_uplink: &self.node.through_uplink,
            external: &self.node.external,
            now,
            route_ttl: self.resolved.settings.route_ttl,
        };
        let kept = gateways.entry(gateway.key.clone()).or_default();
        let before = kept.clone();
        let mut outcome = routes::resolve(gateway, claim, chains, kept, &world);
        self.news.kept |= before != *kept;
        // A port that is recorded otherwise may be free for others the next time.
        self.news.claims |= before.port != kept.port;
        let old = self.outcomes.get(&gateway.key);
        self.news.findings |= old.is_none_or(|old| old.findings != outcome.findings);
        if let Some(old) = old.filter(|old| old.gateway == outcome.gateway) {
            outcome.gateway = old.gateway.clone();
        } else {
            touched.insert(gateway.key.clone(), Some(outcome.gateway.clone()));
            left.extend(self.declared.outer_ranks(index));
        }
        let notes = std::mem::take(&mut outcome.notes);
        match outcome.deadline {
            Some(deadline) => self.deadlines.insert(gateway.key.clone(), deadline),
            None => self.deadlines.remove(&gateway.key),
        };
        self.outcomes.insert(gateway.key.clone(), outcome);
        notes
    }

    /// A gateway is not in force any more.
    fn drop_outcome(&mut self, key: &GatewayKey, left: &mut BTreeSet<usize>, touched: &mut Touched) {
        if self.outcomes.remove(key).is_some() {
            self.deadlines.remove(key);
            self.news.findings = true;
            touched.insert(key.clone(), None);
            let index = self.declared.get(key);
            left.extend(index.into_iter().flat_map(|index| self.declared.outer_ranks(index)));
        }
    }
}
