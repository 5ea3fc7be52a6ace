//! Gateways, from what is known to what the planner is told.

use std::{collections::BTreeMap, sync::Arc};

use gateway_model::{discovery::Kept, gateway::Gateway};

use super::Cluster;
use crate::control::{
    controller::status,
    translate::{GatewayFacts, Spec},
};

impl Cluster {
    /// Goes on from what statuses remember: what is in force first, then what is declared since.
    pub(in crate::control::controller) fn begin(&mut self, now: u64) {
        self.news.overwritten.clear();
        let mut kept = Kept::default();
        for facts in self.gateways.values() {
            if facts.status.observed_generation.is_some() {
                kept.gateways.insert(facts.key.clone(), status::remembered(facts));
            }
            if let Some(in_force) = &facts.status.in_force {
                let spec = Spec::read(&facts.key, in_force);
                let was = GatewayFacts { spec, ..facts.as_ref().clone() };
                self.last_good.insert(facts.key.clone(), Arc::new(was));
            }
        }
        self.planner.set_kept(kept);
        self.introduce();
        let was = self.last_good.clone();
        self.planner.set_gateways(
            self.in_order(|facts| was.get(&facts.key).and_then(|good| good.spec.gateway.clone())),
        );
        self.planner.update(now);
        (self.news.declared, self.news.acks, self.news.addresses, self.news.nodes) = (true, true, true, true);
        for facts in self.gateways.values() {
            self.news.stale.entry(facts.key.clone()).or_default().slices = true;
        }
    }

    /// Leads no more: what came of what is known is forgotten.
    pub(in crate::control::controller) fn rest(&mut self, now: u64) {
        self.planner.set_gateways(Vec::new());
        self.planner.update(now);
        self.resolved.clear();
        self.findings.clear();
        self.last_good.clear();
    }

    /// Goes on from what another leader wrote last.
    fn read_again(&mut self) {
        let overwritten = std::mem::take(&mut self.news.overwritten);
        if overwritten.is_empty() {
            return;
        }
        let mut kept = self.planner.resolved().kept.clone();
        for key in overwritten {
            if let Some(facts) = self.gateways.get(&(key.namespace.clone(), key.name.clone())) {
                kept.gateways.insert(key, status::remembered(facts));
            }
        }
        self.planner.set_kept(kept);
    }

    /// Tells the planner of gateways.
    pub(super) fn declare(&mut self, now: u64) {
        self.read_again();
        if !std::mem::take(&mut self.news.declared) {
            return;
        }
        let reborn = std::mem::take(&mut self.news.reborn);
        if !reborn.is_empty() {
            // One of the same name that comes after it is another.
            let rest =
                self.in_order(|facts| if reborn.contains(&facts.key) { None } else { self.good(facts) });
            self.planner.set_gateways(rest);
            for key in &reborn {
                self.planner.forget(key);
            }
            self.planner.update(now);
        }
        for key in &self.news.gone {
            self.planner.forget(key);
        }
        self.introduce();
        self.planner.set_gateways(self.in_order(|facts| self.good(facts)));
    }

    fn introduce(&mut self) {
        for facts in self.gateways.values() {
            self.planner.introduce(&facts.key, facts.created);
        }
    }

    /// What is to be in force of a gateway, as far as it alone is concerned.
    fn good(&self, facts: &GatewayFacts) -> Option<Gateway> {
        facts.spec.gateway.clone().or_else(|| self.last_good.get(&facts.key)?.spec.gateway.clone())
    }

    /// The oldest first.
    fn in_order(&self, read: impl Fn(&GatewayFacts) -> Option<Gateway>) -> Vec<Gateway> {
        let by_age: BTreeMap<_, _> =
            self.gateways.values().map(|facts| ((facts.created, &facts.key), facts)).collect();
        by_age.into_values().filter_map(|facts| read(facts)).collect()
    }
}
